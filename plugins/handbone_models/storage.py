"""Networks without storage: built at once whatever their size, good for shapes and structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from handbone_cli import QuickShapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


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
