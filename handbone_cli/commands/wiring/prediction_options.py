"""What `hb predict` and others say on the command line of a run's recipe, checked like a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.explain import Origins
    from handbone_cli.recipe.schema import Recipe


OPTIONS = {"weight": "--window-weight"}
"""Of keys that are not called as they are in a recipe."""
EXAMPLES = {"--tta": "scale:factor=0.8", "--window-weight": "hann:power=2"}


def with_options(
    recipe: Recipe, registry: Registry, predict_keys: dict[str, Any], tta: Sequence[str]
) -> Recipe:
    """The recipe with what the command line says, checked like any other recipe."""
    from handbone_cli.errors import HandboneError, RecipeError
    from handbone_cli.recipe.load import check, to_table, with_defaults

    table = to_table(recipe)
    said = {key: value for key, value in predict_keys.items() if value is not None}
    typed = {key: OPTIONS.get(key, f"--{key.replace('_', '-')}") for key in said}
    origins: Origins = {("predict", key): option for key, option in typed.items()}
    if typed:
        origins["predict",] = ", ".join(typed.values())
    if "gaussian" in said:
        table["predict"].pop("weight", None)
    if "weight" in said:
        said["weight"] = parse_view(said["weight"], "--window-weight")
    table["predict"] |= said
    if tta:
        table["tta"] = [parse_view(text) for text in tta if text != "none"]
        origins["tta",] = "--tta"
    try:
        return with_defaults(check(table, registry, origins, recipe.name), registry)
    except RecipeError as error:
        raise HandboneError(" ".join(error.problems)) from error


def parse_view(text: str, option: str = "--tta") -> dict[str, Any]:
    """`scale:factor=0.8` as a table of a recipe."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.recipe.load import parse_override

    name, *options = text.split(":")
    if not all("=" in said for said in options):
        raise HandboneError(
            f"{option} {text}: expected NAME or NAME:KEY=VALUE, for example {EXAMPLES[option]}."
        )
    parsed = (parse_override(said, option) for said in options)
    return {"name": name} | {".".join(keys): value for keys, value in parsed}
