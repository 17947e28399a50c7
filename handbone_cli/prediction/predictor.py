"""The predictor: one image in, probabilities in boxes out, whatever model and options."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.masks import EMPTY, grow_box, tight_box
from handbone_cli.networks.build import autocast
from handbone_cli.prediction.seam import Rooms, finished, room
from handbone_cli.prediction.sliding_window import Windows, stitch
from handbone_cli.prediction.window_batch import WindowBatch, is_out_of_memory
from handbone_cli.store.boxes import CORE, FLOOR, MARGIN, BoxedProbabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import TtaTransform
    from handbone_cli.masks import Box
    from handbone_cli.networks.wrapper import Segmenter


@dataclass(frozen=True)
class Prepared:
    """What the predictor asks of preprocessing: a normalised image and where to return to.

    Attributes:
        image: (in_channels, h, w) float32 as the network sees it.
        size: (H, W) of the image's own pixels.
        crop: the part of them that `image` shows.
    """

    image: NDArray[np.float32]
    size: tuple[int, int]
    crop: Box

    @property
    def is_whole(self) -> bool:
        """Whether a pixel that the network sees is one of the image's own."""
        y0, y1, x0, x1 = self.crop
        return self.image.shape[1:] == (y1 - y0, x1 - x0)


@dataclass(frozen=True)
class Predictor:
    """Probabilities of an image.

    Attributes:
        model: in its wrapper, on its device, in eval mode.
        classes: C.
        prepare: decoded grey -> Prepared, as in training.
        windows: sliding windows, or None for the whole image at once.
        tta: views averaged with the image itself.
        average: what windows and views are averaged as; the sigmoid is taken before or after.
        batch: windows at a time.
        device: of the model.
        precision: of the forward pass.
        rooms: memory for sums, kept from image to image.
    """

    model: Segmenter
    classes: int
    prepare: Callable[[NDArray[Any]], Prepared]
    windows: Windows | None
    tta: Sequence[TtaTransform] = ()
    average: Literal["probabilities", "logits"] = "probabilities"
    batch: WindowBatch = field(default_factory=WindowBatch)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype = torch.float32
    rooms: Rooms = field(default_factory=Rooms)

    def predict(self, grey: NDArray[Any]) -> BoxedProbabilities:
        """(H, W) uint8 or uint16 grey -> probabilities in the image's own pixels."""
        return self.predict_prepared(self.prepare(grey))

    def predict_prepared(self, prepared: Prepared) -> BoxedProbabilities:
        """The same of an image that is prepared already."""
        return self.begin(prepared)()

    def begin(self, prepared: Prepared) -> Callable[[], BoxedProbabilities]:
        """Do the device's part; gives what is left for the CPU, in whatever thread.

        Meanwhile it holds q of all classes in the pixels that the network sees, or p in float32
        where these are to be enlarged.
        """
        maps = self._maps(prepared.image, torch.uint8 if prepared.is_whole else torch.float32)
        return functools.partial(boxed, maps, prepared)

    @torch.inference_mode()
    def _maps(self, image: NDArray[np.float32], dtype: torch.dtype) -> NDArray[Any]:
        """(in_channels, h, w) -> (C, h, w) of `dtype`: float32 p, or uint8 q."""
        tensor = torch.from_numpy(image)[None].to(self.device)
        logits = self.average == "logits"
        try:
            maps = room((self.classes, *image.shape[1:]), self.device, dtype)
            if self.windows is None:
                maps.copy_(finished(self._views(tensor)[0], dtype, logits=logits))
            else:
                stitch(
                    tensor, self._views, self.windows, self.batch, maps, logits=logits,
                    rooms=self.rooms,
                )  # fmt: skip
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise HandboneError(self._out_of_memory(image)) from error
        return on_host(maps).numpy()

    def _views(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> (N, C, h, w): the mean over the images and their views."""
        size = (int(images.shape[-2]), int(images.shape[-1]))
        total = self._forward(images)
        for view in self.tta:
            total += view.restore(self._forward(view.augment(images)), size)
        return total.div_(1 + len(self.tta)) if self.tta else total

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        """What is averaged, float32 and nobody else's: the wrapper's logits are a sum."""
        with autocast(self.device, self.precision):
            logits: torch.Tensor = self.model(images).float()
        return logits if self.average == "logits" else logits.sigmoid_()

    def _out_of_memory(self, image: NDArray[np.float32]) -> str:
        height, width = image.shape[1:]
        if self.windows is None:
            return (
                f"out of memory with a whole image of {height} x {width} px; predict it in windows "
                "(--sliding, predict.sliding = true)."
            )
        return (
            f"out of memory with an image of {height} x {width} px, {self.classes} classes and one "
            f"window of {self.windows.window} px at a time; take a smaller one (--window, "
            "predict.window)."
        )


def boxed(maps: NDArray[Any], prepared: Prepared) -> BoxedProbabilities:
    """Maps (C, h, w), q as uint8 or p as float32, in boxes in the image's own pixels."""
    y0, y1, x0, x1 = prepared.crop

    def plane(index: int) -> tuple[NDArray[np.uint8], Box]:
        if prepared.is_whole:
            return maps[index], prepared.crop
        crop, box = enlarge(maps[index], (y1 - y0, x1 - x0))
        return crop, (box[0] + y0, box[1] + y0, box[2] + x0, box[3] + x0)

    return BoxedProbabilities.from_planes(len(maps), prepared.size, plane)


def on_host(maps: torch.Tensor) -> torch.Tensor:
    """Maps in the CPU's memory; those of a GPU come in one transfer to pinned memory."""
    if not maps.is_cuda:
        return maps
    return torch.empty(maps.shape, dtype=maps.dtype, pin_memory=True).copy_(maps)


def quantise(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Q = rint(255 p)."""
    return np.asarray(np.rint(probabilities * np.float32(255)), np.uint8)


def enlarge(
    probabilities: NDArray[np.float32], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], Box]:
    """One class (h, w) brought to (H, W) bilinearly, only where it can reach the store's core.

    Bilinear values lie between their neighbours', so beyond the box of p >= CORE / 255, grown by
    the store's margin and a pixel of the map, nothing that the store keeps is lost.
    """
    strongest = float(probabilities.max())
    if strongest * 255 <= FLOOR:
        return np.zeros((0, 0), np.uint8), EMPTY
    ratio = (probabilities.shape[0] / size[0], probabilities.shape[1] / size[1])
    y0, y1, x0, x1 = tight_box(probabilities >= min((CORE - 0.5) / 255, strongest))
    box = (
        int((y0 - 1) / ratio[0]), int(np.ceil((y1 + 1) / ratio[0])),
        int((x0 - 1) / ratio[1]), int(np.ceil((x1 + 1) / ratio[1])),
    )  # fmt: skip
    box = grow_box(box, MARGIN, size)
    matrix = np.array(
        [
            [ratio[1], 0, (box[2] + 0.5) * ratio[1] - 0.5],
            [0, ratio[0], (box[0] + 0.5) * ratio[0] - 0.5],
        ]
    )
    enlarged = cv2.warpAffine(
        probabilities, matrix, (box[3] - box[2], box[1] - box[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return quantise(np.asarray(enlarged, np.float32)), box
