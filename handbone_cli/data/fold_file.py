"""The split file, folds.toml: who is in which fold, for recipes to name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError
from handbone_cli.files import require, write_text
from handbone_cli.recipe.load import parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FORMAT = 1
HEADER = "# Who is in which fold. Written by `hb data folds`; a recipe names it: data.folds_file\n"


@dataclass(frozen=True)
class FoldFile:
    """A split.

    Attributes:
        folds: how many.
        seed: it follows from.
        balanced: the traits that were known: pose, side, sex, age.
        people: person -> fold, from 0.
    """

    folds: int
    seed: int
    balanced: tuple[str, ...]
    people: Mapping[str, int]


def save_folds(path: Path, split: FoldFile) -> None:
    """Write a split, people in order."""
    import tomli_w

    document = {
        "format": FORMAT,
        "folds": split.folds,
        "seed": split.seed,
        "balanced": list(split.balanced),
        "people": dict(sorted(split.people.items())),
    }
    write_text(path, HEADER + tomli_w.dumps(document))


def load_folds(path: Path) -> FoldFile:
    """Read a split.

    Raises:
        HandboneError: no such file, or not a split.
    """
    table = parse_toml(require(path, "a split that `hb data folds` writes (data.folds_file)"))
    try:
        if table["format"] != FORMAT:
            raise HandboneError(f"{path}: is a split of format {table['format']}, not {FORMAT}.")
        split = FoldFile(
            int(table["folds"]), int(table["seed"]), tuple(table["balanced"]), dict(table["people"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise HandboneError(
            f"{path}: not a split of `hb data folds` ({error} is missing or wrong)."
        ) from error
    for person, fold in split.people.items():
        if type(fold) is not int or not 0 <= fold < split.folds:
            raise HandboneError(
                f"{path}: people.{person} = {fold!r}; expected a fold from 0 to {split.folds - 1}."
            )
    return split


def folds_from_file(path: Path, persons: Iterable[str], folds: int) -> dict[str, int]:
    """The fold of every person, from a split that may have more people.

    Args:
        path: the file.
        persons: who is to be found in it, with repetitions.
        folds: what `data.folds` says.

    Raises:
        HandboneError: another number of folds, or people who are not in the file.
    """
    split = load_folds(path)
    if split.folds != folds:
        raise HandboneError(
            f"{path}: has {split.folds} folds, but data.folds = {folds}; set data.folds = "
            f"{split.folds}, or split again with hb data folds --folds {folds}."
        )
    people = sorted(set(persons))
    missing = [person for person in people if person not in split.people]
    if missing and len(missing) == len(people):
        raise HandboneError(
            f"{path}: a split of other people: nobody of the data ({_some(people)}) is in it; "
            "write one for this data with hb data folds."
        )
    if missing:
        raise HandboneError(
            f"{path}: {len(missing)} of {len(people)} people of the data are not in it "
            f"({_some(missing)}); split again with hb data folds, or exclude their images "
            "(data.exclude)."
        )
    return {person: split.people[person] for person in people}


def refuse_other_files(path: Path) -> None:
    """Before any work: a file in the way is replaced only if it is a split.

    Raises:
        HandboneError: it is something else, or the name is not a TOML file's.
    """
    if path.suffix != ".toml":
        raise HandboneError(f"{path}: a split is a .toml file; give -o such a name.")
    if not path.exists():
        return
    try:
        load_folds(path)
    except HandboneError as error:
        raise HandboneError(
            f"{path}: not a split of `hb data folds`, so it stays; choose another -o."
        ) from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
