"""Labels against the rest of the dataset: bones that are missing, odd areas, the sesamoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.data.audit.finding import Remark, listed, over_limit
from handbone_cli.data.audit.labelled_image import area_of, box_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage

USUALLY_THERE = 0.5  # share of images from which a class that is not there is missing
LEAST_IMAGES = 10  # from which areas say something about each other
LEAST_CLASSES = 4  # from which the median bone says how large an image shows the body
AREA_LIMIT = 6.0  # robust SDs
LEAST_SD = 0.08  # of log areas
SESAMOID_LIMIT = 0.14
"""Thousandths of a square unit; 24 real hands have 0.3 to 0.9 with the sesamoid, and 0.05 to 0.14
in 20 of them once it is cut off."""


def missing_findings(
    images: Sequence[LabelledImage], explained: set[tuple[str, str]]
) -> tuple[list[Finding], list[Remark]]:
    """Classes without outline, where the dataset usually has one.

    Args:
        images: all labelled images.
        explained: (image, class) whose outline goes by another name.
    """
    if not images:
        return [], []
    names = images[0].class_names
    shares = [
        float(np.mean([index in image.parts for image in images])) for index in range(len(names))
    ]
    remarks = []
    for name, share in zip(names, shares, strict=True):
        if share < USUALLY_THERE:
            here = [image.image_id for image in images if image.index(name) in image.parts]
            says = f"{name} is labelled in {len(here)} of {len(images)} images only."
            remarks.append(Remark("seldom_labelled", says, tuple(here)))
    usual = [index for index, share in enumerate(shares) if share >= USUALLY_THERE]
    findings = []
    for image in images:
        bones = [
            names[index]
            for index in usual
            if index not in image.parts and (image.image_id, names[index]) not in explained
        ]
        if bones:
            says = f"{listed(bones)} {'has' if len(bones) == 1 else 'have'} no outline."
            findings.append(image.finding("missing", bones, min(10.0, 4.0 + len(bones)), says))
    return findings, remarks


def area_findings(images: Sequence[LabelledImage]) -> list[Finding]:
    """Bones too large or too small for the dataset, once images are equally large.

    Bones that touch the border of an image are left out: how much of them is seen is chance.
    """
    if len(images) < LEAST_IMAGES:
        return []
    logs = np.array([_log_areas(image) for image in images])
    if logs.shape[1] >= LEAST_CLASSES:
        logs = logs - _middle(logs - _middle(logs, 0), 1)
    off = logs - _middle(logs, 0)
    sds = np.maximum(1.4826 * _middle(np.abs(off), 0), LEAST_SD)
    findings = []
    for row, index in np.argwhere(np.abs(off) >= AREA_LIMIT * sds).tolist():
        image, name = images[row], images[row].class_names[index]
        says = f"{name} has {100 * np.exp(off[row, index]):.0f} % of its usual area."
        score = over_limit(float(abs(off[row, index]) / sds[0, index]), AREA_LIMIT)
        findings.append(image.finding("size", [name], score, says))
    return findings


def _middle(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Median without nan; nan columns stay so, without a warning."""
    safe = np.where(np.isnan(values).all(axis=axis, keepdims=True), 0.0, values)
    middle: NDArray[np.float64] = np.nanmedian(safe, axis=axis, keepdims=True)
    return middle


def _log_areas(image: LabelledImage) -> NDArray[np.float64]:
    logs = np.full(len(image.class_names), np.nan)
    for index, outline in image.main.items():
        y0, y1, x0, x1 = box_of(outline)
        inside = y0 > 0 and x0 > 0 and y1 < image.size[0] and x1 < image.size[1]
        if inside:
            logs[index] = np.log(max(area_of(outline), 1.0))
    return logs


def sesamoid_remarks(areas: Iterable[tuple[str, float]]) -> list[Remark]:
    """Name the images of the rarer policy, where some outlines of finger-3 include the sesamoid.

    Args:
        areas: image id and what sticks out of finger-3 there; nan where it is not known.
    """
    known = [(image_id, area) for image_id, area in areas if not np.isnan(area)]
    without = [image_id for image_id, area in known if area < SESAMOID_LIMIT]
    rarer, way = without, "leave the sesamoid out of"
    if len(without) > len(known) / 2:
        with_it = set(without)
        rarer = [image_id for image_id, _ in known if image_id not in with_it]
        way = "include the sesamoid in"
    if not rarer:
        return []
    says = f"{len(rarer)} of {len(known)} images {way} finger-3, the others do not: two policies."
    return [Remark("sesamoid", says, tuple(rarer))]
