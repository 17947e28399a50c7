from __future__ import annotations

import torch

from handbone_cli.networks.nnunet_names import as_handbone_names

LAYER = "encoder.stages.0.0.convs.0"


def numbers(*shape):
    return torch.rand(shape)


def test_second_names_go_and_heads_are_counted_from_the_finest():
    weight, norm, deep, fine = (
        numbers(4, 1, 3, 3),
        numbers(4),
        numbers(2, 8, 1, 1),
        numbers(2, 4, 1, 1),
    )
    once = {
        f"{LAYER}.all_modules.0.weight": weight,
        f"{LAYER}.all_modules.1.weight": norm,
        "decoder.seg_layers.0.weight": deep,
        "decoder.seg_layers.1.weight": fine,
    }
    # Copies, as a checkpoint of averaged weights has them: equal, in no memory in common.
    twice = {f"{LAYER}.conv.weight": weight.clone(), f"{LAYER}.norm.weight": norm.clone()}
    again = {f"decoder.{n}": t.clone() for n, t in {**once, **twice}.items() if n.startswith("enc")}
    named = as_handbone_names({**twice, **once, **again})
    assert named.keys() == once.keys()
    assert named["decoder.seg_layers.0.weight"] is fine
    assert named["decoder.seg_layers.1.weight"] is deep
    assert named[f"{LAYER}.all_modules.0.weight"] is weight


def test_a_second_name_of_something_else_stays():
    tensors = {f"{LAYER}.conv.weight": numbers(4), f"{LAYER}.all_modules.0.weight": numbers(4)}
    assert as_handbone_names(tensors) == tensors
    tensors = {
        f"{LAYER}.conv.weight": torch.zeros(2),
        f"{LAYER}.all_modules.0.weight": torch.zeros(2).half(),
    }
    assert as_handbone_names(tensors) == tensors


def test_names_of_other_networks_are_left_alone():
    tensors = {"decoder.seg_layers.0.weight": numbers(2), "decoder.seg_layers.1.weight": numbers(3),
               "stem.conv.weight": numbers(2), "encoder.conv.bias": numbers(2)}  # fmt: skip
    assert as_handbone_names(tensors) == tensors
