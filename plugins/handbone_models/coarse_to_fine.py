"""Two networks: one finds the hands on a film, the other outlines their bones upright and near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from handbone_cli import HAND_BONES, HandFrame, shows_hand
from handbone_models.compact_unet import CompactUnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli import ModelContext
    from handbone_models.compact_options import CoarseToFineOptions

PARTS = 3  # regions of a bone in the coarse pass that may be it
LEAST_AREA = 4  # coarse pixels of such a region
NOTHING = -9.0  # logit where no pass has looked
EDGE = 0.04  # of the square's side over which the coarse pass takes over
SHARP = 0.06  # of its side; how sharply the next hand's square takes over


class CoarseToFine(nn.Module):
    """(N, in_channels, h, w) of any film -> (N, classes, h, w) logits.

    The coarse pass sees the whole film at `coarse_size` px. Its bones' centres tell the frame of
    each hand: place, turn, scale and side. The fine pass sees that square upright, as a right
    hand, at `fine_size` px; its logits return to the film's pixels. Beyond the square the coarse
    ones stay where the classes are the 29 bones, else there is nothing. Where no hand is found
    the square is the film. What the fine pass then outlines must make up a hand, or it is refused
    and nothing is outlined there (`refuse`). Both passes normalise what they see: exposure and
    depth do not matter.

    The coarse pass always sees grey and names the 29 bones. In training only the fine pass learns,
    of whatever classes; the coarse one stays as its weights are.
    """

    def __init__(self, options: CoarseToFineOptions, in_channels: int, classes: int) -> None:
        super().__init__()
        self.divisor = 1
        self.classes = classes
        self.coarse_size, self.fine_size = options.coarse_size, options.fine_size
        self.refuses = options.refuse and classes == len(HAND_BONES)
        self.coarse = CompactUnet(1, len(HAND_BONES), options.coarse_features)
        self.fine = CompactUnet(in_channels, classes, options.fine_features)
        self.coarse_bias = nn.Parameter(torch.zeros(len(HAND_BONES)))
        self.fine_bias = nn.Parameter(torch.zeros(classes))
        for fixed in (self.coarse_bias, *self.coarse.parameters()):
            fixed.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> CoarseToFine:  # noqa: FBT001, FBT002  torch's signature
        """Train the fine pass; the coarse one keeps what it knows."""
        super().train(mode)
        self.coarse.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Each film by itself: their hands lie differently."""
        if images.is_meta:  # shapes and costs are asked for, with one hand on every film
            return self._on_meta(images)
        return torch.cat([self._film(image[None]) for image in images])

    def _film(self, image: torch.Tensor) -> torch.Tensor:
        size = (int(image.shape[-2]), int(image.shape[-1]))
        small, coarse = self.look(image)
        frames = self.frames(coarse, size[1] / small[1], size[0] / small[0])
        squares = [torch.from_numpy(frame.to_square(self.fine_size)) for frame in frames]
        squares = squares or [_square_of_all(size, self.fine_size)]
        fine = [self._square(image, square) for square in squares]
        nothing = coarse.new_full((1, self.classes, *size), NOTHING)
        if self.refuses and not self.training:
            hands = [_shows_hand(logits) for logits in fine]
            if not any(hands):
                return nothing
            fine = [logits for logits, is_hand in zip(fine, hands, strict=True) if is_hand]
            squares = [square for square, is_hand in zip(squares, hands, strict=True) if is_hand]
        whole = _resized(coarse, size) if self.classes == len(HAND_BONES) else nothing
        return _blended(whole, fine, squares)

    @torch.no_grad()
    def look(self, image: torch.Tensor) -> tuple[tuple[int, int], torch.Tensor]:
        """The coarse pass: the film's (h, w) in it, and its logits (1, 29, h, w)."""
        height, width = (int(side) for side in image.shape[-2:])
        share = self.coarse_size / max(height, width)
        small = (max(round(height * share), 1), max(round(width * share), 1))
        seen = _normalised(_resized(image.mean(dim=1, keepdim=True), small))
        below, right = (-side % self.coarse.divisor for side in small)
        padded = functional.pad(seen, (0, right, 0, below), mode="replicate")
        logits = self.coarse(padded)[..., : small[0], : small[1]]
        return small, logits + self.coarse_bias.view(1, -1, 1, 1)

    def frames(self, coarse: torch.Tensor, across: float, down: float) -> list[HandFrame]:
        """The hands' frames in the film's pixels, which are as many to a coarse one."""
        maps = (coarse[0].detach().float().cpu() > 0).numpy()
        bones, centres = [], []
        for bone, mask in enumerate(maps):
            for centre in _centres(mask):
                bones.append(bone)
                centres.append(centre * (across, down))
        if not bones:
            return []
        return HandFrame.find(bones, np.stack(centres))

    def _square(self, image: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
        """The fine pass's logits (1, 29, fine_size, fine_size) in a hand's square."""
        step = 1 / float(torch.linalg.det(square[:, :2]).abs().sqrt())
        times = max(int(step), 1)
        seen = functional.avg_pool2d(image, times, ceil_mode=True) if times > 1 else image
        inverse = _inverse(square)
        grid = _grid(inverse, (self.fine_size, self.fine_size), times * np.array(seen.shape[-2:]))
        near = functional.grid_sample(
            seen, grid.to(seen), padding_mode="border", align_corners=False
        )
        logits: torch.Tensor = self.fine(_normalised(near))
        return logits + self.fine_bias.view(1, -1, 1, 1)

    def _on_meta(self, images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        coarse = self.coarse(images.new_empty(count, 1, self.coarse_size, self.coarse_size))
        side = (self.fine_size, self.fine_size)
        fine = self.fine(images.new_empty(count, images.shape[1], *side))
        size = (int(images.shape[-2]), int(images.shape[-1]))
        fine = fine + self.fine_bias.view(1, -1, 1, 1)
        return _resized(fine, size) + _resized(coarse[:, :1], size)


def _centres(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The centres (x, y) of the largest regions of a mask (h, w), pixel centres at +0.5."""
    count, _, figures, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return []
    areas = figures[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-areas, kind="stable")[:PARTS]
    return [centres[1 + part] + 0.5 for part in largest if areas[part] >= LEAST_AREA]


def _shows_hand(logits: torch.Tensor) -> bool:
    """Whether a square's logits (1, 29, h, w) outline a hand."""
    shares = torch.sigmoid(logits[0].detach().float())
    return shows_hand((shares * 255).round().to(torch.uint8).cpu().numpy())


def _square_of_all(size: tuple[int, int], side: int) -> torch.Tensor:
    """(2, 3) from the pixels of a film (h, w) to those of a square of `side` px that holds it."""
    share = side / max(size)
    middle = [side / 2 - share * length / 2 for length in (size[1], size[0])]
    return torch.tensor([[share, 0, middle[0]], [0, share, middle[1]]], dtype=torch.float64)


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps (N, C, h, w) at another size, without aliasing where it is smaller."""
    if tuple(maps.shape[-2:]) == size:
        return maps
    shrinks = size[0] < maps.shape[-2]
    return functional.interpolate(maps, size, mode="bilinear", antialias=shrinks)


def _normalised(images: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, h, w) with mean 0 and SD 1 each, as both passes were trained."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    spread = images.std(dim=(1, 2, 3), keepdim=True)
    return (images - mean) / spread.clamp(min=1e-6)


def _inverse(matrix: torch.Tensor) -> torch.Tensor:
    linear = torch.linalg.inv(matrix[:, :2])
    return torch.cat([linear, -linear @ matrix[:, 2:]], dim=1)


def _grid(matrix: torch.Tensor, size: tuple[int, int], source: NDArray[np.integer]) -> torch.Tensor:
    """grid_sample's grid (1, h, w, 2) for an output of `size`.

    `matrix` takes the output's pixels (x, y) to those of the source of (h, w) px.
    """
    y = torch.arange(size[0], dtype=torch.float64) + 0.5
    x = torch.arange(size[1], dtype=torch.float64) + 0.5
    places = [
        matrix[row, 0] * x[None, :] + matrix[row, 1] * y[:, None] + matrix[row, 2] for row in (0, 1)
    ]
    wide = [2 * place / int(length) - 1 for place, length in zip(places, source[::-1], strict=True)]
    return torch.stack(wide, dim=-1)[None].float()


def _blended(
    whole: torch.Tensor, fine: list[torch.Tensor], squares: list[torch.Tensor]
) -> torch.Tensor:
    """The logits of each square on the film's pixels, the coarse ones where there is none.

    Between two hands a pixel goes to the one whose square's middle is nearer.
    """
    size = (int(whole.shape[-2]), int(whole.shape[-1]))
    grids = [_grid(each, size, np.array(logits.shape[-2:])) for each, logits
             in zip(squares, fine, strict=True)]  # fmt: skip
    reach = torch.stack([grid[0].abs().amax(dim=-1) for grid in grids])  # 1 at the square's border
    inside = ((1 - reach) / (2 * EDGE)).clamp(0, 1)
    share = torch.softmax(-reach / (2 * SHARP), dim=0) * inside
    total = whole * (1 - share.sum(dim=0)).to(whole)
    for grid, logits, own in zip(grids, fine, share, strict=True):
        laid = functional.grid_sample(
            logits, grid.to(logits), padding_mode="border", align_corners=False
        )
        total = total + laid * own.to(laid)
    return total


def build(options: CoarseToFineOptions, context: ModelContext) -> nn.Module:
    """The two passes; the coarse one is of no use without the weights of `pretrained`."""
    return CoarseToFine(options, context.in_channels, context.classes)
