from __future__ import annotations

import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.networks.weights import load_tensors, save_tensors
from handbone_cli.recipe.schema import Optimizer
from handbone_cli.training.optimizer import build_optimizer, pack_state, set_rate, unpack_state


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 1)
    )


def take_steps(model, optimizer, first, last):
    for step in range(first, last):
        draw = torch.Generator().manual_seed(step)
        loss = (model(torch.rand(2, 1, 6, 6, generator=draw)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        set_rate(optimizer, 0.01 / (step + 1))
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def continued(section, path):
    """Four steps, the last two by another optimizer that knows what a file tells it."""
    model = network()
    optimizer = build_optimizer(section, model)
    middle = take_steps(model, optimizer, 0, 2)
    tensors, rest = pack_state(optimizer)
    save_tensors(path, tensors, {"rest": rest})
    other = network()
    for parameter, value in zip(other.parameters(), middle, strict=True):
        parameter.data.copy_(value)
    again = build_optimizer(section, other)
    tensors, header = load_tensors(path)
    unpack_state(again, tensors, header["rest"])
    return take_steps(other, again, 2, 4)


def runnable():
    """timm's optimizers that need no other package, those that the loop cannot take among them."""
    from timm.optim import get_optimizer_info, list_optimizers

    known = list_optimizers()
    return [name for name in known if not isinstance(get_optimizer_info(name).opt_class, str)]


OURS = [
    Optimizer(lr=0.01),
    Optimizer(name="adam", lr=0.01),
    Optimizer(name="sgd", lr=0.01, momentum=0.9),
    Optimizer(name="sgd", lr=0.01, momentum=0.0, nesterov=False),
    Optimizer(lr=0.01, decay_all=False, options={"amsgrad": True}),
    Optimizer(name="lion", lr=0.01),
    Optimizer(name="adamp", lr=0.01),
    Optimizer(name="adafactorbv", lr=0.01, momentum=0.5),  # keeps bfloat16
]


@pytest.mark.parametrize("section", OURS, ids=lambda section: section.name)
def test_a_run_continues_bit_for_bit(tmp_path, section):
    model = network()
    whole = take_steps(model, build_optimizer(section, model), 0, 4)
    assert same(continued(section, tmp_path / "state"), whole)


@pytest.mark.slow  # 5 s
def test_each_of_timms_continues_bit_for_bit_or_is_refused(tmp_path):
    refused, different = [], []
    for name in runnable():
        section = Optimizer(name=name, lr=0.01, decay_all=False)
        model = network()
        try:
            optimizer = build_optimizer(section, model)
        except HandboneError:
            refused.append(name)
            continue
        whole = take_steps(model, optimizer, 0, 4)
        if not same(continued(section, tmp_path / "state"), whole):
            different.append(name)
    assert different == []
    assert set(refused) <= {"adahessian", "kron", "kronc", "kronw"}


@pytest.mark.slow  # 2 s
def test_arguments_are_those_that_timm_gives():
    from timm.optim import create_optimizer_v2

    refused = {"adahessian", "kron", "kronc", "kronw"}
    names = {*runnable()} - refused - {"sgd", "adam", "adamw"}  # ours
    assert len(names) > 40
    for name in sorted(names):
        section, parameters = Optimizer(name=name, lr=0.01), list(network().parameters())
        expected = create_optimizer_v2(parameters, opt=name, lr=0.01, weight_decay=0.01)
        got = build_optimizer(section, network())
        assert type(got) is type(expected)
        assert got.defaults == expected.defaults, name


def test_the_default_is_torchs_adamw_on_all_parameters():
    models = network(), network()
    ours = build_optimizer(Optimizer(lr=0.01), models[0])
    plain = torch.optim.AdamW(models[1].parameters(), lr=0.01, weight_decay=0.01)
    assert same(take_steps(models[0], ours, 0, 4), take_steps(models[1], plain, 0, 4))
    assert ours.defaults == plain.defaults


@pytest.mark.parametrize(
    ("table", "kind", "settings"),
    [
        ({"name": "adam", "betas": [0.8, 0.9], "eps": 1e-6}, torch.optim.Adam,
         {"betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.01}),
        ({"name": "sgd"}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ({"name": "sgd", "nesterov": False, "options": {"dampening": 0.5}}, torch.optim.SGD,
         {"momentum": 0.9, "nesterov": False, "dampening": 0.5}),
        ({"name": "adamw", "weight_decay": 0.5, "options": {"amsgrad": True}}, torch.optim.AdamW,
         {"weight_decay": 0.5, "amsgrad": True}),
    ],
)  # fmt: skip
def test_keys_arrive(table, kind, settings):
    optimizer = build_optimizer(Optimizer.model_validate({"lr": 0.3, **table}), network())
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert {key: group[key] for key in ["lr", *settings]} == {"lr": 0.3, **settings}


def test_timms_options_arrive():
    options = {"caution": True}
    section = Optimizer(name="lion", betas=(0.5, 0.6), options=options)
    (group,) = build_optimizer(section, network()).param_groups
    assert (group["caution"], group["betas"]) == (True, (0.5, 0.6))


def test_biases_and_norms_can_go_without_decay():
    from timm.optim import param_groups_weight_decay

    model = network()
    got = build_optimizer(Optimizer(decay_all=False, weight_decay=0.2), model).param_groups
    free, decayed = param_groups_weight_decay(model, weight_decay=0.2)
    for ours, timms in zip(got, (decayed, free), strict=True):
        assert ours["weight_decay"] == timms["weight_decay"]
        assert [id(each) for each in ours["params"]] == [id(each) for each in timms["params"]]


def test_the_rate_of_every_group_is_set():
    class Muon(torch.optim.SGD):
        """As timm's, which keeps a second rate."""

    model = network()
    groups = [{"params": [each], "adamw_lr": 0.1} for each in model.parameters()]
    optimizer = Muon(groups, lr=0.1)
    set_rate(optimizer, 0.03)
    assert [(g["lr"], g["adamw_lr"]) for g in optimizer.param_groups] == [(0.03, 0.03)] * 6
    plain = build_optimizer(Optimizer(), model)
    set_rate(plain, 0.03)
    assert "adamw_lr" not in plain.param_groups[0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"name": "kron"},
            (
                "optimizer.name: kron keeps its state in a form of its own, which a checkpoint "
                "cannot hold; choose another one."
            ),
        ),
        (
            {"name": "adahessian"},
            (
                "optimizer.name: adahessian wants second derivatives, which the training loop does "
                "not take; choose another one."
            ),
        ),
        (
            {"name": "lion", "momentum": 0.9},
            (
                "optimizer.momentum: lion takes no momentum; of momentum, nesterov, betas, eps it "
                "takes betas."
            ),
        ),
        (
            {"name": "lion", "options": {"cautious": True}},
            (
                "optimizer.options.cautious: lion takes no such option. Did you mean 'caution'? "
                "Known: caution, corrected_weight_decay, foreach."
            ),
        ),
        (
            {"name": "lion", "options": {"maximize": True}},
            (
                "optimizer.options.maximize: lion takes no such option. "
                "Known: caution, corrected_weight_decay, foreach."
            ),
        ),
        (
            {"name": "adan", "betas": [0.9, 0.99]},
            "optimizer.betas: adan takes 3 betas, not 2.",
        ),
        (
            {"options": {"fused": True, "foreach": True}},
            (
                "optimizer: adamw fails with these keys and options: `fused` and `foreach` cannot "
                "be `True` together."
            ),
        ),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(table, said):
    with pytest.raises(HandboneError) as caught:
        build_optimizer(Optimizer.model_validate(table), network())
    assert str(caught.value) == said


def test_an_unknown_name_is_answered_with_the_closest_that_runs():
    with pytest.raises(HandboneError) as caught:
        build_optimizer(Optimizer(name="lyon"), network())
    said = str(caught.value)
    start = "optimizer.name: no optimizer is named 'lyon'. Did you mean 'lion'? Known: adabelief, "
    assert said.startswith(start)
    assert "adamw" in said
    assert not {"kron", "adahessian", "fusedadam", "bnblion"} & {*said.rstrip(".").split(", ")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without CUDA")
@pytest.mark.parametrize("name", ["fusedadam", "bnblion8bit"])
def test_what_this_machine_cannot_run(name):
    with pytest.raises(HandboneError, match=f"^optimizer.name: {name} does not run here: CUDA req"):
        build_optimizer(Optimizer(name=name), network())


def test_a_state_that_no_checkpoint_holds_is_refused():
    optimizer = build_optimizer(Optimizer(), model := network())
    take_steps(model, optimizer, 0, 1)
    optimizer.state[next(model.parameters())]["memory"] = [1, 2]
    with pytest.raises(HandboneError) as caught:
        pack_state(optimizer)
    assert str(caught.value) == (
        "AdamW remembers memory, a list, which a checkpoint cannot hold; choose another "
        "optimizer.name."
    )


def test_the_trial_draws_no_random_number():
    torch.manual_seed(5)
    model = network()
    before = torch.get_rng_state()
    build_optimizer(Optimizer(name="adamp"), model)
    assert torch.equal(torch.get_rng_state(), before)
