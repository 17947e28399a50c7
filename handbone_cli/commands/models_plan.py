"""`hb models plan`: the part of a recipe that follows from the images and the memory of a GPU."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def _parse_size(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", text)
    if found is None:
        raise click.BadParameter(f"'{text}': expected HEIGHTxWIDTH in px, such as 2048x1500.")
    return int(found[1]), int(found[2])


@click.command()
@click.argument("model")
@click.option(
    "--image",
    required=True,
    metavar="HxW",
    callback=_parse_size,
    help="Height and width of a typical image, px.",
)
@click.option(
    "--memory",
    required=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="Memory of the GPU.",
)
@click.option(
    "--classes", type=click.IntRange(min=1), help="Bones.  [default: the competition's 29]"
)
@click.option("--images", type=click.IntRange(min=1), help="Training images, which limit a batch.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    model: str,
    image: tuple[int, int],
    memory: float,
    classes: int | None,
    images: int | None,
    as_json: bool,
) -> None:
    """Patch, batch size and stages of MODEL as its paper plans them, to paste into a recipe.

    \b
    hb models plan nnunet --image 2048x2048 --memory 8
    """
    from handbone_cli.anatomy.hand import HAND_BONES
    from handbone_cli.errors import HandboneError
    from handbone_cli.host.registry import installed

    registry = installed()
    planner = registry.get("models", model).load_planner()
    if planner is None:
        having = [name for name, each in registry.components["models"].items() if each.planner]
        raise HandboneError(
            f"model '{model}' has no plan to make; those with one: {', '.join(sorted(having))}."
        )
    bones = len(HAND_BONES) if classes is None else classes
    tables, facts = planner(image=image, memory=memory, classes=bones, images=images)
    if as_json:
        click.echo(json.dumps({"recipe": tables, "facts": {"classes": bones, **facts}}))
        return
    click.echo(f"# {model} for images of {image[0]} x {image[1]} px and a GPU of {memory:g} GB")
    for name, value in {"classes": bones, **facts}.items():
        click.echo(f"# {name.replace('_', ' ')}: {value}")
    click.echo(_as_toml(tables))


def _as_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of numbers, text and lists, which TOML writes as JSON does; lists on one line."""
    return "\n".join(
        line
        for name, table in tables.items()
        for line in ("", f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items()))
    )
