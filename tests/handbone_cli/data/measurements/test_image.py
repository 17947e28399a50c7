from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from handbone_cli import HAND_BONES, HandboneError, PackedMask, Sample
from handbone_cli.data.measurements.image import GRID, SHIFT, measure_image


def square(x, y, side):
    end = side - 1
    return np.array([(x, y), (x + end, y), (x + end, y + end), (x, y + end)], np.float32)


LABELS = {0: [square(10, 20, 10)], 1: [square(15, 20, 10)]}
NAMES = ("a", "b", "c")


def image_of(dtype=np.uint8):
    image = np.full((60, 80), 10, dtype)
    image[20:30, 10:25] = 200
    return image


def fail(words):
    raise HandboneError(words)


def sample(labels=LABELS, image=None, **more):
    return Sample(
        "x", "ID001", lambda: image_of() if image is None else image, lambda: labels, **more
    )


@pytest.mark.parametrize("packed", [False, True])
def test_areas_centroids_and_overlaps_of_outlines_and_masks(packed):
    labels = PackedMask.from_polygons(LABELS, (60, 80), 3) if packed else LABELS
    measured = measure_image(("train", sample(labels)), NAMES)
    figures = measured.figures
    assert (figures.image_id, figures.person, figures.split) == ("x", "ID001", "train")
    assert (figures.size, figures.bits, figures.pixels) == ((60, 80), 8, 4800)
    assert figures.areas.tolist() == [100, 100, 0]
    np.testing.assert_allclose(figures.centroids[:2], [(14.5, 24.5), (19.5, 24.5)])
    assert np.isnan(figures.centroids[2]).all()
    assert figures.layers == (4800 - 150, 100, 50)
    assert measured.overlaps == {(0, 1): 50 / 150}
    assert measured.problems == ()


def test_grey_values_by_number_of_labels():
    grey = measure_image(("train", sample()), NAMES).grey
    assert grey.sum(axis=1).tolist() == [4650, 100, 50]
    assert (grey[0, 10], grey[1, 200], grey[2, 200]) == (4650, 100, 50)


def test_sixteen_bits_are_told_and_stretched():
    image = image_of(np.uint16) * 100
    measured = measure_image(("train", sample(image=image)), NAMES)
    assert measured.figures.bits == 16
    assert (measured.grey[0, 0], measured.grey[1, 255]) == (4650, 100)


@pytest.mark.parametrize(("side", "sign"), [("right", 1), ("left", -1)])
def test_outlines_lie_around_the_centroid_and_left_hands_are_mirrored(side, sign):
    outline = np.array([(20, 20), (50, 20), (20, 50)], np.float32)
    found = measure_image(("train", sample({1: [outline]}, side=side)), NAMES)
    assert found.figures.side == side
    points = found.outlines[1] / (2**SHIFT * GRID / 80)
    centre = found.figures.centroids[1]
    expected = {(sign * (x - centre[0]), y - centre[1]) for x, y in outline}
    assert all(min(np.hypot(x - u, y - v) for u, v in points.tolist()) < 0.1 for x, y in expected)


def test_pose_and_side_are_told_of_a_hand():
    from handbone_datasets.generated import draw_outlines

    outlines = draw_outlines(1, 0, 0, 256)
    hand = Sample("x", "p", functools.partial(np.zeros, (256, 256), np.uint8), lambda: outlines)
    figures = measure_image(("train", hand), HAND_BONES).figures
    assert figures.side == "left"
    assert figures.bend is not None
    assert figures.bent == (abs(figures.bend) >= 22)


def test_an_image_without_labels_is_only_counted():
    measured = measure_image(("test", Sample("x", "p", image_of)), NAMES)
    assert (measured.figures.size, measured.figures.areas) == ((60, 80), None)
    assert measured.grey is None


def test_an_image_that_cannot_be_read_is_a_problem():
    broken = Sample("x", "p", lambda: fail("a.png: cut off."), lambda: LABELS)
    measured = measure_image(("train", broken), NAMES)
    assert (measured.figures, measured.problems) == (None, ("a.png: cut off.",))


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (lambda: fail("a.json: not JSON."), "a.json: not JSON."),
        (dict, "l.json: the labels hold none of the bones."),
        (
            lambda: PackedMask.empty((30, 40), 3),
            "l.json: the masks are 40 x 30, the image is 80 x 60; expected the same size.",
        ),
    ],
)
def test_labels_that_cannot_be_read_leave_the_image(labels, problem):
    broken = Sample("x", "p", image_of, labels, labels_path=Path("l.json"))
    measured = measure_image(("train", broken), NAMES)
    assert measured.problems == (problem,)
    assert measured.figures.areas is None
