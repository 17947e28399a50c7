from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from handbone_cli import TtaContext
from handbone_tta.scale import MultiScaleOptions, Scale, ScaleOptions, build, build_multi_scale


def scale(factor):
    return build(ScaleOptions(factor=factor), TtaContext())


@pytest.mark.parametrize(
    ("factor", "size", "expected"),
    [(0.5, (10, 7), (5, 4)), (1.5, (10, 7), (15, 10)), (0.01, (10, 7), (1, 1))],
)
def test_sizes_are_rounded(factor, size, expected):
    view = scale(factor)
    seen = view.augment(torch.zeros(1, 1, *size))
    assert seen.shape[-2:] == expected
    assert view.restore(torch.zeros(1, 3, *seen.shape[-2:]), size).shape == (1, 3, *size)


def test_pixel_areas_are_aligned():
    # Halving the mean of two pixels each: bilinear without aligned corners.
    image = torch.tensor([0.0, 2.0, 4.0, 6.0]).view(1, 1, 1, 4)
    assert scale(0.5).augment(image).flatten().tolist() == [1.0, 5.0]


@pytest.mark.parametrize("factor", [0.75, 1.25, 2.0])
def test_restore_undoes_augment_on_smooth_maps(factor):
    rows, columns = torch.meshgrid(
        torch.linspace(0, 3, 41), torch.linspace(0, 2, 57), indexing="ij"
    )
    maps = (rows.sin() * columns.cos()).expand(1, 2, 41, 57)
    restored = scale(factor).restore(scale(factor).augment(maps), (41, 57))
    assert (restored - maps).abs().max() < 0.03


@pytest.mark.parametrize("options", [{}, {"factor": 0}, {"factor": -1}, {"factor": float("inf")}])
def test_the_factor_is_positive_and_required(options):
    with pytest.raises(ValidationError):
        ScaleOptions(**options)


def test_several_scales_are_a_view_each():
    views = build_multi_scale(MultiScaleOptions(factors=(0.5, 2)), TtaContext())
    assert views == [Scale(0.5), Scale(2.0)]
    assert build_multi_scale(MultiScaleOptions(), TtaContext()) == [Scale(0.75), Scale(1.25)]


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ([], "at least 1 item"),
        ([0.5, 0], "greater than 0"),
        ([0.5, 1], "1 is the image itself, which is averaged anyway; leave it out"),
        (0.5, "valid tuple"),
    ],
)
def test_other_factors_are_refused(factors, said):
    with pytest.raises(ValidationError, match=said):
        MultiScaleOptions(factors=factors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_stays(dtype):
    view = scale(0.75)
    maps = torch.rand(1, 2, 21, 34).to(dtype)
    assert view.restore(view.augment(maps), (21, 34)).dtype is dtype
