from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli.prediction.seam import OnCpu, OnGpu
from handbone_cli.prediction.sliding_window import Windows, pad_to_window, profile, starts, stitch
from handbone_cli.prediction.window_batch import WindowBatch

SIZES = [(64, 64), (65, 100), (130, 77), (40, 90), (20, 20), (1, 70), (33, 1)]
SETTINGS = [
    (Windows(32, 16), 2),
    (Windows(32, 32, gaussian=False), 2),
    (Windows(32, 13, gaussian=True, sigma=0.1), 3),
    (Windows(48, 20, gaussian=False), 1),
    (Windows(64, 5), 50),
]


def stitched(image, model, classes, windows, size=2, dtype=torch.float32, **options):
    """Every pixel, over values that none may keep."""
    out = torch.full((classes, *image.shape[2:]), 77, dtype=dtype)
    made = stitch(image, model, windows, WindowBatch(size), out, **options)
    assert made is out
    return out


def naive(image, model, windows):
    """Everything at once: two full arrays in float64, windows one by one."""
    side = windows.window
    padded = pad_to_window(image, side)
    height, width = padded.shape[-2:]
    place = (np.arange(side) + 0.5) / side - 0.5
    line = np.exp(-0.5 * (place / windows.sigma) ** 2) if windows.gaussian else np.ones(side)
    line = np.maximum(line, 1e-4) if windows.gaussian else line
    weight = np.outer(line, line) if windows.weight is None else windows.weight.double().numpy()
    total, count = 0.0, np.zeros((height, width))
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


@pytest.mark.parametrize(("windows", "batch"), SETTINGS)
@pytest.mark.parametrize("size", SIZES)
def test_a_constant_stays_that_constant(size, windows, batch):
    def model(crops):
        constant = torch.tensor([0.25, 0.75]).view(1, 2, 1, 1)
        return constant.repeat(len(crops), 1, *crops.shape[2:])

    made = stitched(torch.rand(1, 1, *size), model, 2, windows, batch)
    assert torch.allclose(made, torch.tensor([0.25, 0.75]).view(2, 1, 1), atol=1e-5)


@pytest.mark.parametrize(("windows", "batch"), SETTINGS[:4])
@pytest.mark.parametrize("size", SIZES)
def test_rows_are_the_full_accumulation(size, windows, batch):
    image = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1))
    model = place_dependent(windows)
    expected = naive(image, model, windows)
    assert np.abs(stitched(image, model, 2, windows, batch).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("seed", range(60))
def test_any_size_window_stride_weight_and_batch(seed):
    rng = np.random.default_rng(seed)
    window = int(rng.integers(3, 60))
    stride = window if seed % 5 == 0 else int(rng.integers(max(window // 6, 1), window + 1))
    # a window-shaped weight that no product of two lines makes
    draw = torch.Generator().manual_seed(seed)
    weight = torch.rand(window, window, generator=draw) + 0.01 if seed % 4 == 0 else None
    windows = Windows(window, stride, bool(seed % 3), float(rng.uniform(0.1, 0.6)), weight)
    image = torch.rand(1, 1, *(int(side) for side in rng.integers(1, 110, 2)), generator=draw)
    model, batch = place_dependent(windows), int(rng.integers(1, 9))
    expected = naive(image, model, windows)
    exact = stitched(image, model, 2, windows, batch).numpy()
    assert np.abs(exact - expected).max() < 1e-5
    levels = stitched(image, model, 2, windows, batch, torch.uint8).numpy()
    assert np.abs(levels - 255 * expected).max() < 0.51


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_logits_are_averaged_before_the_sigmoid(dtype):
    windows = Windows(24, 10)
    image = 12 * torch.rand(1, 1, 50, 61, generator=torch.Generator().manual_seed(2)) - 6
    model = place_dependent(windows)
    expected = 1 / (1 + np.exp(-naive(image, model, windows)))
    scale, near = (255, 0.51) if dtype == torch.uint8 else (1, 1e-5)
    made = stitched(image, model, 2, windows, dtype=dtype, logits=True).numpy()
    assert np.abs(made - scale * expected).max() < near


def test_extreme_logits_are_sure():
    def model(crops):
        return torch.cat([torch.full_like(crops, -2e4), torch.full_like(crops, 2e4)], dim=1)

    image = torch.zeros(1, 1, 40, 40)
    made = stitched(image, model, 2, Windows(32, 16), dtype=torch.uint8, logits=True)
    assert made.amin((1, 2)).tolist() == made.amax((1, 2)).tolist() == [0, 255]


def test_the_steps_of_a_gpu_are_those_of_a_cpu():
    """All classes at once with torch against one at a time with OpenCV."""
    draw = torch.Generator().manual_seed(3)
    maps, weight = torch.rand(3, 6, 9, generator=draw), torch.rand(6, 9, generator=draw)
    gpu = torch.rand(3, 6, 9, generator=draw)
    cpu = gpu.numpy().copy()
    OnGpu.add_product(maps, weight, gpu)
    OnGpu.move(gpu[..., 2:], gpu[..., :-2])
    OnGpu.set_product(maps[..., :3], weight[:, :3], gpu[..., 4:7])
    for plane, each in zip(cpu, maps.numpy(), strict=True):
        OnCpu.add_product(each, weight.numpy(), plane)
        OnCpu.move(plane[..., 2:], plane[..., :-2])
        OnCpu.set_product(each[..., :3], weight.numpy()[:, :3], plane[..., 4:7])
    assert np.abs(gpu.numpy() - cpu).max() < 1e-6
    for dtype in (torch.uint8, torch.float32):
        for logits in (False, True):
            one, other = (torch.zeros(3, 5, 8, dtype=dtype) for _ in range(2))
            OnGpu.write(gpu / 2, one, logits)
            for plane, target in zip(gpu / 2, other, strict=True):
                OnCpu.write(plane.numpy(), target.numpy(), logits)
            step = 1 if dtype == torch.uint8 else 1e-6
            assert (one.double() - other.double()).abs().max() <= step
            assert one.double().mean() > (50 if dtype == torch.uint8 else 0.2)


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


def test_batches_cross_rows():
    seen = []

    def model(crops):
        seen.append(len(crops))
        return crops.clone()

    image = torch.rand(1, 1, 40, 90)
    made = [stitched(image, model, 1, Windows(32, 16), size) for size in (1, 4)]
    assert seen == [1] * 10 + [4, 4, 2]
    assert torch.equal(*made)
