from __future__ import annotations

import pytest
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, Registry, installed
from handbone_cli.networks.build import (
    build_loss,
    build_segmenter,
    build_tta,
    choose_precision,
    require_batch,
)
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


def small_model(**said):
    def build(options, context):
        core = torch.nn.Conv2d(context.in_channels, context.classes, 1)
        for key, value in said.items():
            setattr(core, key, value)
        return core

    registry = Registry()
    registry.add(Component("models", "nnunet", build, None, "", 1, "odd", "1.0"))
    return registry


def test_a_patch_below_what_a_model_needs_is_one_sentence(tiny_data):
    recipe = load_recipe(str(tiny_data.recipe), installed())
    recipe = recipe.model_copy(update={"model": type(recipe.model)(name="nnunet")})
    assert build_segmenter(recipe, small_model(minimum=64), 4).minimum == 64
    with pytest.raises(HandboneError) as caught:
        build_segmenter(recipe, small_model(minimum=65), 4)
    assert str(caught.value) == (
        "data.patch = 64: model 'nnunet' needs at least 65 px a side; use a larger patch, or a "
        "model of fewer stages."
    )


@pytest.mark.parametrize(
    ("batch_size", "patches", "said"),
    [(2, 2, None), (1, 9, "train.batch_size = 1"), (4, 1, "train.patches_per_image = 20")],
)
def test_a_batch_below_what_a_model_needs_is_one_sentence(tiny_data, batch_size, patches, said):
    recipe = load_recipe(str(tiny_data.recipe), installed(), [f"train.batch_size={batch_size}"])
    recipe = recipe.model_copy(update={"model": type(recipe.model)(name="nnunet")})
    model = build_segmenter(recipe, small_model(minimum_batch=2), 4)
    if said is None:
        require_batch(recipe, model, patches)
        return
    with pytest.raises(HandboneError) as caught:
        require_batch(recipe, model, patches)
    assert str(caught.value) == (
        f"{said}: a step would see 1 of the at least 2 patches that model 'nnunet' normalises "
        "over; raise it."
    )


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
