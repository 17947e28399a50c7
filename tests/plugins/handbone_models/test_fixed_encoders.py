from __future__ import annotations

import pytest
import torch

from handbone_cli import ModelContext
from handbone_cli.host.registry import installed
from handbone_models import fixed_encoders

PUBLISHED = {
    "segformer_b0": 3.8,
    "segformer_b1": 13.7,
    "segformer_b2": 27.5,
    "segformer_b3": 47.3,
    "segformer_b4": 64.1,
    "segformer_b5": 84.7,
    "upernet_swin_tiny": 60,
    "upernet_swin_small": 81,
    "upernet_swin_base": 121,
    "upernet_convnext_tiny": 60,
    "upernet_convnext_small": 82,
    "upernet_convnext_base": 122,
    "upernet_convnext_large": 235,
}
"""Millions of parameters in the papers, with the 150 classes of ADE20K."""
UNETS = [f"unet_mit_b{size}" for size in range(6)]
UNETS += [f"unet_efficientnet_b{size}" for size in range(8)]


def build(name, channels=1, **options):
    component = installed().get("models", name)
    with torch.device("meta"):
        return component.builder()(component.options_type()(**options), ModelContext(150, channels))


def millions(module):
    return sum(each.numel() for each in module.parameters()) / 1e6


def test_every_builder_is_registered_under_its_name():
    builders = {name for name in vars(fixed_encoders) if name.startswith("build_")}
    assert builders == {f"build_{name}" for name in [*PUBLISHED, *UNETS]}
    for name in [*PUBLISHED, *UNETS]:
        component = installed().get("models", name)
        assert component.builder().keywords["name"] == name
        assert name.rpartition("_")[2] in component.builder().keywords["encoder"]
        assert "encoder" not in component.options_type().model_fields
        assert name in str(component.factory)


@pytest.mark.slow  # 0.5 to 4 s each, 15 s together: 600 million parameters without storage
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_the_size_of_its_paper(name):
    model = build(name, channels=3)
    assert millions(model) == pytest.approx(PUBLISHED[name], rel=0.03)
    assert model.divisor == installed().get("models", name).divisor


def test_unets_grow_with_their_encoders():
    for family in ("unet_mit_b", "unet_efficientnet_b"):
        sizes = [millions(build(f"{family}{size}").encoder) for size in (0, 1)]
        assert sizes[0] < sizes[1]


def test_the_last_block_is_skipped_most():
    for name, skipped in (("upernet_swin_tiny", 0.25), ("upernet_convnext_tiny", 0.3)):
        model = build(name, **({"drop_path": 0.25} if skipped == 0.25 else {}))
        rates = [getattr(each, "drop_prob", 0) for each in model.modules()]
        assert max(rate for rate in rates if rate) == pytest.approx(skipped)


def test_swin_shifts_its_windows_in_every_stage():
    blocks = [each for each in build("upernet_swin_tiny").modules() if hasattr(each, "shift_size")]
    assert [tuple(block.shift_size) for block in blocks] == [(0, 0), (3, 3)] * 6
