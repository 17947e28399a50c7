"""Networks without storage: built at once whatever their size, good for shapes and structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

aten = torch.ops.aten


def build_without_storage(construct: Callable[[], nn.Module]) -> nn.Module:
    """Build a network on the meta device; what needs numbers to be built is moved there.

    The random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):  # type: ignore[no-untyped-call]
        try:
            with QuickShapes(), torch.device("meta"), _RatesOnCpu():
                model = construct()
        except Exception:  # noqa: BLE001  what is truly wrong goes wrong again
            with torch.device("cpu"):
                model = construct()
        return model.to("meta")


class _RatesOnCpu(TorchFunctionMode):
    """Leaves `linspace` numbers: networks read the rates of stochastic depth from it."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one function of torch."""
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


def _alike(images: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return torch.empty_like(images)


def _itself(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return tensor


def _batch_norm(images: torch.Tensor, *_: Any) -> tuple[torch.Tensor, ...]:
    channels = images.shape[1]
    return torch.empty_like(images), images.new_empty(channels), images.new_empty(channels)


def _layer_norm(images: torch.Tensor, shape: list[int], *_: Any) -> tuple[torch.Tensor, ...]:
    kept = [*images.shape[: images.ndim - len(shape)], *[1] * len(shape)]
    return torch.empty_like(images), images.new_empty(kept), images.new_empty(kept)


def _upsample(images: torch.Tensor, size: list[int], *_: Any) -> torch.Tensor:
    return images.new_empty([*images.shape[:2], *size])


QUICK: dict[Any, Callable[..., Any]] = {
    aten.native_batch_norm.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.upsample_bilinear2d.default: _upsample,
    aten.gelu.default: _alike,
    **dict.fromkeys(
        (
            aten.clamp_.default,
            aten.erfinv_.default,
            aten.normal_.default,
            aten.uniform_.default,
        ),
        _itself,
    ),
}
"""Operators that torch takes apart in Python on the meta device, at milliseconds a call."""


class QuickShapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives the shapes of `QUICK` operators on the meta device at once."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator."""
        quick = QUICK.get(func)
        run = quick if quick is not None and args[0].is_meta else func
        return run(*args, **(kwargs or {}))
