"""Groups of people for cross-validation: images of one person never part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError
from handbone_cli.people import deal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handbone_cli.host.interfaces import Sample

STREAM = 0xF01D


def assign(persons: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """A fold for every person, of sizes that differ by one at most.

    Raises:
        HandboneError: fewer people than folds.
    """
    people = set(persons)
    if len(people) < folds:
        raise HandboneError(
            f"data.folds = {folds}, but the data has {len(people)} people; "
            "lower data.folds or bring more people."
        )
    return deal(people, folds, stream=STREAM, seed=seed)


def split(
    samples: Sequence[Sample], folds: int, fold: int, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """(training, validation) samples of a fold, grouped by person."""
    groups = assign((sample.person for sample in samples), folds, seed)
    training = [sample for sample in samples if groups[sample.person] != fold]
    validation = [sample for sample in samples if groups[sample.person] == fold]
    return training, validation
