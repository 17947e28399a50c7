"""The loader `torch`: workers that live as long as the run, each patch drawn by its place."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset

from handbone_cli import HandboneError
from handbone_loaders.order import EpochOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli import LoaderContext, Options

Place = tuple[int, int]
"""Epoch and index of a patch."""
END = ""
"""Stands for an image id where a fault ends the run."""


class _Patches(Dataset[tuple[torch.Tensor, torch.Tensor, dict[str, str]]]):
    """Patches by place, with the faults of images that are new since the last one."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._told: set[str] = set(source.faults)

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, torch.Tensor, dict[str, str]]:
        try:
            patch = self._source.patch(*place)
        except HandboneError as error:  # torch would wrap it in its own traceback
            return torch.empty(0), torch.empty(0), {END: str(error)}
        found = {k: v for k, v in self._source.faults.items() if k not in self._told}
        self._told |= found.keys()
        return torch.from_numpy(patch.image), torch.from_numpy(patch.labels), found


class _Places:
    """The batches of one epoch as places; set anew for every epoch, so that workers can stay."""

    def __init__(self) -> None:
        self.batches: list[list[Place]] = []

    def __iter__(self) -> Iterator[list[Place]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class TorchLoader:
    """Batches of an epoch from a DataLoader."""

    def __init__(self, context: LoaderContext) -> None:
        self._context = context
        self._order = EpochOrder(context)
        self._places = _Places()
        self._workers = context.workers
        self._loader: Any = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._order)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches `start` to the end: (N, c, h, w) float32 and (N, h, w, P) uint8.

        Where a worker process dies the rest comes from this process: the same batches, slower.
        """
        done = start
        while done < len(self):
            self._places.batches = [
                [(number, index) for index in batch] for batch in self._order.batches(number, done)
            ]
            try:
                for images, labels, faults in self._batches():
                    self._quarantine(faults)
                    done += 1
                    yield images, labels
            except (RuntimeError, ConnectionError, EOFError) as error:
                # Where it dies while it hands a batch over, the connection tells of it.
                died = not isinstance(error, RuntimeError) or "DataLoader worker (pid" in str(error)
                if not died or self._workers == 0:
                    raise
                self._workers, self._loader = 0, None
                self._context.note(
                    "a worker process of the loader died, most often for want of memory (RAM or "
                    "/dev/shm); the run goes on without workers; lower data.workers next time."
                )

    def _batches(self) -> Any:
        """The DataLoader's iterator, without the handler that torch installs beside it.

        That handler raises where a worker dies, whatever the main thread is doing, in the middle of
        an optimizer's step even. The iterator finds a dead worker by itself when it waits for it.
        """
        if self._workers == 0 or not _handles_children():
            return iter(self._open())
        before = signal.getsignal(signal.SIGCHLD)
        batches = iter(self._open())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)
        return batches

    def _open(self) -> Any:
        if self._loader is None:
            self._loader = DataLoader(
                _Patches(self._context.source),
                batch_sampler=self._places,
                num_workers=self._workers,
                collate_fn=_stack,
                pin_memory=self._context.device == "cuda",
                persistent_workers=self._workers > 0,
                worker_init_fn=_use_one_thread if self._workers else None,
                multiprocessing_context=_start_method() if self._workers else None,
            )
        return self._loader

    def _quarantine(self, faults: dict[str, str]) -> None:
        """Tell of an image that a worker, or this process, could not read."""
        if END in faults:
            raise HandboneError(faults[END])
        for image_id, fault in faults.items():
            if image_id not in self._context.source.faults or self._workers == 0:
                self._context.note(f"quarantined: {fault}")
            if image_id not in self._context.source.faults:
                self._context.source.quarantine(image_id, fault)


def _stack(
    patches: list[tuple[torch.Tensor, torch.Tensor, dict[str, str]]],
) -> tuple[torch.Tensor, torch.Tensor, dict[str, str]]:
    faults: dict[str, str] = {}
    for _, _, found in patches:
        faults |= found
    if END in faults:
        return torch.empty(0), torch.empty(0), faults
    images = torch.stack([image for image, _, _ in patches])
    return images, torch.stack([labels for _, labels, _ in patches]), faults


def _use_one_thread(_worker: int) -> None:
    """A process a core is enough; cv2 would start as many threads again in each.

    0, not 1: at 1 cv2 first joins the threads of its pool, which did not survive the fork.
    """
    import cv2

    cv2.setNumThreads(0)


def _handles_children() -> bool:
    """Whether this thread may set the handler of dead children; there is none on Windows."""
    return hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()


def _start_method() -> str | None:
    """Fork where it is the fastest and safe (Linux); the platform's own way elsewhere."""
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else None


def build(_options: Options, context: LoaderContext) -> TorchLoader:
    """Build the loader."""
    return TorchLoader(context)
