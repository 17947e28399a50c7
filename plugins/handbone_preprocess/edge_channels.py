"""The preprocessor `edge_channels`: grey beside its edges, as channels of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from pydantic import Field

from handbone_cli import HandboneError, Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from handbone_cli import PreprocessContext

Channel = Literal["grey", "sobel", "gradient"]


class EdgeChannelsOptions(Options):
    """Options of the preprocessor `edge_channels`."""

    channels: tuple[Channel, ...] = Field(
        ("grey", "sobel", "gradient"), min_length=1, max_length=4, description="in this order"
    )
    kernel: int = Field(3, ge=3, le=31, description="odd side of Sobel's and the gradient's window")


class EdgeChannels:
    """(h, w) grey -> (h, w, channels): all of the image, nothing cut."""

    def __init__(self, options: EdgeChannelsOptions) -> None:
        if options.kernel % 2 == 0:
            raise HandboneError(
                f"edge_channels: kernel = {options.kernel}: expected an odd number."
            )
        self._makers = [_MAKERS[name] for name in options.channels]
        self._kernel = options.kernel

    def __call__(
        self, image: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
        """Stack the chosen channels; after CLAHE, which is done already."""
        if image.ndim != 2:
            raise HandboneError("edge_channels: expected one channel; put it before other makers.")
        planes = [make(image, self._kernel) for make in self._makers]
        return np.stack(planes, axis=2), (0, image.shape[0], 0, image.shape[1])

    def channels(self, given: int) -> int:
        """As many as were chosen."""
        return len(self._makers)


def sobel(image: NDArray[np.uint8], kernel: int) -> NDArray[np.uint8]:
    """Length of Sobel's gradient, scaled so that the steepest step of grey gives 255."""
    x, y = (cv2.Sobel(image, cv2.CV_32F, *order, ksize=kernel) for order in ((1, 0), (0, 1)))
    steepest = float(cv2.getDerivKernels(1, 0, kernel, normalize=False)[0].clip(0).sum())
    smooth = float(cv2.getDerivKernels(1, 0, kernel, normalize=False)[1].sum())
    length = cv2.magnitude(x, y) * (1 / (steepest * smooth))
    return np.asarray(np.rint(np.minimum(length, 255)), np.uint8)


def gradient(image: NDArray[np.uint8], kernel: int) -> NDArray[np.uint8]:
    """Morphological gradient: dilation minus erosion by a square."""
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (kernel, kernel))
    return np.asarray(cv2.morphologyEx(image, cv2.MORPH_GRADIENT, square), np.uint8)


_MAKERS: dict[str, Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]] = {
    "grey": lambda image, _kernel: image,
    "sobel": sobel,
    "gradient": gradient,
}


def build(options: EdgeChannelsOptions, context: PreprocessContext) -> EdgeChannels:
    """Build the preprocessor."""
    return EdgeChannels(options)
