from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli.prediction.sliding_window import Windows, blend, pad_to_window, profile, starts

SIZES = [(64, 64), (65, 100), (130, 77), (40, 90), (20, 20), (1, 70), (33, 1)]
SETTINGS = [
    Windows(32, 16),
    Windows(32, 32, gaussian=False),
    Windows(32, 13, gaussian=True, sigma=0.1, batch_size=3),
    Windows(48, 20, gaussian=False, batch_size=1),
    Windows(64, 5, batch_size=50),
]


def joined(image, model, classes, windows):
    """All rows, after checking that they come once and in order."""
    rows, parts = 0, []
    for first, band in blend(image, model, classes, windows):
        assert first == rows
        assert band.shape[0] == classes
        assert band.shape[2] == image.shape[3]
        rows += band.shape[1]
        parts.append(band)
    assert rows == image.shape[2]
    return torch.cat(parts, dim=1)


def naive(image, model, windows):
    """Everything at once: two full arrays in float64, windows one by one."""
    side = windows.window
    padded = pad_to_window(image, side)
    height, width = padded.shape[-2:]
    place = (np.arange(side) + 0.5) / side - 0.5
    line = np.exp(-0.5 * (place / windows.sigma) ** 2) if windows.gaussian else np.ones(side)
    line = np.maximum(line, 1e-4) if windows.gaussian else line
    weight, total, count = np.outer(line, line), 0.0, np.zeros((height, width))
    for y in starts(height, side, windows.stride):
        for x in starts(width, side, windows.stride):
            maps = model(padded[..., y : y + side, x : x + side])[0].double().numpy()
            full = np.zeros((len(maps), height, width))
            full[:, y : y + side, x : x + side] = maps * weight
            total = total + full
            count[y : y + side, x : x + side] += weight
    return (total / count)[:, : image.shape[2], : image.shape[3]]


def place_dependent(windows):
    """What a window shows also depends on where in the window it lies."""
    ramp = torch.linspace(0, 1, windows.window)

    def model(crops):
        return torch.cat([crops * 0.5 + 0.5 * ramp, crops * ramp[:, None]], dim=1)

    return model


@pytest.mark.parametrize("windows", SETTINGS)
@pytest.mark.parametrize("size", SIZES)
def test_a_constant_stays_that_constant(size, windows):
    def model(crops):
        return torch.tensor([0.25, 0.75]).view(1, 2, 1, 1).expand(len(crops), -1, *crops.shape[2:])

    blended = joined(torch.rand(1, 1, *size), model, 2, windows)
    assert torch.allclose(blended, torch.tensor([0.25, 0.75]).view(2, 1, 1), atol=1e-5)


@pytest.mark.parametrize("windows", SETTINGS[:4])
@pytest.mark.parametrize("size", SIZES)
def test_bands_are_the_full_accumulation(size, windows):
    image = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1))
    model = place_dependent(windows)
    expected = naive(image, model, windows)
    assert np.abs(joined(image, model, 2, windows).numpy() - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [
        (64, 64, 32, [0]),
        (10, 64, 32, [0]),
        (65, 64, 32, [0, 1]),
        (128, 64, 32, [0, 32, 64]),
        (130, 64, 32, [0, 32, 64, 66]),
        (100, 50, 50, [0, 50]),
    ],
)
def test_where_windows_begin(length, window, stride, expected):
    assert starts(length, window, stride) == expected


def test_the_weight_is_highest_in_the_middle():
    line = profile(Windows(8, 4, sigma=0.3))
    assert torch.equal(line, line.flip(0))
    assert line.argmax() in (3, 4)
    assert line[0].item() == pytest.approx(np.exp(-0.5 * (0.4375 / 0.3) ** 2))
    assert profile(Windows(8, 4, sigma=0.001)).min().item() == pytest.approx(1e-4)
    assert profile(Windows(8, 4, gaussian=False)).tolist() == [1] * 8


def test_padding_mirrors_again_and_again():
    row = torch.arange(3.0).view(1, 1, 1, 3).repeat(1, 1, 3, 1)
    assert pad_to_window(row, 9)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0]
    assert pad_to_window(torch.zeros(1, 1, 1, 1), 5).shape == (1, 1, 5, 5)


def test_windows_go_to_the_model_in_batches():
    seen = []

    def model(crops):
        seen.append(len(crops))
        return crops

    joined(torch.rand(1, 1, 40, 90), model, 1, Windows(32, 16, batch_size=2))
    assert seen == [2, 2, 1] * 2
