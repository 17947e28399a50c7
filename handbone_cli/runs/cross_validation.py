"""A cross-validation's directory: a run a fold, and one store of what each fold left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.files import make_folder, read_json, require, write_json, write_text
from handbone_cli.processes import describe_process
from handbone_cli.recipe.load import to_table, to_toml
from handbone_cli.runs.directory import RunDirectory
from handbone_cli.runs.folder import RecipeFolder

if TYPE_CHECKING:
    from pathlib import Path

    from handbone_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class CrossValidation(RecipeFolder):
    """The files of all folds' training; its recipe has fold 0 for all."""

    @property
    def facts_file(self) -> Path:
        """Recipe, number of folds, status, out-of-fold score."""
        return self.path / "cross_validation.json"

    @property
    def store(self) -> Path:
        """The probabilities of everyone, each by the model of the fold that left them out."""
        return self.path / "out_of_fold"

    def run(self, fold: int) -> RunDirectory:
        """The run of one fold."""
        return RunDirectory(self.path / f"fold{fold}")

    def runs(self) -> list[RunDirectory]:
        """The runs of all folds, in order."""
        return [self.run(fold) for fold in range(self.facts()["folds"])]

    def create(self, recipe: Recipe) -> None:
        """Start; one sentence if the folder holds something."""
        self.refuse_second()
        make_folder(self.path)
        write_text(self.recipe_file, to_toml(recipe))
        now = {"status": "running", "process": describe_process()}
        facts = {"recipe": to_table(recipe), "folds": recipe.data.folds, **now}
        write_json(self.facts_file, facts)

    def refuse_second(self) -> None:
        """One sentence if there is something of a cross-validation already, or anything else."""
        if self.facts_file.exists():
            if any(run.last.exists() or run.best.exists() for run in self.runs()):
                raise HandboneError(
                    f"{self.path}: holds a cross-validation already; go on with --resume, or "
                    "choose another -o."
                )
        elif self.path.is_dir() and any(each != self.log for each in self.path.iterdir()):
            raise HandboneError(
                f"{self.path}: the folder has files but no cross-validation; choose another -o."
            )

    def facts(self) -> dict[str, Any]:
        """What cross_validation.json says."""
        content = read_json(require(self.facts_file, "what `hb train --fold all` writes"))
        if (
            not isinstance(content, dict)
            or not isinstance(content.get("recipe"), dict)
            or type(content.get("folds")) is not int
        ):
            raise HandboneError(
                f"{self.facts_file}: not what `hb train --fold all` writes (no recipe or folds)."
            )
        return content


def of_fold(recipe: Recipe, fold: int) -> Recipe:
    """The same recipe with another fold left out."""
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"fold": fold})})
