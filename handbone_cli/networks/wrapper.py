"""The one wrapper around every model: padding to its divisor, cropping back, a bias per class."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Segmenter(nn.Module):
    """Any model, for any input size, started at the classes' prior.

    The learnable bias (C,) starts at the log-odds of each class's pixel frequency: a bone is 0.1
    to 2 % of the pixels, and a network that starts at 50 % spends hundreds of steps to learn just
    that (the prior of Lin et al., Focal Loss, 2017, section 4.1, per class).
    """

    def __init__(self, core: nn.Module, classes: int, divisor: int) -> None:
        super().__init__()
        self.core = core
        self.divisor = int(getattr(core, "divisor", divisor))
        self.bias = nn.Parameter(torch.zeros(classes))

    def start_at_prior(self, frequencies: torch.Tensor) -> None:
        """Set the bias to the log-odds of (C,) pixel frequencies, kept within 1e-5 and 0.5."""
        with torch.no_grad():
            self.bias.copy_(torch.logit(frequencies.clamp(1e-5, 0.5)))

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """(N, in_channels, h, w) -> logits (N, C, h, w).

        While training, a model that returns [main, aux...] gives a list; every entry is brought to
        (h, w). The input is padded by reflection (by replication where it is too small for that).
        """
        size = (int(images.shape[-2]), int(images.shape[-1]))
        output = self.core(pad_to_multiple(images, self.divisor))
        if isinstance(output, (list, tuple)):
            outputs = [self._finish(each, size) for each in output]
            return outputs if self.training else outputs[0]
        return self._finish(output, size)

    def _finish(self, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        padded = tuple(-(-side // self.divisor) * self.divisor for side in size)
        if tuple(logits.shape[-2:]) != padded:
            logits = functional.interpolate(logits, padded, mode="bilinear", align_corners=False)
        cropped = logits[..., : size[0], : size[1]]
        return cropped + self.bias.to(cropped.dtype).view(1, -1, 1, 1)


def pad_to_multiple(images: torch.Tensor, divisor: int) -> torch.Tensor:
    """Pad (N, C, h, w) at the right and lower edge to multiples of the divisor."""
    right, below = -images.shape[-1] % divisor, -images.shape[-2] % divisor
    if right == 0 and below == 0:
        return images
    fits = right < images.shape[-1] and below < images.shape[-2]
    return functional.pad(images, (0, right, 0, below), mode="reflect" if fits else "replicate")
