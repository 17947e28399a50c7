"""The words of every check: require, skip, and the run of one check after the other."""

from __future__ import annotations

import contextlib
import unittest
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Check: TypeAlias = "Callable[[Any], None]"
"""What is tried -> nothing, AssertionError or unittest.SkipTest; its docstring is the promise."""


def require(condition: bool, sentence: str) -> None:  # noqa: FBT001
    """AssertionError with a sentence unless the condition holds."""
    if not condition:
        raise AssertionError(sentence)


def require_shape(tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """AssertionError unless it is a tensor of that shape."""
    require(isinstance(tensor, torch.Tensor), f"expected a tensor, got a {type(tensor).__name__}")
    require(tuple(tensor.shape) == shape, f"expected the shape {shape}, got {tuple(tensor.shape)}")


def gpu_or_skip() -> torch.device:
    """The GPU, or unittest.SkipTest, which every test runner understands."""
    if not torch.cuda.is_available():
        raise unittest.SkipTest("no GPU here")
    return torch.device("cuda")


def run_all(checks: Iterable[Check], tried: object) -> None:
    """Run checks one after the other; the first that fails ends it, those skipped are passed over.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    for check in checks:
        with contextlib.suppress(unittest.SkipTest):
            check(tried)
