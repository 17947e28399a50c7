"""Made-up figures of a dataset, for what draws them and tells of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handbone_cli.dataset_figures import (
    BodyFigures,
    Correlation,
    DatasetFigures,
    GreyFigures,
    ImageFigures,
    Outlier,
    OverlapFigures,
    Ratio,
)

NAMES = ("finger-1", "Capitate", "Radius", "<b>&x")
MIDDLES = np.array([(30.0, 20), (50, 60), (50, 90), (90, 50)])


def image_figures(number, *, split="train", bend=None, areas=(100, 400, 2000, 50)):
    areas = np.array(areas) + number
    centroids = MIDDLES + number % 3
    return ImageFigures(
        f"image{number}",
        f"p{number // 2}",
        split,
        (100, 120),
        8,
        areas,
        centroids,
        (9000, 2900, 100 - number),
        ("left", "right")[number % 2],
        bend,
        bend is not None and abs(bend) >= 22,
    )


@pytest.fixture
def dataset_figures():
    """Six labelled images of three people in two splits, and one without labels."""
    together = np.full((4, 4), 6)
    sharing = np.array([(6, 0, 0, 0), (0, 6, 6, 0), (0, 6, 6, 3), (0, 0, 3, 6)])
    iou = np.array([(1, 0, 0, 0), (0, 1, 0.4, 0), (0, 0.4, 1, 0.002), (0, 0, 0.002, 1)])
    shares = np.zeros((3, 256))
    shares[0, :40], shares[1, 100:200], shares[2, 150:250] = 1 / 40, 0.01, 0.01
    images = [
        image_figures(n, split="train" if n < 4 else "test", bend=(0.0, 30.0)[n % 2])
        for n in range(6)
    ]
    bare = ImageFigures("image6", "p3", "test", (100, 120), 16)
    certain = Correlation(3, 0.8, 0.5, 0.9, 2e-4, 0.1, certain=True)
    open_ = Correlation(3, 0.1, -0.4, 0.5, 1e-5, 0.1)
    bodies = BodyFigures(
        ("p0", "p1", "p2"),
        ("female", "male", None),
        {
            "age": np.array([30.0, 40, np.nan]),
            "weight": np.array([50.0, 80, 60]),
            "height": np.array([160.0, 180, 170]),
        },
        np.array([0.11, 0.13, 0.12]),
        ("Radius",),
        {"age": None, "weight": open_, "height": certain},
        (certain, open_, open_, None),
        (Ratio(3, 4, 1.2, 1.1, 1.3, certain=True), None, Ratio(3, 4, 1.0, 0.9, 1.1), None),
        ("p9",),
    )
    outliers = (
        Outlier("image1", 3, -6.0, 0.011, 0.2),
        Outlier("image1", 0, 4.0, 0.0, -0.04),
        Outlier("image2", 1, np.nan, 0.05, 5.0),
    )
    return DatasetFigures(
        "<my> data",
        NAMES,
        (*images, bare),
        OverlapFigures(together, sharing, iou),
        GreyFigures(shares, np.array([6, 6, 6])),
        {i: np.array([(-0.1, -0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, 0.1)]) for i in range(4)},
        bodies,
        outliers,
        ("a<b>.png: the file is empty.",),
    )


@pytest.fixture
def plain_figures(dataset_figures):
    """The same without metadata, poses, outliers or problems, of two sizes."""
    images = [
        replace(image, bend=None, bent=False, side=None, size=(100, 120 + 10 * (n % 2)))
        for n, image in enumerate(dataset_figures.labelled)
    ]
    return replace(dataset_figures, images=tuple(images), bodies=None, outliers=(), problems=())
