"""`hb weights`: files that a model can start from, made of old checkpoints and looked into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from handbone_cli.networks.legacy_checkpoint import LegacyWeights
    from handbone_cli.networks.weights import TensorFile

IMPORTED = "imported"
"""First key in the header of a file that was imported; one like it may be written over."""
MADE_HERE = b'{"__metadata__":{"handbone":"{\\"imported\\"'
LISTED = (".txt", ".json")
MIB = 2**20


@click.group()
def weights() -> None:
    """Import old checkpoints, and show what a file of weights holds."""


@weights.command("import", short_help="Make safetensors of an old checkpoint.")
@click.argument("old", type=Path)
@click.option("-o", "--output", type=Path, help="File to write.  [default: OLD.safetensors]")
@click.option("--class-names", metavar="FILE|A,B,C", help="The classes, in the model's order.")
@click.option("--key", help="Which weights, where OLD has several: model_ema.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(
    old: Path, output: Path | None, class_names: str | None, key: str | None, as_json: bool
) -> None:
    """Make safetensors of OLD, a file of torch.save (.pt, .pth, .ckpt), for model.weights.

    Its tensors are read and nothing else: a file that needs a class to be unpickled is refused.

    \b
    hb weights import checkpoint_final.pth -o old.safetensors --class-names bones.txt
    hb train nnunet --set model.weights=old.safetensors --set model.partial=true
    """
    from handbone_cli.files import refuse_foreign
    from handbone_cli.networks.legacy_checkpoint import read_legacy_weights
    from handbone_cli.networks.weights import save_tensors

    place = output or old.with_suffix(".safetensors")
    refuse_foreign(place, "an imported checkpoint", lambda head: head[8:].startswith(MADE_HERE))
    given = parse_class_names(class_names) if class_names else None
    found = read_legacy_weights(old, key)
    header = describe_import(old, found, given)
    save_tensors(place, found.tensors, header)
    said = {"file": str(place), "tensors": len(found.tensors),
            "parameters": sum(tensor.numel() for tensor in found.tensors.values()),
            **header[IMPORTED], "class_names": header.get("class_names")}  # fmt: skip
    click.echo(json.dumps(said) if as_json else in_words(said))


def parse_class_names(text: str) -> tuple[str, ...]:
    """Names between commas, or in a file: one a line, or a JSON list."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import read_bytes, read_json

    path = Path(text)
    if path.suffix == ".json":
        found = read_json(path)
    elif path.suffix in LISTED or ("," not in text and path.is_file()):
        found = read_bytes(path).decode(errors="replace").splitlines()
    else:
        found = text.split(",")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise HandboneError(f"--class-names {text}: expected a list of names.")
    names = tuple(name.strip() for name in found if name.strip())
    doubled = [name for name in names if names.count(name) > 1]
    if doubled or not names:
        what = f"names '{doubled[0]}' twice" if doubled else "names no class"
        raise HandboneError(f"--class-names {text}: {what}.")
    return names


def describe_import(
    old: Path, found: LegacyWeights, given: tuple[str, ...] | None
) -> dict[str, Any]:
    """The header of an imported file: where it comes from, and its classes if they are known.

    Raises:
        HandboneError: the classes that were given are not as many as anything in the file.
    """
    import handbone_cli
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import file_digest

    first_sides = {int(tensor.shape[0]) for tensor in found.tensors.values() if tensor.ndim}
    if given is not None and len(given) not in first_sides:
        raise HandboneError(
            f"--class-names: names {len(given)} classes, and no tensor of {old} has {len(given)} "
            "rows; give as many as the model has outputs, the background too if it has one."
        )
    names = given or found.class_names
    known = {"class_names": list(names)} if names and len(names) in first_sides else {}
    source = {"source": old.name, "sha256": file_digest(old), "key": found.key,
              "prefix": found.prefix, "second_names": found.second_names,
              "skipped": found.skipped}  # fmt: skip
    return {IMPORTED: source, **known, "versions": {"handbone": handbone_cli.__version__}}


def in_words(said: dict[str, Any]) -> str:
    """What was imported, in a line."""
    notes = [
        f"key {said['key']}" if said["key"] else "",
        f"prefix {said['prefix']} taken away" if said["prefix"] else "",
        f"{said['second_names']} second names left out" if said["second_names"] else "",
        f"{said['skipped']} entries without a tensor skipped" if said["skipped"] else "",
        f"{len(said['class_names'])} classes" if said["class_names"] else "no class names",
    ]
    counts = f"{said['tensors']} tensors, {said['parameters']:,} parameters"
    return f"{said['file']}: {counts} of {said['source']} ({', '.join(filter(None, notes))})"


@weights.command(short_help="Say what a file of weights holds.")
@click.argument("file", type=Path)
@click.option("--recipe", help="Also say what of it the model of this recipe would take over.")
@click.option("--classes", type=click.IntRange(1), help="Its classes, where its data is not here.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(
    file: Path,
    recipe: str | None,
    classes: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """What FILE holds: a safetensors file of anyone, or a run directory for its best weights."""
    from handbone_cli.commands.wiring.weights import describe_file, open_weights, try_recipe
    from handbone_cli.terminal.tables import show_table

    if recipe is None and (classes is not None or overrides):
        raise click.UsageError("--classes and --set go with --recipe.")
    opened = open_weights(file)
    facts = describe_file(opened)
    if recipe is not None:
        facts["match"] = try_recipe(opened, recipe, overrides, classes)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for line in head_lines(opened, facts):
        click.echo(line)
    tensors = ((t["name"], " x ".join(map(str, t["shape"])), t["dtype"]) for t in facts["tensors"])
    show_table(("tensor", "shape", "dtype"), list(tensors))


def head_lines(opened: TensorFile, facts: dict[str, Any]) -> list[str]:
    """What stands above the table of tensors."""
    header, names = opened.header, opened.class_names
    counts = f"{len(facts['tensors'])} tensors, {facts['parameters']:,} parameters"
    kinds = f"{' '.join(facts['dtypes'])}, {facts['bytes'] / MIB:.1f} MiB"
    lines = [f"{facts['file']}: {counts}, {kinds}", f"sha256 {facts['sha256']}"]
    if IMPORTED in header:
        source = header[IMPORTED]
        lines.append(f"imported from {source['source']} (sha256 {source['sha256'][:8]}...)")
    if "recipe" in header:
        scored = "dice" in header  # not a resumable state, nor without validation
        dice = f", mean Dice {header['dice']:.4f} in epoch {header['epoch']}" if scored else ""
        lines.append(f"trained as {header['recipe']['name']}{dice}")
    lines.append(f"{len(names)} classes: {', '.join(names)}" if names else "no class names")
    return [*lines, *([facts["match"]["said"]] if "match" in facts else [])]
