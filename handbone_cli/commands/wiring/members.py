"""The members of an ensemble: runs, or the folds of a cross-validation, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory


@dataclass(frozen=True)
class Member:
    """A run, or the runs of all folds, which count as one.

    Attributes:
        path: as it was named.
        runs: one, or one a fold.
        recipe: theirs, or one that differs in predict and tta.
        class_names: what they predict.
        digests: of each run's weights.
        folds: the cross-validation that the runs are of.
    """

    path: Path
    runs: tuple[RunDirectory, ...]
    recipe: Recipe
    class_names: tuple[str, ...]
    digests: tuple[str, ...]
    folds: CrossValidation | None = None

    @property
    def model(self) -> str:
        """What a decision calls its weights."""
        from handbone_cli.decision.document import JOIN

        return JOIN.join(self.digests)

    def settings(self, *, out_of_fold: bool) -> dict[str, Any]:
        """What the probabilities depend on besides the images, as `hb predict` of it alone says.

        `out_of_fold`: each fold predicts whom it left out; else the mean of all is meant.
        """
        from handbone_cli.commands.wiring.filling import describe_settings
        from handbone_cli.commands.wiring.out_of_fold import describe_out_of_fold
        from handbone_cli.files import digest_json

        if self.folds is None:
            settings = describe_settings(self.recipe, self.digests[0])
            return {**settings, "recipe": digest_json(self.runs[0].facts()["recipe"])}
        settings = describe_out_of_fold(self.folds, self.recipe)
        if not out_of_fold:
            settings["data"]["fold"] = "mean of all"
        return settings


class Images(NamedTuple):
    """What is predicted, and by which runs.

    Attributes:
        samples: in their order.
        folds: for a member, image id -> the fold that predicts it; none: all of its runs do.
        own: whether it is a split of the runs' dataset.
    """

    samples: list[Sample]
    folds: list[Mapping[str, int]]
    own: bool


def open_member(path: Path, registry: Registry, said: Callable[[Recipe], Recipe]) -> Member:
    """The member of a path, with what the command line says of its recipe.

    Raises:
        HandboneError: neither a run nor a cross-validation; weights that are not there yet; folds
            of other classes.
    """
    from handbone_cli.commands.wiring.prediction import open_run, weights_file
    from handbone_cli.files import file_digest
    from handbone_cli.runs.cross_validation import CrossValidation

    whole = CrossValidation(path)
    folds = whole if whole.facts_file.exists() else None
    directory = folds or open_run(path)
    runs = tuple(folds.runs()) if folds else (open_run(path),)
    names = [tuple(run.facts()["class_names"]) for run in runs]
    digests = tuple(file_digest(weights_file(run)) for run in runs)
    for run, found in zip(runs, names, strict=True):
        refuse_other_classes(run.path, found, runs[0].path, names[0])
    return Member(path, runs, said(directory.recipe(registry)), names[0], digests, folds)


def refuse_other_classes(
    path: Path, names: Sequence[str], other: Path, expected: Sequence[str]
) -> None:
    """One sentence if two do not predict the same classes in the same order."""
    if tuple(names) == tuple(expected):
        return
    here = [name for name in names if name not in expected]
    there = [name for name in expected if name not in names]
    what = [
        *([f"'{here[0]}' is not among the other's"] if here else []),
        *([f"it lacks '{there[0]}'"] if there else []),
    ] or ["the same names in another order"]
    raise HandboneError(
        f"{path}: predicts {len(names)} classes and {other} {len(expected)}, which are not the "
        f"same ({'; '.join(what)}); only models of one list of classes can be summed."
    )


def refuse_twice(members: Sequence[Member]) -> None:
    """One sentence if a model would count twice."""
    for place, member in enumerate(members):
        for other in members[:place]:
            if member.path.resolve() == other.path.resolve():
                raise HandboneError(f"{member.path}: is named twice; a model counts once.")
            shared = set(member.digests) & set(other.digests)
            if shared:
                raise HandboneError(
                    f"{member.path}: has a model of {other.path} (the same weights), which would "
                    "count twice; leave one of the two out."
                )


def find_images(source: str, members: Sequence[Member], registry: Registry) -> Images:
    """What -i names, which must be the same images for all members.

    Raises:
        HandboneError: a split that is other images for one of them, or of which nobody's model is
            without knowledge (`train` of all folds); as `find_samples`.
    """
    from handbone_cli.commands.wiring.datasets import find_samples
    from handbone_cli.data.sources import SPLITS

    if source not in SPLITS:
        samples = find_samples(source, members[0].recipe, registry)
        return Images(samples, [{} for _ in members], own=False)
    found = [_split(source, member, registry) for member in members]
    samples = found[0][0]
    first = {sample.image_id for sample in samples}
    for member, (others, _) in zip(members, found, strict=True):
        differing = first ^ {sample.image_id for sample in others}
        if differing:
            raise HandboneError(
                f"{member.path}: its '{source}' images are not those of {members[0].path} "
                f"({min(differing)}, ...: other data, fold or split); name images that all can "
                "predict, for example -i FOLDER."
            )
    return Images(samples, [folds for _, folds in found], own=True)


def _split(
    source: str, member: Member, registry: Registry
) -> tuple[list[Sample], Mapping[str, int]]:
    from handbone_cli.commands.wiring.datasets import find_samples
    from handbone_cli.commands.wiring.out_of_fold import left_out_by_fold
    from handbone_cli.data.sources import labelled_samples, open_dataset

    if member.folds is None or source == "test":
        return find_samples(source, member.recipe, registry), {}
    if source == "train":
        raise HandboneError(
            f"{member.path}: all of its folds together were trained on everyone, each on others; "
            "predict -i val, where each predicts whom it left out."
        )
    dataset = open_dataset(member.recipe, registry)
    parts = left_out_by_fold(member.folds, member.recipe, dataset)
    folds = {sample.image_id: fold for fold, part in enumerate(parts) for sample in part}
    return labelled_samples(dataset, member.recipe), folds
