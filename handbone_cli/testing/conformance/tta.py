"""What every view of test-time augmentation must do."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003  a dataclass's field
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from handbone_cli.host.interfaces import TtaContext
from handbone_cli.testing.conformance.requirements import (
    gpu_or_skip,
    require,
    require_shape,
    run_all,
)

if TYPE_CHECKING:
    from handbone_cli.host.interfaces import TtaTransform
    from handbone_cli.testing.trial import Trial

SIZES = ((48, 80), (61, 44))
"""Neither square nor even."""
FARTHEST = 1.5
"""Pixels that a resampled view may move things by."""
SPOTS = ((0.25, 0.3), (0.7, 0.2), (0.6, 0.75))
"""Where a spot lies, in image sides: off both axes and both diagonals."""


@dataclass(frozen=True, eq=False)
class TriedView:
    """A view and how closely it can be taken back.

    Attributes:
        view: the transform.
        exact: whether maps must come back as they went; None: if the view only moves pixels.
        sizes: (h, w) of the images.
    """

    view: TtaTransform
    exact: bool | None = None
    sizes: Sequence[tuple[int, int]] = SIZES


def draw_maps(size: tuple[int, int], channels: int = 3) -> torch.Tensor:
    """(2, channels, h, w) between 0 and 1 at random, always the same ones."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(2, channels, *size, generator=generator)


def shapes(tried: TriedView) -> None:
    """A view keeps images and channels, and maps of any number of classes return in their size."""
    for size in tried.sizes:
        view = tried.view.augment(draw_maps(size, 1))
        require(
            view.ndim == 4 and tuple(view.shape[:2]) == (2, 1),
            f"two images of one channel became a view of {tuple(view.shape)}",
        )
        require(view.dtype is torch.float32, f"float32 images became a view of {view.dtype}")
        maps = tried.view.restore(view.repeat(1, 5, 1, 1), size)
        require_shape(maps, (2, 5, *size))
        require(maps.dtype is torch.float32, f"the maps came back as {maps.dtype}")


def inverse(tried: TriedView) -> None:
    """Maps come back: to the bit from a view that moves pixels, in place from any other."""
    for size in tried.sizes:
        images = draw_maps(size)
        view = tried.view.augment(images)
        back = tried.view.restore(view, size)
        moves = torch.equal(view.flatten().sort().values, images.flatten().sort().values)
        if tried.exact or (tried.exact is None and moves):
            require(torch.equal(back, images), f"{size}: maps do not come back as they went")
        for spot in SPOTS:
            _require_in_place(tried.view, size, spot)


def inputs(tried: TriedView) -> None:
    """It changes neither the images nor the maps that it is given."""
    size = tried.sizes[0]
    images = draw_maps(size)
    before = images.clone()
    view = tried.view.augment(images)
    require(torch.equal(images, before), "the view changed the image it was given")
    maps = view.clone()
    tried.view.restore(maps, size)
    require(torch.equal(maps, view), "restore changed the maps it was given")


def batch(tried: TriedView) -> None:
    """Each image of a batch fares as it would by itself."""
    size = tried.sizes[0]
    images = draw_maps(size)
    together = tried.view.restore(tried.view.augment(images), size)
    alone = [tried.view.restore(tried.view.augment(images[i : i + 1]), size) for i in range(2)]
    require(
        torch.allclose(together, torch.cat(alone), atol=1e-5),
        "an image comes out otherwise beside another than by itself",
    )


def gpu(tried: TriedView) -> None:
    """It stays on the GPU and does there what it does on a CPU."""
    device = gpu_or_skip()
    size = tried.sizes[0]
    images = draw_maps(size)
    back = tried.view.restore(tried.view.augment(images.to(device)), size)
    require(back.device.type == "cuda", f"the maps came back on {back.device}")
    here = tried.view.restore(tried.view.augment(images), size)
    require(torch.allclose(back.cpu(), here, atol=1e-3), "a GPU gives other maps than a CPU")


CHECKS = (shapes, inverse, inputs, batch, gpu)


def prepare(trial: Trial) -> TriedView:
    """A registered view with its example options."""
    return TriedView(trial.build(TtaContext(("Radius", "Ulna"))))


def check_tta(
    transform: TtaTransform,
    *,
    exact: bool | None = None,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> None:
    """A view does all that a view must do (handbone_cli.testing.conformance.tta.CHECKS).

    Args:
        transform: the view.
        exact: whether maps must come back unchanged; by default, if it only moves pixels.
        sizes: (h, w) of the images it is tried with.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedView(transform, exact, sizes))


def _require_in_place(view: TtaTransform, size: tuple[int, int], spot: tuple[float, float]) -> None:
    """A bright spot must come back where it was, whatever the view does to grey values."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    centre = (spot[0] * (size[0] - 1), spot[1] * (size[1] - 1))
    distance = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (0.08 * min(size)) ** 2
    image = torch.exp(-distance / 2)[None, None]
    back = view.restore(view.augment(image), size)[0, 0].float()
    strength = (back - back.median()).abs()
    strength = (strength - strength.max() / 2).clamp(min=0)
    require(float(strength.max()) > 0, f"{size}: nothing of the image is left in the view")
    found = [float((axis * strength).sum() / strength.sum()) for axis in (rows, columns)]
    off = max(abs(a - b) for a, b in zip(found, centre, strict=True))
    require(
        off <= FARTHEST,
        f"{size}: what lies in row {centre[0]:.0f}, column {centre[1]:.0f} comes back in row "
        f"{found[0]:.0f}, column {found[1]:.0f}",
    )
