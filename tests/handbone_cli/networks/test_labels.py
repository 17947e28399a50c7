from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli.masks import PackedMask
from handbone_cli.networks.labels import unpack_labels


@pytest.mark.parametrize("classes", [1, 7, 8, 9, 29])
def test_unpacking_is_dense(classes):
    dense = np.random.default_rng(classes).random((2, classes, 5, 6)) < 0.5
    planes = np.stack([PackedMask.from_dense(each).planes for each in dense])
    unpacked = unpack_labels(torch.from_numpy(planes), classes)
    assert unpacked.dtype == torch.float32
    assert np.array_equal(unpacked.numpy(), dense)
    assert unpack_labels(torch.from_numpy(planes), classes, torch.bool).dtype == torch.bool
