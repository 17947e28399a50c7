"""Where windows meet: sums of pixels that still wait for a window, and nothing else in float."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEVELS = 255
"""Of a probability in uint8: q = rint(255 p)."""


class Seam:
    """The weighted means of windows, as far as they have come.

    Windows come row by row and from left to right. A turn is one row of them. `carried` has the
    rows that a turn shares with earlier ones, over the whole width; at the columns that the turn is
    through with it holds the next turn's, for those of this turn have gone out. `fresh` has the
    other rows of this turn, under one window. A pixel's windows are added in their order.
    """

    def __init__(
        self,
        out: torch.Tensor,
        weight: torch.Tensor,
        ys: Sequence[int],
        xs: Sequence[int],
        *,
        logits: bool,
    ) -> None:
        """Room for the sums.

        Args:
            out: (C, H, W) uint8 or float32; padding is not written.
            weight: (side, side) float32 of a window, on the device of `out`.
            ys: first rows of the turns.
            xs: first columns of the windows of a turn.
            logits: whether a sigmoid is taken of the means.
        """
        self.out, self.weight, self.logits = out, weight, logits
        self.ys, self.xs, self.side = ys, xs, len(weight)
        carried = [self.side - below + above for above, below in pairwise(ys)]
        # the first turn's carried rows are zeros, so that no turn has more fresh ones than others
        self.known = [max(carried, default=0), *carried]
        width = xs[-1] + self.side
        # kept for all turns: a page of memory costs more than what is summed in it
        self.carried = weight.new_zeros((len(out), self.known[0], width))
        rows = self.side - min(self.known)
        self.fresh = weight.new_empty((len(out), rows, self.side))
        self.across = weight.new_zeros((self.side, width))
        for x in xs:
            self.across[:, x : x + self.side] += weight

    def add(self, maps: torch.Tensor, turn: int, place: int) -> None:
        """Add the maps (C, side, side) of a window; write what is done."""
        y, x, side = self.ys[turn], self.xs[place], self.side
        known = self.known[turn]  # carried rows
        shared = side - (x - self.xs[place - 1]) if place else 0  # columns of the last window
        down = self.ys[turn + 1] - y if turn + 1 < len(self.ys) else side  # rows done
        right = self.xs[place + 1] - x if place + 1 < len(self.xs) else side  # columns done
        columns = slice(x, x + side)
        # 1 at the pixels' last window, whatever the image's border left them of weights
        weight = self.weight / self._total(turn, columns)

        def part(on: Any, maps: Any, weight: Any, out: Any, carried: Any, fresh: Any) -> None:
            here, fresh = carried[..., columns], fresh[..., : side - known, :]
            on.add_product(maps[..., :known, :], weight[:known], here[..., :known, :])
            on.add_product(maps[..., known:, :shared], weight[known:, :shared], fresh[..., :shared])
            on.set_product(maps[..., known:, shared:], weight[known:, shared:], fresh[..., shared:])
            upper = min(known, down)
            on.write(here[..., :upper, :right], out[..., y : y + upper, x : x + right], self.logits)
            lower = fresh[..., : down - upper, :right]
            on.write(lower, out[..., y + upper : y + down, x : x + right], self.logits)
            on.move(here[..., down:known, :right], here[..., : known - upper, :right])
            kept = slice(known - upper, side - down)
            on.move(fresh[..., down - upper :, :right], here[..., kept, :right])
            on.move(fresh[..., right:], fresh[..., : side - right])

        arrays = (self.out, self.carried, self.fresh)
        if self.out.is_cuda:
            part(OnGpu, maps, weight, *arrays)
            return
        planes = [array.numpy() for array in arrays]
        windows, weights = maps.numpy(), weight.numpy()

        def classes(first: int) -> None:
            for c in range(first, len(windows), workers):
                part(OnCpu, windows[c], weights, *(plane[c] for plane in planes))

        workers = torch.get_num_threads()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(classes, range(workers)))

    def _total(self, turn: int, columns: slice) -> torch.Tensor:
        """(side, side): the sum of all weights at the pixels of a window."""
        y, total = self.ys[turn], torch.zeros_like(self.weight)
        for other in self.ys:
            offset = other - y
            if abs(offset) < self.side:
                first, last = max(offset, 0), min(offset, 0) + self.side
                total[first:last] += self.across[first - offset : last - offset, columns]
        return total


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
