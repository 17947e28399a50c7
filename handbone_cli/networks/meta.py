"""Networks without storage: parameters that hold nothing, kernels that work out shapes alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

aten = torch.ops.aten


@contextlib.contextmanager
def parameters_without_storage() -> Iterator[None]:
    """Modules built inside get parameters on the meta device and are initialised at no cost.

    Tensors that a builder computes with stay on the CPU; `torch.device("meta")` would take those
    too, and timm reads numbers from some (after init_empty_weights of Accelerate).
    """
    register = nn.Module.register_parameter

    def register_empty(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if type(parameter) is nn.Parameter and not parameter.is_meta:
            parameter = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
        register(module, name, parameter)

    nn.Module.register_parameter = register_empty  # type: ignore[method-assign,assignment]
    try:
        with torch.random.fork_rng(devices=[]), QuickShapes():  # type: ignore[no-untyped-call]
            yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def _batch_norm(images: torch.Tensor, *arguments: Any) -> tuple[torch.Tensor, ...]:
    training = arguments[4]
    kept = images.shape[1] if training else 0
    return _normalised(images), images.new_empty(kept), images.new_empty(kept)


def _batch_norm_backward(
    _: torch.Tensor, images: torch.Tensor, *arguments: Any
) -> tuple[torch.Tensor | None, ...]:
    of_input, of_weight, of_bias = arguments[-1]
    channels = images.shape[1]
    return (
        _normalised(images) if of_input else None,
        images.new_empty(channels) if of_weight else None,
        images.new_empty(channels) if of_bias else None,
    )


def _normalised(images: torch.Tensor) -> torch.Tensor:
    """As a batch norm lays its result down: channels last if it came so, else contiguous."""
    last = images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
    keeps = last and not images.is_contiguous()
    return torch.empty_like(
        images, memory_format=torch.channels_last if keeps else torch.contiguous_format
    )


def _layer_norm(images: torch.Tensor, shape: list[int], *_: Any) -> tuple[torch.Tensor, ...]:
    kept = [*images.shape[: images.ndim - len(shape)], *[1] * len(shape)]
    return tuple(images.new_empty(each) for each in (images.shape, kept, kept))


def _layer_norm_backward(
    _: torch.Tensor, images: torch.Tensor, shape: list[int], *arguments: Any
) -> tuple[torch.Tensor | None, ...]:
    shapes = (images.shape, shape, shape)
    return tuple(
        images.new_empty(s) if want else None for s, want in zip(shapes, arguments[-1], strict=True)
    )


def _softmax(
    values: torch.Tensor, *_: Any, dtype: torch.dtype | None = None, **__: Any
) -> torch.Tensor:
    """Forward or backward: contiguous, however `values` are laid down."""
    return values.new_empty(values.shape, dtype=dtype)


def _addmm(_: torch.Tensor, first: torch.Tensor, second: torch.Tensor, **__: Any) -> torch.Tensor:
    return torch.mm(first, second)


def _upsample(images: torch.Tensor, size: list[int], *_: Any) -> torch.Tensor:
    """Bilinear; (N, c, *size), laid down as the images are."""
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    kept = torch.channels_last if last else torch.contiguous_format
    return images.new_empty((*images.shape[:2], *size)).contiguous(memory_format=kept)


def _like_first(first: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    if first.is_contiguous():  # empty_like takes ten times as long
        return torch.empty(first.shape, dtype=first.dtype, device=first.device)
    return torch.empty_like(first)


def _like_second(_: torch.Tensor, second: torch.Tensor, *__: Any) -> torch.Tensor:
    return _like_first(second)


def _pair(operator: Any) -> Callable[..., torch.Tensor]:
    def run(first: torch.Tensor, second: Any, **options: Any) -> Any:
        if isinstance(second, (int, float)):
            return _like_first(first) if first.is_floating_point() else operator(first, second)
        if first.dtype == second.dtype:
            if first.shape == second.shape and first.stride() == second.stride():
                return _like_first(first)
            for whole, part in ((first, second), (second, first)):
                if whole.is_meta and _spreads(part, whole):
                    return torch.empty(whole.shape, dtype=whole.dtype, device="meta")
        return operator(first, second, **options)

    return run


def _spreads(part: torch.Tensor, whole: torch.Tensor) -> bool:
    """Whether a product of both is laid down as `whole`: `part` is repeated along some axes."""
    if part.ndim > whole.ndim or 1 in whole.shape or part.shape == whole.shape:
        return False
    held = whole.shape[whole.ndim - part.ndim :]
    fits = all(side in {1, full} for side, full in zip(part.shape, held, strict=True))
    return fits and part.is_contiguous() and whole.is_contiguous()


def _itself(first: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return first


QUICK: dict[Any, Callable[..., Any]] = {
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
    aten._safe_softmax.default: _softmax,  # noqa: SLF001  an operator's name
    aten._softmax_backward_data.default: _softmax,  # noqa: SLF001  likewise
    aten.upsample_bilinear2d.default: _upsample,
    aten.addmm.default: _addmm,
    aten.add.Tensor: _pair(aten.add.Tensor),
    aten.mul.Tensor: _pair(aten.mul.Tensor),
    aten.relu.default: _like_first,
    aten.gelu.default: _like_first,
    aten.gelu_backward.default: _like_first,
    aten.threshold_backward.default: _like_second,
    aten.leaky_relu_backward.default: _like_second,
    aten.clamp_.default: _itself,
    aten.erfinv_.default: _itself,
    aten.normal_.default: _itself,
    aten.uniform_.default: _itself,
}
"""Operators whose meta kernel is a decomposition in Python, of 0.3 to 30 ms a call."""


class QuickShapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives the results of `QUICK` operators on the meta device at once; changes no shape."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator."""
        kernel = QUICK.get(func)
        run = kernel if kernel is not None and args[0].is_meta else func
        return run(*args, **(kwargs or {}))


class FusedAttention(TorchFunctionMode):
    """On the meta device, attention runs as the fused kernel that real devices have.

    It keeps no (tokens x tokens) matrix; torch itself takes the two products apart on meta. A mask
    that learns has no fused kernel on the CPU and is left as it is.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one function of torch."""
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            fused = _attend(*args, **kwargs)
            if fused is not None:
                return fused
        return func(*args, **kwargs)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    *_: Any,
    **__: Any,
) -> torch.Tensor | None:
    """The fused kernel's result without numbers, or None where it is not the one that would run."""
    learns = attn_mask is not None and attn_mask.requires_grad
    fits = query.ndim == 4 and query.shape[1] == key.shape[1] and key.shape == value.shape
    if not query.is_meta or learns or not fits:
        return None
    flash = aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001  an operator's name
    result: torch.Tensor = flash(query, key, value, attn_mask=attn_mask)[0]
    return result
