"""The one wrapper around every model: padding to its divisor, cropping back, a bias per class."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Segmenter(nn.Module):
    """Any model, for any input size, started at the classes' prior.

    A core may say of itself, as attributes:

    - `divisor`: height and width must be its multiples; the wrapper pads to it (the one given at
      registration by default).
    - `minimum`: the least height and width; the wrapper pads to it (the divisor by default).
    - `minimum_batch`: the fewest images of a training step, where it normalises over the batch (1).
    - `output_weights`: of [main, aux...] in the loss, summing to any number; 1, 1/2, 1/4 ... by
      default, as nnU-Net weighs deep supervision.

    The learnable bias (C,) starts at the log-odds of each class's pixel frequency: a bone is 0.1
    to 2 % of the pixels, and a network that starts at 50 % spends hundreds of steps to learn just
    that (the prior of Lin et al., Focal Loss, 2017, section 4.1, per class).
    """

    def __init__(self, core: nn.Module, classes: int, divisor: int) -> None:
        super().__init__()
        self.core = core
        self.divisor = int(getattr(core, "divisor", divisor))
        self.minimum = int(getattr(core, "minimum", self.divisor))
        self.minimum_batch = int(getattr(core, "minimum_batch", 1))
        self.output_weights: tuple[float, ...] | None = getattr(core, "output_weights", None)
        self.bias = nn.Parameter(torch.zeros(classes))

    def start_at_prior(self, frequencies: torch.Tensor) -> None:
        """Set the bias to the log-odds of (C,) pixel frequencies, kept within 1e-5 and 0.5."""
        with torch.no_grad():
            self.bias.copy_(torch.logit(frequencies.clamp(1e-5, 0.5)))

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """(N, in_channels, h, w) -> logits (N, C, h, w).

        While training, a model that returns [main, aux...] gives a list. Auxiliary entries keep
        their own resolution where nothing was padded: 29 classes at full size are 122 MB an entry
        and image at 1024 px. The input is padded by reflection (by replication where it is too
        small for that).
        """
        size = (int(images.shape[-2]), int(images.shape[-1]))
        padded = pad_to_multiple(images, self.divisor, self.minimum)
        shape = (int(padded.shape[-2]), int(padded.shape[-1]))
        output = self.core(padded)
        if not isinstance(output, (list, tuple)):
            return self._finish(output, shape, size)
        main = self._finish(output[0], shape, size)
        if not self.training:
            return main
        return [main, *(self._finish_auxiliary(each, shape, size) for each in output[1:])]

    def _finish(
        self, logits: torch.Tensor, padded: tuple[int, int], size: tuple[int, int]
    ) -> torch.Tensor:
        if tuple(logits.shape[-2:]) != padded:
            logits = functional.interpolate(logits, padded, mode="bilinear", align_corners=False)
        return self._with_bias(logits[..., : size[0], : size[1]])

    def _finish_auxiliary(
        self, logits: torch.Tensor, padded: tuple[int, int], size: tuple[int, int]
    ) -> torch.Tensor:
        return self._with_bias(logits) if padded == size else self._finish(logits, padded, size)

    def _with_bias(self, logits: torch.Tensor) -> torch.Tensor:
        return logits + self.bias.to(logits.dtype).view(1, -1, 1, 1)


def pad_to_multiple(images: torch.Tensor, divisor: int, minimum: int = 1) -> torch.Tensor:
    """Pad (N, C, h, w) at the right and lower edge to multiples of the divisor.

    They are at least the first multiple that holds `minimum` px.
    """
    least = -(-minimum // divisor) * divisor
    height, width = int(images.shape[-2]), int(images.shape[-1])
    below, right = (max(least, side + -side % divisor) - side for side in (height, width))
    if right == 0 and below == 0:
        return images
    fits = right < width and below < height
    return functional.pad(images, (0, right, 0, below), mode="reflect" if fits else "replicate")
