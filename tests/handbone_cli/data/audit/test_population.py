from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.audit.labelled_image import LabelledImage
from handbone_cli.data.audit.population import (
    area_findings,
    missing_findings,
    sesamoid_remarks,
)

NAMES = ("a", "b", "c", "d")


def image(number, sides, size=(400, 400)):
    """Squares of some sides in a row; 0 stands for no outline."""
    parts = {}
    for index, side in enumerate(sides):
        x = 20 + 90 * index
        corners = [[x, 50], [x + side, 50], [x + side, 50 + side], [x, 50 + side]]
        if side:
            parts[index] = [np.array(corners, np.float32)]
    return LabelledImage(f"i{number}", "p", size, NAMES, parts)


def test_missing_bones_of_an_image_are_one_finding():
    images = [image(0, (9, 9, 9, 9)), image(1, (9, 0, 0, 9)), image(2, (9, 9, 9, 9))]
    (finding,), remarks = missing_findings(images, set())
    assert (finding.image_id, finding.bones) == ("i1", ("b", "c"))
    assert finding.says == "b and c have no outline."
    assert remarks == []


def test_a_bone_under_another_name_is_not_missing():
    images = [image(0, (9, 9, 9, 9)), image(1, (9, 0, 9, 9))]
    assert missing_findings(images, {("i1", "b")}) == ([], [])


def test_what_is_seldom_labelled_is_a_remark():
    images = [image(0, (9, 9, 9, 9)), image(1, (9, 9, 9, 0)), image(2, (9, 9, 9, 0))]
    findings, (remark,) = missing_findings(images, set())
    assert findings == []
    assert (remark.kind, remark.image_ids) == ("seldom_labelled", ("i0",))
    assert remark.says == "d is labelled in 1 of 3 images only."


def rows(count, rng):
    """Images of different scale with the same proportions."""
    return [
        image(number, np.array((20, 40, 60, 80)) * rng.uniform(0.7, 1.0)) for number in range(count)
    ]


def test_a_bone_too_large_for_its_dataset():
    images = rows(12, np.random.default_rng(0))
    assert area_findings(images) == []
    images[5] = image(5, (20, 60, 60, 80))
    (finding,) = area_findings(images)
    assert (finding.kind, finding.image_id, finding.bones) == ("size", "i5", ("b",))
    assert finding.says == "b has 225 % of its usual area."


def test_few_images_say_nothing_about_areas():
    images = [*rows(8, np.random.default_rng(0)), image(8, (20, 80, 60, 80))]
    assert area_findings(images) == []


def test_bones_cut_by_the_border_are_left_out():
    images = rows(12, np.random.default_rng(0))
    corners = np.array([[100, 0], [180, 0], [180, 10], [100, 10]], np.float32)
    images[5].parts[1] = [corners]
    assert area_findings(images) == []


def test_a_class_that_is_nowhere_is_no_outlier():
    images = [image(number, (20, 40, 60, 0)) for number in range(12)]
    assert area_findings(images) == []


@pytest.mark.parametrize(
    ("areas", "listed", "way"),
    [
        ([0.5, 0.6, 0.05, 0.5], ("2",), "1 of 4 images leave the sesamoid out of finger-3"),
        ([0.05, 0.06, 0.05, 0.5], ("3",), "1 of 4 images include the sesamoid in finger-3"),
        ([0.5, float("nan"), 0.05, 0.5], ("2",), "1 of 3 images leave the sesamoid"),
    ],
)
def test_the_rarer_policy_of_the_sesamoid_is_listed(areas, listed, way):
    (remark,) = sesamoid_remarks((str(place), area) for place, area in enumerate(areas))
    assert (remark.kind, remark.image_ids) == ("sesamoid", listed)
    assert remark.says.startswith(way)


def test_one_policy_is_no_remark():
    assert sesamoid_remarks([("a", 0.5), ("b", 0.4)]) == []
    assert sesamoid_remarks([("a", 0.01), ("b", 0.02)]) == []
    assert sesamoid_remarks([]) == []
