"""A run directory: what lies where, and how it is opened again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.files import make_folder, read_json, require, write_json, write_text
from handbone_cli.recipe.load import to_toml
from handbone_cli.runs.folder import RecipeFolder

if TYPE_CHECKING:
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe


def default_folder(recipe: Recipe, *, finetuned: bool) -> Path:
    """Where a run goes unless the user says: runs/NAME_foldK, runs/NAME_all, ..."""
    everybody = recipe.train.on == "all"
    fold = "" if everybody and not finetuned else f"_fold{recipe.data.fold}"
    start, end = "_finetuned" if finetuned else "", "_all" if everybody else ""
    return Path("runs") / f"{recipe.name}{fold}{start}{end}"


@dataclass(frozen=True)
class RunDirectory(RecipeFolder):
    """The files of one training run."""

    @property
    def facts_file(self) -> Path:
        """Class names, people trained on, best score, versions."""
        return self.path / "run.json"

    @property
    def last(self) -> Path:
        """Everything needed to continue."""
        return self.path / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights with the best validation Dice."""
        return self.path / "best.safetensors"

    @property
    def metrics(self) -> Path:
        """The figures of every epoch, a JSON line each."""
        return self.path / "metrics.jsonl"

    def create(self, recipe: Recipe, facts: dict[str, Any]) -> None:
        """Start a run; one sentence if the folder holds another one."""
        self.refuse_second()
        make_folder(self.path)
        self.metrics.unlink(missing_ok=True)
        write_text(self.recipe_file, to_toml(recipe))
        write_json(self.facts_file, facts)

    def refuse_second(self) -> None:
        """One sentence if there is something of a run already."""
        if self.last.exists() or self.best.exists():
            raise HandboneError(
                f"{self.path}: holds a run already; go on with --resume, or choose another -o."
            )

    def facts(self) -> dict[str, Any]:
        """What run.json says."""
        require(self.path, "a run directory (what `hb train` writes)")
        if not self.facts_file.exists():
            raise HandboneError(f"{self.path}: not a run directory, there is no run.json in it.")
        content = read_json(self.facts_file)
        if not isinstance(content, dict) or not isinstance(content.get("class_names"), list):
            raise HandboneError(f"{self.facts_file}: not what `hb train` writes (no class_names).")
        return content

    def recipe(self, registry: Registry) -> Recipe:
        """The recipe the run was trained with."""
        self.facts()
        return super().recipe(registry)
