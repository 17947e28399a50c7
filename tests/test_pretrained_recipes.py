"""The recipes in recipes/pretrained: two passes become one run."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from handbone_cli.commands.wiring.prediction import load_model
from handbone_cli.files import file_digest
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_segmenter
from handbone_cli.networks.weights import own_tensors
from handbone_cli.recipe.load import load_recipe, to_table
from handbone_cli.runs.directory import RunDirectory
from handbone_cli.training.checkpoint import save_weights

SCRIPT = Path(__file__).parent.parent / "recipes" / "pretrained" / "assemble.py"
NAMES = [f"bone {number}" for number in range(29)]


@pytest.fixture
def passes(tmp_path):
    """A run of each pass, untrained, with features of its own."""
    registry, models = installed(), {}
    for name, features in (("coarse", "[4, 8, 8, 8, 8]"), ("fine", "[8, 8, 8, 8, 16]")):
        recipe = load_recipe(f"pretrained/{name}", registry, [f"model.features={features}"])
        run = RunDirectory(tmp_path / name)
        facts = {"class_names": NAMES, "recipe": to_table(recipe), "trained_persons": []}
        run.create(recipe, facts)
        models[name] = build_segmenter(recipe, registry, 29, 1)
        save_weights(run.best, models[name], {"class_names": NAMES})
    return models


def test_two_passes_become_one_run(passes, tmp_path):
    main = runpy.run_path(str(SCRIPT))
    main["assemble"](tmp_path / "coarse", tmp_path / "fine", tmp_path / "both")
    run, registry = RunDirectory(tmp_path / "both"), installed()
    recipe = run.recipe(registry)
    assert recipe.model.options["coarse_size"] == 256
    assert recipe.model.options["fine_size"] == 512
    model = load_model(run, recipe, registry, NAMES)
    tensors = own_tensors(model)
    for name, own in passes.items():
        for key, value in own.core.state_dict().items():
            torch.testing.assert_close(tensors[f"core.{name}.{key}"], value, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(tensors[f"core.{name}_bias"], own.bias, rtol=1e-3, atol=1e-6)
    assert not tensors["bias"].any()
    sums = (tmp_path / "both" / "SHA256SUMS").read_text().splitlines()
    assert f"{file_digest(run.best)}  best.safetensors" in sums
    assert len(sums) == 3
