from __future__ import annotations

import numpy as np
import pytest
import torch


def signed_levels(inside):
    """Kervadec's distances, 1 outside the border, 0 on the bone's own border pixels, -1 deeper."""
    ndimage = pytest.importorskip("scipy.ndimage")
    outer, inner = (ndimage.distance_transform_edt(mask) for mask in (~inside, inside))
    return np.where(inside, 1 - inner, outer)


def test_hand_computed(build, pack):
    logits = torch.tensor([0.0, 0.0, 0.0, 0.0, 60.0, 0.0]).view(1, 1, 1, 6)
    targets = torch.tensor([1, 1, 1, 0, 0, 0]).view(1, 1, 1, 6)
    # the image's edge is no border: depths -2, -1, 0, then 1, 2, 3, cut at 2 and over 2
    expected = (0.5 * (-1 - 0.5 + 0 + 0.5) + 1.0 * 1 + 0.5 * 1) / 6
    assert build("boundary", reach=2)(logits, pack(targets)).item() == pytest.approx(expected)


@pytest.mark.parametrize("reach", [1, 4, 100])
def test_equals_distances_of_the_whole_image(build, pack, reach):
    rng = np.random.default_rng(6)
    targets = np.zeros((2, 9, 24, 20), bool)
    for n, c in np.ndindex(2, 8):  # class 8 is nowhere
        y, x = rng.integers(0, 16, 2)
        targets[n, c, y : y + 7, x : x + 5] = True
    logits = torch.from_numpy(rng.normal(size=targets.shape).astype(np.float32))
    levels = np.ones(targets.shape)
    for n, c in np.ndindex(2, 8):
        levels[n, c] = np.clip(signed_levels(targets[n, c]) / reach, -1, 1)
    expected = (logits.sigmoid().numpy() * levels).mean()
    assert build("boundary", reach=reach)(logits, pack(targets)).item() == pytest.approx(
        expected, rel=1e-4
    )
