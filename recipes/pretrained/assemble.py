"""Puts a coarse and a fine run together as one run of coarse_to_fine, ready to ship.

python recipes/pretrained/assemble.py runs/coarse runs/fine -o pretrained
hb predict pretrained -i film.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli import __version__, make_folder, write_json
from handbone_cli.files import file_digest, write_text
from handbone_cli.host.named_weights import SUMS
from handbone_cli.host.registry import installed
from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.recipe.load import load_recipe, to_table, to_toml
from handbone_cli.runs.directory import RunDirectory

if TYPE_CHECKING:
    import torch


def assemble(coarse: Path, fine: Path, output: Path) -> None:
    """Write a run directory whose two passes are the best weights of two runs, in float16."""
    registry = installed()
    runs = {"coarse": RunDirectory(coarse), "fine": RunDirectory(fine)}
    said = [
        f"model.{name}_{key}={value}"
        for name, run in runs.items()
        for key, value in (
            ("size", run.recipe(registry).data.patch),
            ("features", list(run.recipe(registry).model.options["features"])),
        )
    ]
    recipe = load_recipe(str(Path(__file__).with_name("small.toml")), registry, said)
    tensors = renamed({name: load_tensors(run.best)[0] for name, run in runs.items()})
    names = runs["fine"].facts()["class_names"]
    facts = {
        "recipe": to_table(recipe),
        "class_names": names,
        "mirror_pairs": [],
        "trained_persons": [],  # nobody: its hands are drawn
        "versions": {"handbone": __version__},
    }
    make_folder(output)
    run = RunDirectory(output)
    save_tensors(run.best, tensors, {"class_names": names})
    write_json(run.facts_file, facts)
    write_text(run.recipe_file, to_toml(recipe))
    files = (run.best, run.facts_file, run.recipe_file)
    lines = [f"{file_digest(file)}  {file.name}" for file in files]
    write_text(output / SUMS, "\n".join(lines) + "\n")


def renamed(passes: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The tensors of two wrapped networks by the names that they have in coarse_to_fine."""
    tensors = {}
    for name, own in passes.items():
        for key, tensor in own.items():
            place = f"core.{name}_bias" if key == "bias" else key.replace("core", f"core.{name}", 1)
            tensors[place] = tensor.half() if tensor.is_floating_point() else tensor
    return {**tensors, "bias": passes["fine"]["bias"].new_zeros(len(passes["fine"]["bias"]))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("coarse", type=Path)
    parser.add_argument("fine", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    assemble(asked.coarse, asked.fine, asked.output)
