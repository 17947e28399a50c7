"""Hard Dice of many images: every image and bone, and the summaries people read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.bone_groups import NO_GROUPS, BoneGroups, Census
from handbone_cli.errors import HandboneError
from handbone_cli.files import write_text
from handbone_cli.scores import clustered_error, dice, overlap_counts, pair_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.bone_groups import Pair
    from handbone_cli.masks import LabelSource, MaskSource, PackedMask


COLUMNS = ("image_id", "person", "mean")
"""What stands before the bones in a CSV of scores."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of N images.

    Attributes:
        image_ids: N names.
        persons: whose they are.
        class_names: C names.
        dice: (N, C) of every class.
        groups: the small bones and P overlapping pairs in the labels of these images.
        overlap_dice: (N, P) of what the two bones of every pair share.
    """

    image_ids: Sequence[str]
    persons: Sequence[str]
    class_names: Sequence[str]
    dice: NDArray[np.float64]
    groups: BoneGroups = NO_GROUPS
    overlap_dice: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 0)))

    @property
    def mean(self) -> float:
        """The leaderboard's number: the mean over images and classes."""
        return float(self.dice.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, clustered by person; nan for one person."""
        return clustered_error(self.dice.mean(axis=1), list(self.persons))

    @property
    def per_class(self) -> NDArray[np.float64]:
        """Mean Dice of every class (C,)."""
        return np.asarray(self.dice.mean(axis=0))

    @property
    def worst_class(self) -> tuple[str, float]:
        """The bone with the lowest mean Dice."""
        place = int(self.per_class.argmin())
        return self.class_names[place], float(self.per_class[place])

    @property
    def per_overlap(self) -> NDArray[np.float64]:
        """Mean Dice of what the two bones of every pair share (P,)."""
        return np.asarray(self.overlap_dice.mean(axis=0))

    def summary(self) -> dict[str, object]:
        """A JSON-able summary."""
        error, small = self.standard_error, self.groups.small_names(self.class_names)
        return {
            "mean_dice": self.mean,
            "standard_error": None if np.isnan(error) else error,
            "images": len(self.image_ids),
            "people": len(set(self.persons)),
            "per_class": dict(zip(self.class_names, self.per_class.tolist(), strict=True)),
            "per_image": dict(zip(self.image_ids, self.dice.mean(axis=1).tolist(), strict=True)),
            **self.groups.figures(self.class_names, self.per_class, self.per_overlap),
            **({"small_bone_names": small} if small else {}),
        }

    def write_csv(self, path: Path) -> None:
        """One row an image: id, person, mean, then every bone."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*COLUMNS, *self.class_names])
        for name, person, row in zip(self.image_ids, self.persons, self.dice, strict=True):
            rows.writerow([name, person, f"{row.mean():.6f}", *(f"{each:.6f}" for each in row)])
        write_text(path, text.getvalue())


def is_score_csv(head: bytes) -> bool:
    """Whether a file that begins so is one that `write_csv` wrote."""
    return head.startswith(",".join(COLUMNS).encode())


def labelled_images(masks: MaskSource, labels: LabelSource) -> list[str]:
    """The images of a mask source that have labels, in its order.

    Raises:
        HandboneError: not one of its images has labels.
    """
    image_ids = [name for name in masks.image_ids if labels.has(name)]
    if not image_ids:
        raise HandboneError(
            f"none of the {len(masks.image_ids)} images has labels; name the labels with --labels."
        )
    return image_ids


def labelled_masks(
    masks: MaskSource, labels: LabelSource, image_id: str
) -> tuple[PackedMask, PackedMask]:
    """The masks and the labels of one image.

    Raises:
        HandboneError: they differ in size.
    """
    mask = masks.mask(image_id)
    truth = labels.mask(image_id, mask.size)
    if truth.size != mask.size:
        raise HandboneError(f"{image_id}: the masks are {mask.size}, the labels {truth.size} px.")
    return mask, truth


def all_pairs(classes: int) -> list[Pair]:
    """Every two classes (a, b) with a < b, in the order of all overlaps."""
    return list(combinations(range(classes), 2))


def evaluate(
    masks: MaskSource, labels: LabelSource, report: Callable[[int, int], None]
) -> Evaluation:
    """Score the labelled images of a mask source.

    Raises:
        HandboneError: not one of its images has labels.
    """
    image_ids = labelled_images(masks, labels)
    classes = len(masks.class_names)
    pairs = all_pairs(classes)
    census, scores, overlap_scores = Census(classes), [], []
    for done, image_id in enumerate(image_ids, start=1):
        mask, truth = labelled_masks(masks, labels, image_id)
        counts, counts_shared = overlap_counts(mask, truth), pair_counts(mask, truth, pairs)
        census.add(
            counts[:, 2], shared_pixels(counts_shared[:, 2], classes), mask.size[0] * mask.size[1]
        )
        scores.append(dice(*counts.T))
        overlap_scores.append(dice(*counts_shared.T))
        report(done, len(image_ids))
    groups = census.groups()  # known at the end alone, so every pair was counted
    chosen = [pairs.index(pair) for pair in groups.pairs]
    return Evaluation(
        image_ids,
        [masks.person(name) for name in image_ids],
        list(masks.class_names),
        np.array(scores),
        groups,
        np.array(overlap_scores)[:, chosen],
    )


def shared_pixels(counts: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts of all pairs (P,) as a matrix (C, C), above its diagonal."""
    shared = np.zeros((classes, classes), np.int64)
    shared[np.triu_indices(classes, 1)] = counts
    return shared
