"""Voting: a pixel is bone where enough of several masks have it, by weights and shares a class."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, lcm
from typing import TYPE_CHECKING, Protocol

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.masks import EMPTY, PackedMask, union_box

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from handbone_cli.masks import MaskSource

MOST_VOTES = 2**53
"""Of all members together, counted in the smallest whole numbers that keep their ratios."""


@dataclass(frozen=True, eq=False)
class Ballot:
    """How many votes every member has in every class, and how many a bone needs.

    Attributes:
        votes: (C, M) int64, 0 or more. Whole numbers, so that a tie is a tie.
        shares: C shares of the votes from 0 to below 1, of which a bone needs more.
    """

    votes: NDArray[np.int64]
    shares: tuple[Fraction, ...]

    def limit(self, index: int) -> int:
        """The votes of a class that are not yet enough."""
        return floor(self.shares[index] * int(self.votes[index].sum()))

    def voters(self, index: int) -> list[int]:
        """The members that have a vote in a class."""
        return [int(place) for place in np.flatnonzero(self.votes[index])]


def cast(weights: Sequence[Sequence[Fraction]], shares: Sequence[Fraction]) -> Ballot:
    """A ballot of C rows of M weights and C shares, with the same ratios in whole numbers.

    Raises:
        HandboneError: a weight below 0, a class without any, a share outside 0 to below 1, or
            weights of ratios that no count can hold.
    """
    for share in shares:
        if not 0 <= share < 1:
            raise HandboneError(
                f"a share of {float(share):g}; expected 0 (any vote) to below 1 (all of them)."
            )
    return Ballot(np.array([_whole(row) for row in weights], np.int64), tuple(shares))


def _whole(row: Sequence[Fraction]) -> list[int]:
    if min(row) < 0 or not any(row):
        shown = ", ".join(f"{float(weight):g}" for weight in row)
        raise HandboneError(f"weights {shown}; expected 0 or more, and one of them above 0.")
    scale = lcm(*(weight.denominator for weight in row))
    votes = [int(weight * scale) for weight in row]
    if sum(votes) > MOST_VOTES:
        raise HandboneError("the weights have too many digits to be counted; round them.")
    return votes


class Rule(Protocol):
    """Masks of one class to one."""

    def __call__(
        self, index: int, members: Sequence[int], crops: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        """The mask of a class from those of two members or more that have a vote, in one box."""


@dataclass(frozen=True, eq=False)
class Majority:
    """Bone is where the votes are more than the class's share of them all."""

    ballot: Ballot

    def __call__(
        self, index: int, members: Sequence[int], crops: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        """Count the votes of every pixel."""
        votes = self.ballot.votes[index]
        total = np.zeros(crops[0].shape, np.min_scalar_type(int(votes.sum())))
        for member, crop in zip(members, crops, strict=True):
            total += crop * total.dtype.type(votes[member])
        elected: NDArray[np.bool_] = total > self.ballot.limit(index)
        return elected


class VotedMasks:
    """A MaskSource over others: their images in the first one's order, its classes.

    Args:
        members: M sources of the same images and classes.
        ballot: who votes where. A class in which one member votes alone is that member's.
        rule: what makes one mask of several.
        names: M names, for what is said of them.
    """

    def __init__(
        self, members: Sequence[MaskSource], ballot: Ballot, rule: Rule, names: Sequence[str]
    ) -> None:
        self.image_ids, self.class_names = members[0].image_ids, members[0].class_names
        self._members, self._ballot, self._rule, self._names = members, ballot, rule, names

    def person(self, image_id: str) -> str:
        """Whose image it is, as the first member knows it."""
        return self._members[0].person(image_id)

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image; those of all members are in memory meanwhile.

        Raises:
            HandboneError: the members have the image in different sizes.
        """
        masks = [member.mask(image_id) for member in self._members]
        self._require_one_size(image_id, masks)
        boxes = [mask.boxes() for mask in masks]
        result = PackedMask.empty(masks[0].size, len(self.class_names))
        for index in range(len(self.class_names)):
            voters = self._ballot.voters(index)
            box = union_box(boxes[voter][index] for voter in voters)
            if box == EMPTY:
                continue
            crops = [masks[voter].crop(index, box) for voter in voters]
            alone = len(crops) == 1
            result.add(index, box, crops[0] if alone else self._rule(index, voters, crops))
        return result

    def _require_one_size(self, image_id: str, masks: Sequence[PackedMask]) -> None:
        for name, mask in zip(self._names, masks, strict=True):
            if mask.size != masks[0].size:
                raise HandboneError(
                    f"{name}: image '{image_id}' is {mask.size[0]} x {mask.size[1]} px there and "
                    f"{masks[0].size[0]} x {masks[0].size[1]} in {self._names[0]}."
                )


def require_same(members: Sequence[MaskSource], names: Sequence[str]) -> None:
    """Refuse members with other images or classes than the first one's.

    Raises:
        HandboneError: one sentence that names both files and what one of them lacks.
    """
    first = members[0]
    for member, name in zip(members[1:], names[1:], strict=True):
        for what, ours, theirs in (
            ("class", first.class_names, member.class_names),
            ("image", first.image_ids, member.image_ids),
        ):
            lacking = [each for each in ours if each not in set(theirs)]
            surplus = [each for each in theirs if each not in set(ours)]
            if lacking:
                raise HandboneError(_lacks(name, names[0], what, lacking))
            if surplus:
                raise HandboneError(_lacks(names[0], name, what, surplus))
        if list(member.class_names) != list(first.class_names):
            raise HandboneError(f"{name}: has the classes in another order than {names[0]}.")


def _lacks(name: str, other: str, what: str, lacking: Sequence[str]) -> str:
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return (
        f"{name}: lacks {what} '{lacking[0]}'{more}, which {other} has; all that vote need the "
        "same images and classes."
    )
