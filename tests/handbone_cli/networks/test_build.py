from __future__ import annotations

import pytest
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, Registry, installed
from handbone_cli.networks.build import build_loss, build_segmenter, build_tta, choose_precision
from handbone_cli.recipe.load import load_recipe

CPU = torch.device("cpu")


def test_a_network_follows_from_the_seed(tiny_data):
    recipe = load_recipe(str(tiny_data.recipe), installed())
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again = (build_segmenter(recipe, installed(), 4) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first.divisor == 4


def test_a_plugin_that_builds_something_else(tiny_data):
    recipe = load_recipe(str(tiny_data.recipe), installed())
    registry = Registry()
    registry.add(Component("models", "nnunet", lambda o, c: "net", None, "", 1, "odd", "1.0"))
    recipe = recipe.model_copy(update={"model": type(recipe.model)(name="nnunet")})
    with pytest.raises(HandboneError, match=r"'nnunet' of odd built a str; expected a torch"):
        build_segmenter(recipe, registry, 4)


def test_losses_and_views(tiny_data):
    recipe = load_recipe(str(tiny_data.recipe), installed(), ["tta=[{name='hflip'}]"])
    loss = build_loss(recipe, installed(), ["a", "b", "c", "d"])
    labels = torch.zeros(1, 8, 8, 1, dtype=torch.uint8)
    assert torch.isfinite(loss(torch.zeros(1, 4, 8, 8), labels))
    assert len(build_tta(recipe.tta, installed(), ())) == 1


@pytest.mark.parametrize(
    ("wanted", "has_amx", "dtype"),
    [
        ("auto", False, torch.float32),
        ("auto", True, torch.bfloat16),
        ("bf16", False, torch.bfloat16),
        ("fp16", False, torch.float16),
        ("fp32", True, torch.float32),
    ],
)
def test_precision_on_a_cpu(monkeypatch, wanted, has_amx, dtype):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx, raising=False)
    assert choose_precision(wanted, CPU) is dtype
