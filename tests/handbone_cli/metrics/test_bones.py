from __future__ import annotations

import warnings

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.metrics.bones import measure
from handbone_cli.metrics.plan import METRICS, Plan
from handbone_cli.scores import dice_per_class

ALL = Plan(METRICS, (1.0, 3.0), boundary=0.05)
NAMES = [column.heading for column in ALL.columns]


def bone(*boxes, size=(40, 60)):
    mask = np.zeros(size, bool)
    for y0, y1, x0, x1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def figures(predicted, truth, plan=ALL, spacing=(1.0, 1.0)):
    packed = [PackedMask.from_dense(np.array(masks)) for masks in (predicted, truth)]
    values = measure(*packed, plan, spacing)
    return [dict(zip([c.heading for c in plan.columns], row, strict=True)) for row in values]


def test_a_bone_moved_by_three_columns():
    (found,) = figures([bone((5, 25, 10, 30))], [bone((5, 25, 13, 33))])
    assert found["dice"] == pytest.approx(0.85)
    assert found["iou"] == pytest.approx(340 / 460)
    assert (found["hd px"], found["centroid px"]) == (3, 3)
    assert (found["nsd@3px"], found["missing"]) == (1, 0)
    assert np.isnan(found["extra"])
    assert 0 < found["assd px"] < found["hd95 px"] == 3
    # 3.6, so 4 px wide: 400 - 12 * 12 of each; 2 * 4 rows of 17, 2 * 12 rows of 1 column
    # of the left border and as many of the right one.
    assert found["boundary_iou"] == pytest.approx(160 / (2 * 256 - 160))


def test_nothing_depends_on_the_rest_of_the_image():
    """The same two bones in a large image and in the smallest that holds them."""
    one, other = bone((20, 33, 30, 41), (34, 36, 50, 52)), bone((18, 33, 29, 43))
    plan = Plan(tuple(name for name in METRICS if name != "boundary_iou"))
    (whole,) = figures([one], [other], plan)
    (cut,) = figures([one[18:36, 29:52]], [other[18:36, 29:52]], plan)
    assert cut == pytest.approx(whole, nan_ok=True)


def test_bones_overlap_and_each_is_measured_alone():
    rng = np.random.default_rng(2)
    predicted, truth = rng.random((2, 11, 30, 20)) < 0.4
    packed = [PackedMask.from_dense(each) for each in (predicted, truth)]
    found = measure(*packed, Plan(("dice", "hd95")))
    assert found[:, 0] == pytest.approx(dice_per_class(*packed))
    for index in range(11):
        alone = figures([predicted[index]], [truth[index]], Plan(("hd95",)))
        assert found[index, 1] == alone[0]["hd95 px"]


def test_empty_masks():
    nothing, there = bone(), bone((5, 9, 5, 9))
    neither, missing, extra = figures([nothing, nothing, there], [nothing, there, nothing])
    alike = dict.fromkeys(("dice", "iou", "boundary_iou"), 1.0)
    nan, inf = np.nan, np.inf
    distances = ("hd px", "hd95 px", "assd px", "centroid px")
    shares = ("dice", "iou", "boundary_iou", "nsd@1px", "nsd@3px")
    expected = {**dict.fromkeys(NAMES, nan), **alike, "extra": 0}
    assert neither == pytest.approx(expected, nan_ok=True)
    one = {**dict.fromkeys(shares, 0), **dict.fromkeys(distances, inf)}
    assert missing == pytest.approx({**one, "missing": 1, "extra": nan}, nan_ok=True)
    assert extra == pytest.approx({**one, "missing": nan, "extra": 1}, nan_ok=True)


@pytest.mark.slow  # 10 s: the import of MONAI
def test_empty_masks_are_as_monai_has_them_but_for_hd95():
    metrics = pytest.importorskip("monai.metrics")
    import torch

    nothing, there = bone(), bone((5, 9, 5, 9))
    pair = np.array([nothing, nothing, there]), np.array([nothing, there, nothing])
    both = [torch.from_numpy(masks)[None] for masks in pair]
    plan = Plan(("hd", "hd95", "assd", "nsd"), (2.0,))
    ours = np.array([list(row.values()) for row in figures(*pair, plan)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that masks are empty
        theirs = [
            metrics.compute_hausdorff_distance(*both, include_background=True),
            metrics.compute_hausdorff_distance(*both, include_background=True, percentile=95),
            metrics.compute_average_surface_distance(
                *both, include_background=True, symmetric=True
            ),
            metrics.compute_surface_dice(*both, [2.0] * 3, include_background=True),
        ]
    expected = np.stack([each[0].numpy() for each in theirs], 1)
    # Only here we differ: MONAI interpolates between two endless distances, and gets nan.
    assert np.isnan(expected[:, 1]).all()
    expected[1:, 1] = np.inf
    assert ours == pytest.approx(expected, nan_ok=True)


def test_spacing_scales_distances_and_not_shares():
    one, other = [bone((5, 25, 10, 30))], [bone((7, 27, 13, 33))]
    (pixels,) = figures(one, other, Plan(METRICS, (2.0,)))
    (mm,) = figures(one, other, Plan(METRICS, (0.4,), "mm"), (0.2, 0.2))
    for name in ("hd", "hd95", "assd", "centroid"):
        assert mm[f"{name} mm"] == pytest.approx(pixels[f"{name} px"] * 0.2)
    assert mm["nsd@0.4mm"] == pixels["nsd@2px"]
    assert mm["boundary_iou"] == pixels["boundary_iou"]
    (tall,) = figures(one, other, Plan(("centroid",), unit="mm"), (2.0, 1.0))
    assert tall["centroid mm"] == pytest.approx(5)


def test_contours_are_weighed_where_asked_for():
    one, other = [bone((5, 25, 10, 30))], [bone((5, 25, 12, 30))]
    (pixels,) = figures(one, other, Plan(("nsd",), (0.0,)))
    (contour,) = figures(one, other, Plan(("nsd",), (0.0,), borders="contour"))
    assert pixels["nsd@0px"] == pytest.approx((18 * 2 + 18 + 36 + 18) / (76 + 72))
    # A corner is cut off by half a diagonal; two of the second mask lie on the first's sides.
    corner = np.sqrt(2) / 2
    shared = (19 + 2 * corner + 2 * 18) + (19 + 2 * corner + 2 * 17 + 2 * corner)
    total = (4 * 19 + 4 * corner) + (2 * 19 + 2 * 17 + 4 * corner)
    assert contour["nsd@0px"] == pytest.approx(shared / total)


def test_masks_of_two_sizes():
    one, other = (PackedMask.empty((4, width), 2) for width in (4, 5))
    with pytest.raises(ValueError, match="masks differ"):
        measure(one, other, Plan())
