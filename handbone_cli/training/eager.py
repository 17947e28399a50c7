"""torch's optimizers without the import of its compiler, which compiles no step of ours."""

from __future__ import annotations

import functools
import inspect
from typing import TypeVar

import torch

Optimizer = TypeVar("Optimizer", bound=torch.optim.Optimizer)

MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
"""Methods that torch wraps only to keep its compiler out of them."""


@functools.cache
def without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """The same optimizer, that computes the same, ready 3 s of a processor earlier.

    torch marks these methods for its compiler, and imports all of that compiler at the first call
    of any of them; a model that is compiled (train.compile) brings it along by itself. The step
    runs without gradients, as `differentiable` = False has it.

    Source: torch.optim.optimizer, `_use_grad_for_differentiable`; torch._compile,
    `_disable_dynamo`.
    """
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in MARKED}
    plain["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), plain)
