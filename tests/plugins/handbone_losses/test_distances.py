from __future__ import annotations

import numpy as np
import torch

from handbone_losses.distances import near_borders, signed_distance


def brute_force(inside):
    """px to the nearest pixel of the other side, by trying all."""
    places = np.argwhere(np.ones_like(inside))
    flat = inside.ravel()
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    apart[flat[:, None] == flat[None]] = np.inf
    return np.where(flat, -1, 1).reshape(inside.shape) * apart.min(1).reshape(inside.shape)


def test_distance_to_the_other_side():
    rng = np.random.default_rng(3)
    for density in (0.02, 0.5, 0.98):
        inside = rng.random((13, 17)) < density
        inside[6, 8] = True
        assert np.allclose(signed_distance(inside), brute_force(inside), atol=1e-5)
    assert (signed_distance(np.ones((2, 3), bool)) == -np.inf).all()


def test_boxes_hold_all_that_is_within_reach(pack):
    targets = torch.zeros(2, 9, 30, 20, dtype=torch.bool)
    targets[0, 1, 10:14, 8:12] = True
    targets[1, 1, 0:3, 15:20] = True
    targets[1, 8, :, :] = True
    found = near_borders(pack(targets), 9, 3)
    assert [len(bones) for bones in found] == [0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert [(bone.image, bone.box) for bone in found[1]] == [
        (0, (7, 17, 5, 15)),
        (1, (0, 6, 12, 20)),
    ]
    for bone in found[1]:
        whole = brute_force(targets[bone.image, 1].numpy())
        y0, y1, x0, x1 = bone.box
        assert np.allclose(bone.distance, whole[y0:y1, x0:x1], atol=1e-5)
        outside = np.ones_like(whole, bool)
        outside[y0:y1, x0:x1] = False
        assert (whole[outside] > 3).all()
