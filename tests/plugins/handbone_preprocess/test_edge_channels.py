from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import HandboneError
from handbone_cli.testing.conformance import check_preprocessor
from handbone_preprocess.edge_channels import EdgeChannelsOptions, build


def step():
    image = np.zeros((9, 12), np.uint8)
    image[:, 6:] = 255
    return image


def test_grey_and_its_edges():
    image = step()
    stacked, box = build(EdgeChannelsOptions(), None)(image)
    assert (stacked.shape, box) == ((9, 12, 3), (0, 9, 0, 12))
    assert np.array_equal(stacked[..., 0], image)
    for channel in (1, 2):
        assert (stacked[:, 5:7, channel] == 255).all()
        assert not stacked[:, :5, channel].any()
        assert not stacked[:, 7:, channel].any()


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_steepest_step_is_white_for_every_kernel(kernel):
    stacked, _ = build(EdgeChannelsOptions(channels=("sobel",), kernel=kernel), None)(step())
    assert stacked.max() == 255
    half, _ = build(EdgeChannelsOptions(channels=("sobel",), kernel=kernel), None)(step() // 2)
    assert abs(int(half.max()) - 127) <= 1


def test_the_order_is_the_options():
    chosen = build(EdgeChannelsOptions(channels=("gradient", "grey")), None)
    assert chosen.channels(1) == 2
    assert np.array_equal(chosen(step())[0][..., 1], step())


def test_mistakes():
    with pytest.raises(HandboneError, match="kernel = 4: expected an odd number"):
        build(EdgeChannelsOptions(kernel=4), None)
    with pytest.raises(HandboneError, match="expected one channel"):
        build(EdgeChannelsOptions(), None)(np.zeros((4, 4, 2), np.uint8))


def test_conformance():
    check_preprocessor(build(EdgeChannelsOptions(), None))
