"""How much each window counts at its pixels: 1 in all at every pixel of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence


class WindowWeights:
    """The weights of windows on a grid, divided by their sum at each pixel.

    The sums of a pixel's windows are then its mean, whatever the image's border left it of them.
    """

    def __init__(self, weight: torch.Tensor, ys: Sequence[int], xs: Sequence[int]) -> None:
        """Of a grid of windows.

        Args:
            weight: of a window, above 0: (side,) for the product of a row's and a column's, or
                (side, side). On the device of the maps.
            ys: first rows, ascending.
            xs: first columns, ascending.
        """
        self.ys, self.xs, self.side = ys, xs, len(weight)
        self._weight = weight
        self._made = weight.new_empty((self.side, self.side))
        if weight.ndim == 1:
            self._rows = self._shares(ys)
            self._columns = self._shares(xs)
        else:
            self._across = weight.new_zeros((self.side, xs[-1] + self.side))
            for x in xs:
                self._across[:, x : x + self.side] += weight

    def of(self, turn: int, place: int) -> torch.Tensor:
        """(side, side) of the window at ys[turn] and xs[place], until the next call."""
        if self._weight.ndim == 1:
            return torch.mul(self._rows[turn, :, None], self._columns[place], out=self._made)
        y, columns = self.ys[turn], slice(self.xs[place], self.xs[place] + self.side)
        total = torch.zeros_like(self._weight)
        for other in self.ys:
            offset = other - y
            if abs(offset) < self.side:
                first, last = max(offset, 0), min(offset, 0) + self.side
                total[first:last] += self._across[first - offset : last - offset, columns]
        return torch.div(self._weight, total, out=self._made)

    def _shares(self, starts: Sequence[int]) -> torch.Tensor:
        """(windows, side): the weight along an axis by that of all windows there."""
        total = self._weight.new_zeros(starts[-1] + self.side)
        for start in starts:
            total[start : start + self.side] += self._weight
        return torch.stack([self._weight / total[s : s + self.side] for s in starts])
