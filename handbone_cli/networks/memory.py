"""The memory of a training step or a prediction, by following what tensors hold."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from handbone_cli.networks.meta import FusedAttention, QuickShapes

if TYPE_CHECKING:
    from handbone_cli.networks.wrapper import Segmenter


class MemoryTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that are alive and the most that ever were, after each operator.

    Tensors that share a storage count once. What an operator allocates and frees inside itself is
    not seen.

    Attributes:
        live: bytes alive now.
        peak: the most so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def follow(self, value: object) -> None:
        """Count a tensor, or those in a list, until they are gone."""
        if isinstance(value, (list, tuple)):
            for each in value:
                self.follow(each)
        elif isinstance(value, torch.Tensor):
            self._follow(value.untyped_storage())
        self.peak = max(self.peak, self.live)

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._storages:
            return

        def forget(_: weakref.ref[torch.UntypedStorage]) -> None:
            self.live -= size
            del self._storages[key]

        self._storages[key] = weakref.ref(storage, forget)
        self.live += size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator and count what it gave."""
        result = func(*args, **(kwargs or {}))
        self.follow(result)
        return result


def training_peak(model: Segmenter, images: torch.Tensor) -> int:
    """Bytes at the fullest moment of one training step in float32 with AdamW.

    They are those of weights, gradients, both moments of AdamW and, while it steps, the roots of
    the second (as it keeps them on a GPU); of the images (N, in_channels, h, w), of a target for
    each logit, of what the backward pass needs and of what operators hand to each other, the loss
    among them: binary cross-entropy, one map for each of its terms. Not in them are the work space
    of convolutions, what an allocator loses between tensors, and CUDA's own 0.3 to 0.5 GiB.

    Args:
        model: its gradients are lost; its weights do not change.
        images: on the model's device, which may be meta.
    """
    model.train()
    model.zero_grad(set_to_none=True)
    parameters = [each for each in model.parameters() if each.requires_grad]
    moments = [torch.empty_like(each) for each in parameters for _ in range(2)]
    with QuickShapes(), MemoryTracker() as tracker, FusedAttention():  # type: ignore[no-untyped-call]
        tracker.follow([*model.parameters(), *model.buffers(), *moments, images])
        _loss(model, images).backward()  # type: ignore[no-untyped-call]
        roots = [torch.empty_like(each) for each in parameters]
    del roots
    model.zero_grad(set_to_none=True)
    return int(tracker.peak)


def prediction_peak(model: Segmenter, images: torch.Tensor) -> int:
    """Bytes at the fullest moment of a forward pass in float32 without gradients.

    They are those of the images (N, in_channels, h, w), of the logits and of what operators hand to
    each other; weights, work space of convolutions and what an allocator loses are not in them.

    Args:
        model: on the device of the images, which may be meta.
        images: a batch of windows.
    """
    model.eval()
    with torch.no_grad(), QuickShapes(), MemoryTracker() as tracker, FusedAttention():  # type: ignore[no-untyped-call]
        tracker.follow(images)
        model(images)
    return int(tracker.peak)


def _loss(model: Segmenter, images: torch.Tensor) -> torch.Tensor:
    outputs = model(images)
    maps = outputs if isinstance(outputs, list) else [outputs]
    targets = [torch.zeros_like(logits) for logits in maps]
    terms = [
        (functional.softplus(logits) - logits * target).mean()
        for logits, target in zip(maps, targets, strict=True)
    ]
    return torch.stack(terms).sum()
