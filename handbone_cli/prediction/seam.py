"""Where windows meet: sums of pixels that still wait for a window, and nothing else in float."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.prediction.window_weights import WindowWeights

LEVELS = 255
"""Of a probability in uint8: q = rint(255 p)."""


class Seam:
    """The weighted means of windows, as far as they have come.

    Windows come row by row and from left to right. A turn is one row of them. `carried` has the
    rows that a turn shares with earlier ones, over the whole width; at the columns that the turn is
    through with it holds the next turn's, for those of this turn have gone out. `fresh` has the
    other rows of this turn at the columns that the next window shares. A pixel's windows are added
    in their order.
    """

    def __init__(
        self, out: torch.Tensor, weights: WindowWeights, rooms: Rooms, *, logits: bool
    ) -> None:
        """Lay out the sums.

        Args:
            out: (C, H, W) uint8 or float32; padding is not written.
            weights: where the windows lie, and how much each counts at its pixels.
            rooms: memory for them, nobody else's until the last window is added.
            logits: whether a sigmoid is taken of the means.
        """
        self.out, self.weights, self.logits = out, weights, logits
        self.ys, self.xs, self.side = weights.ys, weights.xs, weights.side
        carried = [self.side - below + above for above, below in pairwise(self.ys)]
        # the first turn's carried rows are zeros, so that no turn has more fresh ones than others
        self.known = [max(carried, default=0), *carried]
        width = self.xs[-1] + self.side
        self.carried = rooms.get("carried", (len(out), self.known[0], width), out.device).zero_()
        fresh = (len(out), self.side - min(self.known), self.side)
        self.fresh = rooms.get("fresh", fresh, out.device)

    def add(self, maps: torch.Tensor, turn: int, place: int) -> None:
        """Add the maps (C, side, side) of a window; write what is done."""
        weight = self.weights.of(turn, place)
        arrays = (maps, self.out, self.carried, self.fresh)
        # spans of rows that are carried or fresh, and done in this turn or not
        spans = [*pairwise(sorted({0, self.known[turn], self._down(turn), self.side}))]
        if self.out.is_cuda:
            for rows in spans:
                self._add_rows(OnGpu, rows, (turn, place), weight, *arrays)
            return
        planes, on_cpu = [array.numpy() for array in arrays], weight.numpy()

        def classes(first: int) -> None:
            for c in range(first, len(maps), workers):
                for rows in spans:
                    self._add_rows(OnCpu, rows, (turn, place), on_cpu, *(p[c] for p in planes))

        workers = torch.get_num_threads()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(classes, range(workers)))

    def _down(self, turn: int) -> int:
        """How many rows of its windows a turn is the last one for."""
        return self.ys[turn + 1] - self.ys[turn] if turn + 1 < len(self.ys) else self.side

    def _add_rows(
        self, on: Any, rows: tuple[int, int], window: tuple[int, int], weight: Any, maps: Any,
        out: Any, carried: Any, fresh: Any,
    ) -> None:  # fmt: skip
        """One span of a window's rows; spans come from above downward."""
        (top, end), (turn, place) = rows, window
        side, x, y = self.side, self.xs[place], self.ys[turn]
        known, down = self.known[turn], self._down(turn)
        shared = self.xs[place - 1] + side - x if place else 0  # columns of the last window
        right = self.xs[place + 1] - x if place + 1 < len(self.xs) else side  # columns done
        maps, weight = maps[..., top:end, :], weight[top:end]
        target = out[..., y + top : y + end, x : x + right]  # where they go out
        kept = carried[..., max(top - down, 0) : max(end - down, 0), x : x + right]  # where not
        if top < known:
            sums = carried[..., top:end, x : x + side]
            on.add_product(maps, weight, sums)
            if top < down:
                on.write(sums[..., :right], target, self.logits)
            else:
                on.move(sums[..., :right], kept)
            return
        sums = fresh[..., top - known : end - known, :]
        old = min(shared, right)
        if top < down:
            on.add_product(maps[..., :old], weight[:, :old], sums[..., :old])
            on.set_product(maps[..., old:right], weight[:, old:right], sums[..., old:right])
            on.write(sums[..., :right], target, self.logits)
        else:
            on.set_product(maps[..., :right], weight[:, :right], kept)
            on.add(sums[..., :old], kept[..., :old])
        both = max(shared, right)
        on.move(sums[..., right:both], sums[..., : both - right])
        on.add_product(maps[..., right:both], weight[:, right:both], sums[..., : both - right])
        on.set_product(maps[..., both:], weight[:, both:], sums[..., both - right : side - right])


class OnCpu:
    """Steps on one class, (rows, columns), which stays in the cache.

    OpenCV's are one pass each and start no threads: classes are shared out to ours, so that none
    waits for another at every step, as OpenMP's do.
    """

    @staticmethod
    def add_product(maps: NDArray[Any], weight: NDArray[Any], sums: NDArray[Any]) -> None:
        """Sums += maps x weight."""
        if sums.size:
            cv2.accumulateProduct(maps, weight, sums)

    @staticmethod
    def set_product(maps: NDArray[Any], weight: NDArray[Any], sums: NDArray[Any]) -> None:
        """Sums = maps x weight."""
        np.multiply(maps, weight, out=sums)

    @staticmethod
    def add(more: NDArray[Any], sums: NDArray[Any]) -> None:
        """Sums += more."""
        np.add(sums, more, out=sums)

    @staticmethod
    def move(source: NDArray[Any], target: NDArray[Any]) -> None:
        """Copy, also where they overlap."""
        target[...] = source

    @staticmethod
    def write(means: NDArray[Any], target: NDArray[Any], logits: bool) -> None:  # noqa: FBT001
        """Means to probabilities, without what is padding."""
        if not target.size:
            return
        means = means[: target.shape[0], : target.shape[1]]
        if logits:
            means = 1 / (1 + np.exp(np.minimum(-means, np.float32(80))))
        if target.dtype == np.uint8:
            cv2.convertScaleAbs(means, target, LEVELS)
        else:
            target[...] = means


class OnGpu:
    """The same steps on all classes, (C, rows, columns): few large kernels."""

    @staticmethod
    def add_product(maps: torch.Tensor, weight: torch.Tensor, sums: torch.Tensor) -> None:
        """Sums += maps x weight."""
        sums.addcmul_(maps, weight)

    @staticmethod
    def set_product(maps: torch.Tensor, weight: torch.Tensor, sums: torch.Tensor) -> None:
        """Sums = maps x weight."""
        torch.mul(maps, weight, out=sums)

    @staticmethod
    def add(more: torch.Tensor, sums: torch.Tensor) -> None:
        """Sums += more."""
        sums.add_(more)

    @staticmethod
    def move(source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy, also where they overlap."""
        target.copy_(source.clone())

    @staticmethod
    def write(means: torch.Tensor, target: torch.Tensor, logits: bool) -> None:  # noqa: FBT001
        """Means to probabilities, without what is padding."""
        means = means[:, : target.shape[1], : target.shape[2]]
        target.copy_(finished(means, target.dtype, logits=logits))


def finished(means: torch.Tensor, dtype: torch.dtype, *, logits: bool) -> torch.Tensor:
    """Probabilities as float32, or rounded to levels for uint8, of means or of mean logits."""
    means = means.sigmoid() if logits else means
    return (means * LEVELS).round_() if dtype == torch.uint8 else means


class Rooms:
    """Memory by name, kept for the next image of its size: new pages cost more than sums."""

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """Float32 of this shape, with whatever is in it."""
        kept = self._kept.get(name)
        if kept is None or kept.shape != shape or kept.device != device:
            self._kept.pop(name, None)  # not beside the other
            del kept
            self._kept[name] = room(shape, device)
        return self._kept[name]


def room(
    shape: tuple[int, ...], device: torch.device, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Memory for an image's maps; on a CPU from numpy, which asks Linux for huge pages.

    A first write to 122 MB took 18 ms so, and 77 ms in torch's pages of 4 KiB.
    """
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, np.uint8 if dtype == torch.uint8 else np.float32))
