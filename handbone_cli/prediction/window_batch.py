"""How many windows go through a model at a time, and what happens when memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 16
"""Windows at a time that are chosen at most; predict.batch_size may say more."""
SHARE = 0.7
"""Of the free memory that chosen batches may take: the model's peak varies, others come and go."""


class WindowBatch:
    """The size of batches, found once and kept for all images of a prediction.

    With size 0 a GPU is measured with one window first, and a CPU takes one, which needs the
    least memory. A batch that the device has no room for is halved; that is said in one line.
    """

    def __init__(self, size: int = 0, note: Callable[[str], None] = lambda _: None) -> None:
        self.size, self.note = size or 1, note
        self._chosen = size > 0

    def maps(
        self,
        model: Callable[[torch.Tensor], torch.Tensor],
        crops: Callable[[int, int], torch.Tensor],
        count: int,
        device: torch.device,
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Numbers of windows in their order, each with its maps (C, window, window).

        Args:
            model: (N, channels, window, window) -> (N, C, window, window).
            crops: (first, last) -> those windows.
            count: of all windows.
            device: of the model.

        Raises:
            torch.OutOfMemoryError: the device has no room for one window.
        """
        first = 0
        while first < count:
            last = min(first + self.size, count)
            made = self._try(model, crops, (first, last), device)
            if made is None:
                self._halve(last - first, device)
                continue
            for number in range(first, last):
                yield number, made[number - first]
            first = last
            del made  # not beside the next batch

    def _try(
        self,
        model: Callable[[torch.Tensor], torch.Tensor],
        crops: Callable[[int, int], torch.Tensor],
        span: tuple[int, int],
        device: torch.device,
    ) -> torch.Tensor | None:
        """A batch's maps, or None where there is no room; by then its traceback has let go."""
        measured = not self._chosen and device.type == "cuda"
        before = torch.cuda.memory_allocated(device) if measured else 0
        try:
            made = model(crops(*span))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or span[1] - span[0] == 1:
                raise
            return None
        if measured:
            self.size, self._chosen = fitting(before, device), True
        return made

    def _halve(self, size: int, device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        self.size, self._chosen = size // 2, True
        self.note(
            f"out of memory with {size} windows at a time: going on with {self.size} "
            "(predict.batch_size)"
        )


def fitting(before: int, device: torch.device) -> int:
    """How many windows fit a GPU.

    What torch holds after the first window, less what was in use `before` it (bytes), is the most
    that a window needs.
    """
    held = torch.cuda.memory_reserved(device)
    free = torch.cuda.mem_get_info(device)[0] + held - before
    return max(1, min(MOST, int(SHARE * free / max(held - before, 1))))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; the CPU's allocator has no error type of its own."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "can't allocate memory" in str(error)
