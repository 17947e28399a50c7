"""What to read from every chart, in one sentence with this dataset's own figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.dataset_figures import GREY_KINDS
from handbone_cli.results.dataset_page.overlaps import layer_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.dataset_figures import (
        BodyFigures,
        Correlation,
        DatasetFigures,
        GreyFigures,
        Ratio,
    )


UNEQUAL = 1.5
"""Times as large: from here on sizes are worth a word."""


def of_areas(figures: DatasetFigures) -> str:
    """Largest against smallest, and the one that varies most."""
    with np.errstate(invalid="ignore"):
        shares = figures.shares
        there = np.flatnonzero(~np.isnan(shares).all(axis=0))
        middle = np.array([np.nanmedian(shares[:, i]) for i in there])
        spread = np.array([np.nanstd(shares[:, i]) / np.nanmean(shares[:, i]) for i in there])
    names = [figures.class_names[i] for i in there]
    missing = [name for name in figures.class_names if name not in names]
    absent = f" Never labelled: {', '.join(missing)}." if missing else ""
    large, small, varied = int(middle.argmax()), int(middle.argmin()), int(spread.argmax())
    times = middle[large] / middle[small]
    compared = (
        f"{names[large]} is {times:.{0 if times >= 10 else 1}f} times as large as {names[small]}: "
        "a loss that counts pixels hardly sees the small ones. "
        if times >= UNEQUAL
        else ""
    )
    return (
        f"{compared}{names[varied]} varies most (SD {100 * spread[varied]:.0f} % of its mean)."
        f"{absent}"
    )


def of_centroids(figures: DatasetFigures) -> str:
    """How far hands are shifted, in the terms of augmentation."""
    middles = np.nanmean(figures.hand_centroids[figures.usual], axis=1)
    x, y = 100 * np.nanstd(middles, axis=0)
    mirrored = any(image.side == "left" for image in figures.labelled)
    note = " Left hands are mirrored." if mirrored else ""
    note += "" if figures.usual.all() else " Bent wrists are pale and do not count here."
    return (
        f"The middle of the hand moves by {x:.1f} % of the image across and {y:.1f} % along "
        f"(SD): shifts of that size in training stay within what this data shows.{note}"
    )


def of_frequency(figures: DatasetFigures) -> str:
    """How many pairs always, sometimes and never overlap."""
    lower = np.tril_indices(len(figures.class_names), -1)
    frequency = figures.overlaps.frequency[lower]
    always = int(np.count_nonzero(frequency >= 0.9))
    ever = int(np.count_nonzero(frequency > 0))
    return (
        f"Pairs that share a pixel: {ever} of {len(frequency)} in some image, {always} in 90 % of "
        "the images or more; one label a pixel cannot describe these."
    )


def of_iou(figures: DatasetFigures) -> str:
    """The pair that overlaps most."""
    iou = np.tril(np.nan_to_num(figures.overlaps.iou), -1)
    row, column = np.unravel_index(int(iou.argmax()), iou.shape)
    if not iou.any():
        return "No two bones overlap."
    names = figures.class_names
    strong = int(np.count_nonzero(iou >= 0.05))
    return (
        f"{names[column]} and {names[row]} share most (IoU {iou[row, column]:.2f}). "
        f"Pairs of an IoU of 0.05 or more: {strong}; the others hardly overlap."
    )


def of_layers(figures: DatasetFigures) -> str:
    """How little of an image overlaps."""
    shares = layer_shares(figures)
    mean = 100 * shares.mean(axis=0)
    several = f"{mean[2:].sum():.2g} % carry two or more"
    return f"On average {mean[0]:.1f} % of the pixels are background and {several}."


def of_grey(grey: GreyFigures) -> str:
    """How far one grey value would get."""
    common = np.minimum(grey.shares[0], grey.shares[1:].max(axis=0)).sum()
    medians = ", ".join(
        f"{name} {grey.quantile(kind, 0.5)}"
        for kind, name in enumerate(GREY_KINDS)
        if grey.images[kind]
    )
    alone = (
        "a threshold finds much of the bone"
        if common < 0.2
        else "grey alone does not tell bone from what surrounds it"
    )
    return (
        f"Bone and background have {100 * common:.0f} % of their grey values in common: {alone}. "
        f"Medians: {medians}."
    )


def of_pose(figures: DatasetFigures) -> str:
    """Bent wrists by split."""
    parts = []
    for split in dict.fromkeys(image.split for image in figures.labelled):
        poses = [i for i in figures.labelled if i.split == split and i.bend is not None]
        if poses:
            bent = 100 * sum(image.bent for image in poses) / len(poses)
            parts.append((f"{bent:.0f} % of {split}", bent))
    shares = [share for _, share in parts]
    apart = (
        "; the splits differ, so validate on poses as the test has them"
        if max(shares) - min(shares) > 10
        else ""
    )
    return f"Bent wrists are {' and '.join(words for words, _ in parts)} images{apart}."


def of_height(bodies: BodyFigures) -> str:
    """Height with area."""
    fit = bodies.of_area["height"]
    left_out = f" without {' and '.join(bodies.left_out)}" if bodies.left_out else ""
    if fit is None:
        return "Too few people have both a height and a whole hand to fit a line."
    sure = "" if fit.low > 0 or fit.high < 0 else "; the interval includes 0"
    return (
        f"The area of all bones{left_out} goes with height by r = {fit.r:.2f} "
        f"(95 % interval {fit.low:.2f} to {fit.high:.2f}, {fit.people} people){sure}."
    )


def of_findings(
    names: Sequence[str], found: Sequence[Correlation | Ratio | None], what: str
) -> str:
    """Which bones differ from nothing after correction."""
    certain = [name for name, f in zip(names, found, strict=True) if f is not None and f.certain]
    compared = sum(f is not None for f in found)
    listed = ", ".join(certain[:6]) + (", ..." if len(certain) > 6 else "")
    some = f"{len(certain)} of {compared} bones ({listed}) {'has' if len(certain) == 1 else 'have'}"
    return (
        f"{some if certain else 'No bone has'} {what} that holds at 5 % after Holm's correction "
        "for all bones (filled dots); bars are 95 % intervals of each bone alone."
    )
