"""An ensemble recipe: which recipes to train and how to weigh them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from handbone_cli.errors import HandboneError, RecipeError
from handbone_cli.recipe.explain import explain_errors
from handbone_cli.recipe.load import find_recipe, load_recipe, parse_toml
from handbone_cli.recipe.schema import Recipe, Section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.host.registry import Registry


class EnsembleSection(Section):
    """The keys of an ensemble recipe."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    members: tuple[str, ...] = Field(min_length=2, description="recipes, relative to this file")
    per_class: bool = Field(default=True, description="weights for every bone, or one set for all")


@dataclass(frozen=True)
class Ensemble:
    """A checked ensemble recipe: every member with the file it comes from."""

    name: str
    members: tuple[tuple[Path, Recipe], ...]
    per_class: bool


def is_ensemble(path: Path) -> bool:
    """Whether a recipe file names members."""
    return "members" in parse_toml(path)


def load_ensemble(name: str, registry: Registry, overrides: Sequence[str] = ()) -> Ensemble:
    """Read an ensemble recipe and all its members, each with the overrides laid on top.

    Raises:
        RecipeError: mistakes in the ensemble or in a member.
        HandboneError: two members of one name, or of different folds.
    """
    path = find_recipe(name)
    table = parse_toml(path)
    if "members" not in table and (Recipe.model_fields.keys() - {"name"} | {"extends"}) & {*table}:
        raise HandboneError(
            f"{name}: is the recipe of one model; `hb train {name}` takes it, and here an ensemble "
            "recipe is expected, which names `members`."
        )
    try:
        section = EnsembleSection.model_validate(table)
    except ValidationError as error:
        known = set(EnsembleSection.model_fields)
        raise RecipeError(explain_errors(error, table, {}, str(path), known)) from error
    files = [path.parent / member for member in section.members]
    members = tuple((file, load_recipe(str(file), registry, overrides)) for file in files)
    names = [recipe.name for _, recipe in members]
    doubled = [each for each in names if names.count(each) > 1]
    if doubled:
        raise HandboneError(f"{path}: two members are named '{doubled[0]}'; names must differ.")
    refuse_different_folds(path, [recipe for _, recipe in members])
    return Ensemble(section.name, members, section.per_class)


def refuse_different_folds(path: Path, recipes: Sequence[Recipe]) -> None:
    """One sentence unless all members leave the same people out; weights need common images."""
    first = recipes[0]
    for other in recipes[1:]:
        for key in ("dataset", "root", "folds", "fold", "folds_file", "exclude"):
            if getattr(first.data, key) != getattr(other.data, key):
                raise HandboneError(
                    f"{path}: {first.name} and {other.name} differ in data.{key}; members must "
                    "leave the same people out. --set changes a key in all of them."
                )
        if first.seed != other.seed:
            raise HandboneError(
                f"{path}: {first.name} and {other.name} differ in seed, which deals the folds."
            )
