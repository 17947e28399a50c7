"""Optimizers by name, torch's and timm's: built, tried before a run, their rate set, kept."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from handbone_cli.errors import HandboneError, closest
from handbone_cli.networks.sharding import spread_state, whole
from handbone_cli.recipe.schema import OPTIMIZER_KEYS

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli.recipe.schema import Optimizer

TORCHS: dict[str, Any] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
RATES = ("lr", "adamw_lr")
"""What a parameter group calls its rate; timm's Muon keeps a second one for what it leaves to
AdamW, and would leave that at its beginning."""
NEVER_OPTIONS = frozenset(
    {*OPTIMIZER_KEYS, *RATES, "weight_decay", "params", "maximize", "differentiable"}
)
"""Arguments of an optimizer that are keys of [optimizer], or that the loop cannot grant."""
TRIED_ON = ((2, 1, 3, 3), (3, 2), (2,))
"""Shapes of what an optimizer is tried on: a convolution's weight, a linear layer's, a bias."""
MOMENTUM = 0.9
"""What timm gives every optimizer with a momentum."""


def build_optimizer(section: Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a recipe for all parameters of a model.

    Raises:
        HandboneError: no such optimizer, a key or option that it does not take or refuses, one
            that this machine cannot run, or whose state a checkpoint cannot hold.
    """
    kind, settings = try_optimizer(section, next(model.parameters()).device)
    built: torch.optim.Optimizer = kind(_groups(model, decay_all=section.decay_all), **settings)
    return built


def try_optimizer(section: Optimizer, device: torch.device) -> tuple[Any, dict[str, Any]]:
    """An optimizer's class and arguments, with one step on a few numbers behind it.

    What cannot work so fails before the first batch; it needs no model.

    Raises:
        HandboneError: as `build_optimizer`.
    """
    kind, settings = _settings_of(section)
    parameters = [torch.nn.Parameter(torch.full(shape, 0.1, device=device)) for shape in TRIED_ON]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 0.01)
    try:
        optimizer = kind(parameters, **settings)
        optimizer.step()
    except Exception as error:
        said = str(error).strip().rstrip(".") or type(error).__name__
        raise HandboneError(
            f"optimizer: {section.name} fails with these keys and options: {said}."
        ) from error
    pack_state(optimizer)
    return kind, settings


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group a learning rate."""
    for group in optimizer.param_groups:
        for key in RATES:
            if key in group:
                group[key] = rate


def pack_state(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What an optimizer remembers: tensors by `index/key`, and all else as a JSON-able table.

    The table has `state` (index -> key -> number) and `groups` (a table each), for some of timm's
    count their steps in plain numbers, of parameters or of groups.

    Raises:
        HandboneError: it remembers something that is neither tensor nor number.
    """
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}/{key}"] = whole(value)
            elif value is None or isinstance(value, (bool, int, float)):
                numbers.setdefault(str(index), {})[key] = value
            else:
                raise HandboneError(
                    f"{type(optimizer).__name__} remembers {key}, a {type(value).__name__}, which "
                    "a checkpoint cannot hold; choose another optimizer.name."
                )
    groups = [
        {
            key: value
            for key, value in group.items()
            if key not in optimizer.defaults and isinstance(value, (bool, int, float))
        }
        for group in optimizer.param_groups
    ]
    return tensors, {"state": numbers, "groups": groups}


def unpack_state(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], rest: dict[str, Any]
) -> None:
    """Put back what `pack_state` gave; a checkpoint from before `rest` was kept has it empty."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in sorted(tensors.items()):  # a file gives them in any order
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    for index, numbers in rest.get("state", {}).items():
        state.setdefault(int(index), {}).update(numbers)
    groups = optimizer.state_dict()["param_groups"]
    kept = rest.get("groups") or [{} for _ in groups]
    together = [{**group, **counters} for group, counters in zip(groups, kept, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": together})
    spread_state(optimizer)


def _settings_of(section: Optimizer) -> tuple[Any, dict[str, Any]]:
    """The class that a section names and its arguments, every one of them known to it."""
    kind, settings = _find(section.name)
    takes = inspect.signature(kind).parameters
    keys = {key: getattr(section, key) for key in OPTIMIZER_KEYS}
    given = {key: value for key, value in keys.items() if value is not None}
    for key in given.keys() - takes.keys():
        some = ", ".join(each for each in OPTIMIZER_KEYS if each in takes) or "none"
        raise HandboneError(
            f"optimizer.{key}: {section.name} takes no {key}; of {', '.join(OPTIMIZER_KEYS)} it "
            f"takes {some}."
        )
    usual = takes["betas"].default if "betas" in given else ()
    if isinstance(usual, tuple) and len(given.get("betas", ())) != len(usual):
        raise HandboneError(
            f"optimizer.betas: {section.name} takes {len(usual)} betas, not {len(given['betas'])}."
        )
    options = section.options or {}
    known = takes.keys() - NEVER_OPTIONS
    for key in options.keys() - known:
        raise HandboneError(
            f"optimizer.options.{key}: {section.name} takes no such option. {closest(key, known)}"
        )
    rates = {"lr": section.lr, "weight_decay": section.weight_decay}
    return kind, {**settings, **rates, **given, **options}


def _find(name: str) -> tuple[Any, dict[str, Any]]:
    """An optimizer's class and the arguments that timm gives it by this name."""
    if name in TORCHS:
        return TORCHS[name], {}
    from timm.optim import get_optimizer_class, get_optimizer_info, list_optimizers

    if name not in list_optimizers():
        usable = {n for n in list_optimizers() if not _needs_more(get_optimizer_info(n))}
        hint = closest(name, usable | TORCHS.keys())
        raise HandboneError(f"optimizer.name: no optimizer is named '{name}'. {hint}")
    info = get_optimizer_info(name)
    if info.second_order:
        raise HandboneError(
            f"optimizer.name: {name} wants second derivatives, which the training loop does not "
            "take; choose another one."
        )
    try:
        kind = get_optimizer_class(name, bind_defaults=False)
    except (AssertionError, ImportError) as error:
        raise HandboneError(f"optimizer.name: {name} does not run here: {error}.") from error
    if _own_file(kind):
        raise HandboneError(
            f"optimizer.name: {name} keeps its state in a form of its own, which a checkpoint "
            "cannot hold; choose another one."
        )
    momentum = {"momentum": MOMENTUM} if info.has_momentum else {}
    return kind, {**momentum, **(info.defaults or {})}


def _needs_more(info: Any) -> bool:
    """Whether one of timm's needs another package, or cannot be used."""
    return isinstance(info.opt_class, str) or info.second_order or _own_file(info.opt_class)


def _own_file(kind: Any) -> bool:
    """Whether a class says itself what its state is, as Kron does, which draws random numbers."""
    plain = torch.optim.Optimizer
    return (
        kind.state_dict is not plain.state_dict or kind.load_state_dict is not plain.load_state_dict
    )


def _groups(model: nn.Module, *, decay_all: bool) -> Any:
    """All parameters; unless all decay, biases and norms' apart, as timm parts them."""
    if decay_all:
        return model.parameters()
    named = list(model.named_parameters())
    few = {name for name, each in named if each.ndim <= 1 or name.endswith(".bias")}
    decayed = [each for name, each in named if name not in few]
    free = [each for name, each in named if name in few]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
