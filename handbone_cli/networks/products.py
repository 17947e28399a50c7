"""Floating-point operations of convolutions and matrix products, as they happen."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class ProductCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up FLOPs by the formulas of torch.utils.flop_counter, forward and backward alike.

    FlopCounterMode does so too, module by module, which is a millisecond a module.

    Attributes:
        flops: so far; a multiplication and its addition are two.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator and count it."""
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result
