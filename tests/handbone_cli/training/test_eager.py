from __future__ import annotations

import sys

import pytest
import torch

from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_loss
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.eager import without_compiler

KINDS = [
    (torch.optim.AdamW, {"weight_decay": 0.1}),
    (torch.optim.Adam, {"amsgrad": True}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
]


@pytest.fixture
def no_compiler(monkeypatch):
    """An import of torch's compiler, or of sympy by its shapes, is an error."""
    for name in ("torch._dynamo", "torch.fx.experimental.symbolic_shapes"):
        monkeypatch.setitem(sys.modules, name, None)


def trained(kind, settings):
    """Weights after three steps, each with a state that was put back."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.rand(4, 3, generator=draw))
    optimizer = kind([weight], lr=0.1, **settings)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.2})
    for _ in range(3):
        optimizer.zero_grad()
        (torch.rand(2, 4, generator=draw) @ weight).square().sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    return weight.detach()


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_steps_are_those_of_torch_to_the_bit(kind, settings, request):
    plain = trained(kind, settings)
    request.getfixturevalue("no_compiler")
    assert trained(without_compiler(kind), settings).equal(plain)


def test_it_is_still_called_what_it_is_and_made_once():
    kind = without_compiler(torch.optim.AdamW)
    assert (kind.__name__, issubclass(kind, torch.optim.AdamW)) == ("AdamW", True)
    assert without_compiler(torch.optim.AdamW) is kind


def test_a_step_makes_no_graph():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = without_compiler(torch.optim.SGD)([parameter], lr=0.1)
    parameter.square().sum().backward()
    optimizer.step()
    assert parameter.is_leaf
    assert parameter.requires_grad


def test_the_gradient_of_a_loss_in_chunks_imports_none_either(no_compiler):
    terms = [{"name": "dice", "weight": 1.0}, {"name": "bce", "weight": 1.0}]
    recipe = {"name": "r", "model": {"name": "m"}, "loss": {"name": "combined", "terms": terms}}
    loss = build_loss(Recipe.model_validate(recipe), installed(), ["a", "b", "c"])
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    loss(logits, torch.full((1, 4, 4, 1), 5, dtype=torch.uint8)).backward()
    assert logits.grad.abs().min() > 0
