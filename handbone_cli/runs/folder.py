"""What the folders of a run and of a cross-validation have alike: a recipe, facts and a log."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.files import write_json
from handbone_cli.recipe.load import from_table, parse_toml

if TYPE_CHECKING:
    from pathlib import Path

    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class RecipeFolder(abc.ABC):
    """A folder that training by one recipe writes into."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    @abc.abstractmethod
    def facts_file(self) -> Path:
        """What became of it, as JSON."""

    @property
    def log(self) -> Path:
        """What it says in the background."""
        return self.path / "log.txt"

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the file of facts says."""

    def update_facts(self, **values: Any) -> None:
        """Change some of the facts."""
        write_json(self.facts_file, {**self.facts(), **values})

    def recipe(self, registry: Registry) -> Recipe:
        """The recipe that is trained by."""
        return from_table(parse_toml(self.recipe_file), registry, str(self.recipe_file))
