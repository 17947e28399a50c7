from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest

from handbone_cli.metrics.borders import contour_elements, edge_pixels
from handbone_cli.metrics.distances import border_distances

SPACINGS = ((1.0, 1.0), (0.1, 0.1), (0.143, 0.2))


def blob(rng, size):
    noise = cv2.GaussianBlur(rng.random(size), (0, 0), rng.uniform(0.3, 6))
    return noise > np.quantile(noise, rng.random())


def random_pairs(count, largest):
    """Blobs and noise of any shape, a half of them nearly alike; some touch the image's end."""
    rng = np.random.default_rng(count)
    while count:
        size = tuple(int(side) for side in rng.integers(2, largest, 2))
        one, other = blob(rng, size), blob(rng, size)
        if rng.random() < 0.5:
            other = np.roll(one, rng.integers(-3, 4, 2), (0, 1)) ^ (rng.random(size) < 0.01)
        if one.any() and other.any():
            yield one, other, SPACINGS[count % 3], (1, 2, 0.3)[count % 3]
            count -= 1


def distances(one, other, spacing=(1.0, 1.0)):
    return border_distances(edge_pixels(one), edge_pixels(other), spacing)


def test_distances_are_those_of_an_exact_transform():
    ndimage = pytest.importorskip("scipy.ndimage")
    for one, other, spacing, _ in random_pairs(60, 90):
        found = distances(one, other, spacing)
        edges = edge_pixels(one).places, edge_pixels(other).places
        for way, here, there in zip(found.ways, edges, edges[::-1], strict=True):
            exact = ndimage.distance_transform_edt(~there, sampling=spacing)[here]
            assert way == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_two_pixels_far_apart_in_an_empty_image():
    one, other = np.zeros((2, 2048, 2048), bool)
    one[3, 2000], other[2040, 7] = True, True
    assert distances(one, other).hausdorff() == np.hypot(2037, 1993)


def test_a_line_moved_sideways():
    one, other = np.zeros((2, 11, 30), bool)
    one[:, 3], other[:, 7] = True, True
    other[10, 7:] = True  # a tail of 22 px at the last row: 26 px away at its end
    found = distances(one, other)
    assert found.hausdorff() == 26
    ways = np.arange(4, 27)
    assert found.mean() == pytest.approx((11 * 4 + 10 * 4 + ways.sum()) / (11 + 10 + 23))
    assert found.within(4) == pytest.approx((11 + 11) / 44)
    assert (found.within(3.99), found.within(30)) == (0, 1)


def test_a_tolerance_counts_what_lies_on_it():
    """0.1 * 3 is more than 0.3 in double precision."""
    one, other = np.zeros((2, 5, 9), bool)
    one[:, 2], other[:, 5] = True, True
    assert distances(one, other, (0.1, 0.1)).within(0.3) == 1


@pytest.mark.slow  # 20 s: MONAI takes 10 ms a pair, its import several seconds
def test_figures_of_pixels_are_monais():
    metrics = pytest.importorskip("monai.metrics")
    import torch

    for one, other, spacing, tolerance in random_pairs(90, 80):
        both = [torch.from_numpy(mask)[None, None] for mask in (one, other)]
        given = {"include_background": True, "spacing": spacing}
        found = distances(one, other, spacing)
        expected = [
            metrics.compute_hausdorff_distance(*both, **given),
            metrics.compute_hausdorff_distance(*both, percentile=95, **given),
            metrics.compute_average_surface_distance(*both, symmetric=True, **given),
            metrics.compute_surface_dice(*both, [tolerance], **given),
        ]
        ours = [found.hausdorff(), found.hausdorff(95), found.mean(), found.within(tolerance)]
        theirs = [float(each) for each in expected]
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)
        contour = [contour_elements(mask, spacing) for mask in (one, other)]
        subvoxels = metrics.compute_surface_dice(*both, [tolerance], use_subvoxels=True, **given)
        ours = border_distances(*contour, spacing).within(tolerance)
        assert ours == pytest.approx(float(subvoxels), abs=1e-6)


def test_figures_of_contours_are_those_of_surface_distance():
    surface_distance = pytest.importorskip("surface_distance")
    for one, other, spacing, tolerance in random_pairs(60, 60):
        found = border_distances(
            contour_elements(one, spacing), contour_elements(other, spacing), spacing
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy moved what it calls
            theirs = surface_distance.compute_surface_distances(other, one, spacing)
        means = np.array(surface_distance.compute_average_surface_distance(theirs))
        lengths = np.array([theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()])
        expected = [
            surface_distance.compute_robust_hausdorff(theirs, 100),
            surface_distance.compute_robust_hausdorff(theirs, 95),
            means @ lengths / lengths.sum(),
            surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance),
        ]
        ours = [found.hausdorff(), found.hausdorff(95), found.mean(), found.within(tolerance)]
        assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_contours_weigh_their_length():
    """A square of 2 px and one of 10 px: 2 of 8 px a side lie on each other, as lengths do not."""
    small, large = np.zeros((2, 12, 12), bool)
    small[1:3, 1:3], large[1:11, 1:11] = True, True
    found = border_distances(
        contour_elements(small, (1.0, 1.0)), contour_elements(large, (1.0, 1.0)), (1.0, 1.0)
    )
    corner = np.sqrt(2) / 2
    shared = 2 * 1 + corner  # an edge of one px on two sides, and the corner between them
    total = 4 * 1 + 4 * corner + 4 * 9 + 4 * corner
    ends = 2 * corner  # of the small one, which lie on the large one's straight sides
    straight = 2 * 1  # and what lies there of the large one
    assert found.within(0) == pytest.approx((2 * shared + ends + straight) / total)
    assert found.hausdorff(1) == 0
