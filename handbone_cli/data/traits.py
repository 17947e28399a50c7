"""What of people and their images every fold should have its share of: pose, side, sex, age."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handbone_cli.anatomy.pose import pose_of
from handbone_cli.data.metadata import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from handbone_cli.data.metadata import PersonRecord
    from handbone_cli.host.interfaces import Sample


@dataclass(frozen=True)
class PersonTraits:
    """One person, counted over their images.

    Attributes:
        person: the dataset's name.
        images: how many.
        posed: of how many the wrist could be seen.
        bent: of how many of those it is bent.
        left: how many are known to show the left hand.
        right: the right one.
        sex: 'female', 'male' or None.
        age: years or None.
    """

    person: str
    images: int = 0
    posed: int = 0
    bent: int = 0
    left: int = 0
    right: int = 0
    sex: str | None = None
    age: float | None = None


@dataclass(frozen=True)
class FoldSummary:
    """What a fold, or all of them, has; shares are of what is known, 0 to 1, None for nothing.

    Attributes:
        people: how many.
        images: how many.
        bent: share of bent wrists.
        left: share of left hands.
        female: share of women.
        age: mean, years.
    """

    people: int
    images: int
    bent: float | None
    left: float | None
    female: float | None
    age: float | None


def observe(
    samples: Sequence[Sample],
    class_names: Sequence[str],
    records: Mapping[str, PersonRecord],
    report: Callable[[int, int], None],
) -> list[PersonTraits]:
    """The traits of everyone in labelled samples, sorted by name.

    A side that the source states counts more than what the outlines look like.

    Args:
        samples: of any people, in any order.
        class_names: of their labels.
        records: people by name; whoever is missing has neither sex nor age.
        report: told how many labels have been read.

    Raises:
        HandboneError: labels that cannot be read.
    """
    found: dict[str, PersonTraits] = {}
    for done, sample in enumerate(samples):
        name = sample.person
        record = record_of(records, name)
        known = PersonTraits(name)
        if record is not None:
            known = PersonTraits(name, sex=record.sex, age=record.age)
        found[name] = _with_image(found.get(name, known), sample, class_names)
        report(done + 1, len(samples))
    return [found[name] for name in sorted(found)]


def _with_image(traits: PersonTraits, sample: Sample, class_names: Sequence[str]) -> PersonTraits:
    pose = pose_of(sample.read_labels(), class_names) if sample.read_labels else None
    side = sample.side or (pose.side if pose else None)
    return replace(
        traits,
        images=traits.images + 1,
        posed=traits.posed + (pose is not None),
        bent=traits.bent + (pose is not None and pose.bent),
        left=traits.left + (side == "left"),
        right=traits.right + (side == "right"),
    )


def known_traits(people: Iterable[PersonTraits]) -> tuple[str, ...]:
    """Which of pose, side, sex and age somebody has."""
    everyone = list(people)
    known = {
        "pose": any(each.posed for each in everyone),
        "side": any(each.left + each.right for each in everyone),
        "sex": any(each.sex for each in everyone),
        "age": any(each.age is not None for each in everyone),
    }
    return tuple(name for name, there in known.items() if there)


def summarise(people: Iterable[PersonTraits]) -> FoldSummary:
    """The shares in a group of people."""
    everyone = list(people)
    ages = [each.age for each in everyone if each.age is not None]
    sexes = [each.sex for each in everyone if each.sex]
    left = sum(each.left for each in everyone)
    return FoldSummary(
        people=len(everyone),
        images=sum(each.images for each in everyone),
        bent=_share(sum(each.bent for each in everyone), sum(each.posed for each in everyone)),
        left=_share(left, left + sum(each.right for each in everyone)),
        female=_share(sexes.count("female"), len(sexes)),
        age=_share(sum(ages), len(ages)),
    )


def summarise_folds(
    people: Iterable[PersonTraits], groups: Mapping[str, int]
) -> dict[int, FoldSummary]:
    """Fold -> its summary, in order."""
    members: dict[int, list[PersonTraits]] = defaultdict(list)
    for each in people:
        members[groups[each.person]].append(each)
    return {fold: summarise(members[fold]) for fold in sorted(members)}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
