"""The loader `dali`: NVIDIA DALI makes the pixels, threads fill the labels, in our own order."""

from __future__ import annotations

import importlib
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from handbone_cli import HandboneError
from handbone_loaders.order import EpochOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from handbone_cli import LoaderContext, Options, PatchForm, RawPatch

AHEAD = 4
"""Batches whose raw patches are under way beside those inside DALI."""


class DaliLoader:
    """Batches of an epoch from a DALI pipeline.

    DALI's own file reader can follow neither (seed, epoch, index) nor fill outlines, so threads of
    ours read the bytes and warp the packed labels, a few batches ahead, and one external source
    feeds DALI. No Python touches pixels.
    """

    def __init__(self, context: LoaderContext) -> None:
        self._context, self._form = context, context.source.form
        self._order = EpochOrder(context)
        self._threads = max(context.workers, 2)
        self._told = set(context.source.faults)
        self._pipeline: Any = None
        self._queue: deque[list[Future[RawPatch]]] = deque()
        self._coming: Iterator[list[int]] = iter(())
        self._inside: deque[list[RawPatch]] = deque()
        self._epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._order)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches `start` to the end: (N, 1, h, w) float32 on DALI's device, (N, h, w, P) uint8."""
        done = start
        with ThreadPoolExecutor(self._threads, "handbone-labels") as self._pool:
            while done < len(self):
                try:
                    for batch in self._run(number, done):
                        done += 1
                        yield batch
                except RuntimeError as error:
                    self._quarantine_culprit(error)
                finally:
                    self._drop()

    def _run(self, number: int, start: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches until the epoch ends or one fails."""
        self._epoch = number
        self._coming = iter(self._order.batches(number, start))
        if self._pipeline is None:
            self._pipeline = self._build()
        for _ in range(start, len(self)):
            try:
                (output,) = self._pipeline.run()
            except StopIteration as error:
                raise AssertionError("the source ended before the epoch") from error
            raws = self._inside.popleft()
            self._tell()
            labels = torch.from_numpy(np.stack([raw.labels for raw in raws]))
            yield self._to_torch(output), labels
        self._pipeline.reset()

    def _next(self) -> list[list[Any]]:
        """The source of the pipeline: one batch, input by input."""
        while len(self._queue) < AHEAD:
            indices = next(self._coming, None)
            if indices is None:
                break
            draw = self._context.source.raw
            self._queue.append([self._pool.submit(draw, self._epoch, index) for index in indices])
        if not self._queue:
            raise StopIteration
        raws = [future.result() for future in self._queue.popleft()]
        self._inside.append(raws)
        return feed(self._form, raws)

    def _build(self) -> Any:
        from handbone_loaders.dali_pipeline import build_pipeline

        on_gpu = self._context.device == "cuda"
        # A pipeline in a cycle would be collected late, in a forked worker even, where it crashes.
        draw = weakref.WeakMethod(self._next)

        def source() -> list[list[Any]]:
            method = draw()
            if method is None:
                raise StopIteration
            return method()

        return build_pipeline(
            self._form,
            source,
            input_names(self._form),
            batch_size=self._order.batch_size,
            threads=self._threads,
            device_id=torch.cuda.current_device() if on_gpu else None,
        )

    def _to_torch(self, output: Any) -> torch.Tensor:
        """A batch of DALI's, copied: its buffer is DALI's again at the next run."""
        from nvidia.dali.plugin.pytorch import feed_ndarray

        on_gpu = self._context.device == "cuda"
        batch = output.as_tensor()
        images = torch.empty(tuple(batch.shape()), device="cuda" if on_gpu else "cpu")
        stream = torch.cuda.current_stream() if on_gpu else None
        feed_ndarray(batch, images, cuda_stream=stream)
        return images

    def _quarantine_culprit(self, error: RuntimeError) -> None:
        """Find the image that a batch failed of by decoding one by one; the batch comes again."""
        from handbone_loaders.dali_pipeline import decodes

        suspects = {raw.image_id: raw.encoded for raws in self._inside for raw in raws}
        culprits = [name for name, encoded in suspects.items() if not decodes(encoded)]
        if not culprits:
            raise error
        for image_id in culprits:
            fault = f"{image_id}: its header is right but DALI cannot decode its pixels."
            self._context.source.quarantine(image_id, fault)
        self._pipeline = None
        self._tell()

    def _tell(self) -> None:
        faults = self._context.source.faults
        for image_id in [name for name in faults if name not in self._told]:
            self._told.add(image_id)
            self._context.note(f"quarantined: {faults[image_id]}")

    def _drop(self) -> None:
        """Forget what is under way; a pipeline that holds some of it is not taken up again."""
        if self._inside or self._queue:
            self._pipeline = None
        for futures in self._queue:
            for future in futures:
                future.cancel()
        self._queue.clear()
        self._inside.clear()


def feed(form: PatchForm, raws: Sequence[RawPatch]) -> list[list[Any]]:
    """A batch as the pipeline's source gives it: a list of arrays an input."""
    from handbone_loaders.dali_pipeline import inputs_of

    patches = [inputs_of(form, raw) for raw in raws]
    return [[patch[name] for patch in patches] for name in input_names(form)]


def input_names(form: PatchForm) -> list[str]:
    """The inputs of the graph of such patches."""
    return [
        "encoded", "centre", "scale",
        *(("box", "reduced", "pick") if form.reduced else ()),
        *(("map_x", "map_y") if form.distorted else ("matrix",)),
        *(("blur", "window") if form.blurred else ()),
        *(("gamma", "contrast", "brightness") if form.toned else ()),
        *(("noise",) if form.noisy else ()),
    ]  # fmt: skip


def refuse(form: PatchForm, device: str) -> str | None:
    """Why DALI cannot make such patches there, or None."""
    missing = _missing()
    if missing:
        return missing
    if form.plugins or form.channels != 1:
        return "[[preprocess]] plugins are Python, and no Python touches DALI's pixels"
    if form.distorted and device != "cuda":
        return "DALI distorts (augment.elastic, augment.grid_distortion) on a GPU only"
    return None


def _missing() -> str | None:
    """Why DALI cannot be imported, or None."""
    try:
        importlib.import_module("nvidia.dali")
    except ModuleNotFoundError:
        return "NVIDIA DALI is not installed (pip install 'handbone[dali]', Linux only)"
    except (ImportError, OSError) as error:
        return f"NVIDIA DALI cannot be imported ({error})"
    return None


def build(_options: Options, context: LoaderContext) -> DaliLoader:
    """Build the loader.

    Raises:
        HandboneError: DALI is not there or cannot make such patches.
    """
    reason = refuse(context.source.form, context.device)
    if reason:
        raise HandboneError(f"data.loader = 'dali': {reason}; take data.loader = 'torch'.")
    return DaliLoader(context)
