"""What every view of test-time augmentation must do."""

from __future__ import annotations

import functools
from collections.abc import Sequence  # noqa: TC003  a dataclass's field
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

from handbone_cli.host.interfaces import TtaContext, TtaTransform
from handbone_cli.networks.views import views_of
from handbone_cli.testing.conformance.requirements import (
    gpu_or_skip,
    require,
    require_shape,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from handbone_cli.testing.trial import Trial

SIZES = ((48, 80), (61, 44))
"""Neither square nor even."""
FARTHEST = 1.5
"""Pixels that a resampled view may move things by."""
LOST = 1e-4
"""What a map of ones may lose by rounding."""
SPOTS = ((0.25, 0.3), (0.7, 0.2), (0.6, 0.75))
"""Where a spot lies, in image sides: off both axes and both diagonals."""


@dataclass(frozen=True, eq=False)
class TriedView:
    """A view, or a set of them, and how closely it can be taken back.

    Attributes:
        view: the transform, or those of a set.
        exact: whether maps must come back as they went; None: as the view says of itself, or, if it
            says nothing, if it only moves pixels.
        sizes: (h, w) of the images.
    """

    view: TtaTransform | Sequence[TtaTransform]
    exact: bool | None = None
    sizes: Sequence[tuple[int, int]] = SIZES


ViewCheck: TypeAlias = "Callable[[TtaTransform, TriedView], None]"


def of_every_view(check: ViewCheck) -> Callable[[TriedView], None]:
    """A check of one view as one of all views of a set; what is wrong says which."""

    @functools.wraps(check)
    def checked(tried: TriedView) -> None:
        if isinstance(tried.view, TtaTransform):
            return check(tried.view, tried)
        for place, view in enumerate(tried.view, start=1):
            try:
                check(view, tried)
            except AssertionError as error:
                raise AssertionError(f"view {place} of {len(tried.view)}: {error}") from error
        return None

    return checked


def draw_maps(size: tuple[int, int], channels: int = 3) -> torch.Tensor:
    """(2, channels, h, w) between 0 and 1 at random, always the same ones."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(2, channels, *size, generator=generator)


@of_every_view
def shapes(view: TtaTransform, tried: TriedView) -> None:
    """A view keeps images and channels, and maps of any number of classes return in their size."""
    for size in tried.sizes:
        seen = view.augment(draw_maps(size, 1))
        require(
            seen.ndim == 4 and tuple(seen.shape[:2]) == (2, 1),
            f"two images of one channel became a view of {tuple(seen.shape)}",
        )
        require(seen.dtype is torch.float32, f"float32 images became a view of {seen.dtype}")
        maps = view.restore(seen.repeat(1, 5, 1, 1), size)
        require_shape(maps, (2, 5, *size))
        require(maps.dtype is torch.float32, f"the maps came back as {maps.dtype}")


@of_every_view
def inverse(view: TtaTransform, tried: TriedView) -> None:
    """Maps come back: to the bit from a view that is exact, in place from any other."""
    said = getattr(view, "exact", None) if tried.exact is None else tried.exact
    for size in tried.sizes:
        images = draw_maps(size)
        seen = view.augment(images)
        back = view.restore(seen, size)
        moves = torch.equal(seen.flatten().sort().values, images.flatten().sort().values)
        if said or (said is None and moves):
            require(torch.equal(back, images), f"{size}: maps do not come back as they went")
        for spot in SPOTS:
            _require_in_place(view, size, spot)


@of_every_view
def whole(view: TtaTransform, tried: TriedView) -> None:
    """A class that fills the view fills the image: no pixel is averaged as if it were empty."""
    for size in tried.sizes:
        seen = view.augment(draw_maps(size, 1))
        back = view.restore(torch.ones_like(seen), size)
        lost = int((back < 1 - LOST).sum()) // len(back)
        require(lost == 0, f"{size}: {lost} pixels of the image are lost from a view full of ones")


@of_every_view
def mirrored(view: TtaTransform, tried: TriedView) -> None:
    """A view that makes a left hand a right one says so, and no other does."""
    said = getattr(view, "mirrored", None)
    for size in tried.sizes:
        here = [_find_spot(_draw_spot(size, spot)) for spot in SPOTS]
        there = [_find_spot(view.augment(_draw_spot(size, spot))) for spot in SPOTS]
        mirrors = _turns_left(here) != _turns_left(there)
        advice = f"set its attribute mirrored to {mirrors}"
        require(said is not None or not mirrors, f"it mirrors and does not say so: {advice}")
        require(said in (None, mirrors), f"it says mirrored = {said}: {advice}")


@of_every_view
def inputs(view: TtaTransform, tried: TriedView) -> None:
    """It changes neither the images nor the maps that it is given."""
    size = tried.sizes[0]
    images = draw_maps(size)
    before = images.clone()
    seen = view.augment(images)
    require(torch.equal(images, before), "the view changed the image it was given")
    maps = seen.clone()
    view.restore(maps, size)
    require(torch.equal(maps, seen), "restore changed the maps it was given")


@of_every_view
def batch(view: TtaTransform, tried: TriedView) -> None:
    """Each image of a batch fares as it would by itself."""
    size = tried.sizes[0]
    images = draw_maps(size)
    together = view.restore(view.augment(images), size)
    alone = [view.restore(view.augment(images[i : i + 1]), size) for i in range(2)]
    require(
        torch.allclose(together, torch.cat(alone), atol=1e-5),
        "an image comes out otherwise beside another than by itself",
    )


@of_every_view
def gpu(view: TtaTransform, tried: TriedView) -> None:
    """It stays on the GPU and does there what it does on a CPU."""
    device = gpu_or_skip()
    size = tried.sizes[0]
    images = draw_maps(size)
    back = view.restore(view.augment(images.to(device)), size)
    require(back.device.type == "cuda", f"the maps came back on {back.device}")
    here = view.restore(view.augment(images), size)
    require(torch.allclose(back.cpu(), here, atol=1e-3), "a GPU gives other maps than a CPU")


CHECKS = (shapes, inverse, whole, mirrored, inputs, batch, gpu)


def prepare(trial: Trial) -> TriedView:
    """A registered view or set with its example options."""
    built = trial.build(TtaContext(("Radius", "Ulna")))
    views = views_of(built, trial.component)
    return TriedView(views if len(views) > 1 else views[0])


def check_tta(
    transform: TtaTransform | Sequence[TtaTransform],
    *,
    exact: bool | None = None,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> None:
    """A view does all that a view must do (handbone_cli.testing.conformance.tta.CHECKS).

    Args:
        transform: the view, or the views of a set.
        exact: whether maps must come back unchanged; by default as the attribute `exact` says, and
            without one, if it only moves pixels.
        sizes: (h, w) of the images it is tried with.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedView(transform, exact, sizes))


def _draw_spot(size: tuple[int, int], spot: tuple[float, float]) -> torch.Tensor:
    """(1, 1, h, w): bright about a place given in image sides."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    row, column = (part * (length - 1) for part, length in zip(spot, size, strict=True))
    distance = ((rows - row) ** 2 + (columns - column) ** 2) / (0.08 * min(size)) ** 2
    return torch.exp(-distance / 2)[None, None]


def _find_spot(maps: torch.Tensor) -> tuple[float, float]:
    """Row and column of what stands out in (1, 1, h, w), bright or dark."""
    plane = maps[0, 0].float()
    strength = (plane - plane.median()).abs()
    strength = (strength - strength.max() / 2).clamp(min=0)
    size = tuple(plane.shape)
    require(float(strength.max()) > 0, f"{size}: nothing of the image is left in the view")
    axes = torch.meshgrid(*(torch.arange(length) for length in size), indexing="ij")
    row, column = (float((axis * strength).sum() / strength.sum()) for axis in axes)
    return row, column


def _turns_left(places: Sequence[tuple[float, float]]) -> bool:
    """Whether the way through three places bends to the left."""
    (y0, x0), (y1, x1), (y2, x2) = places
    return (x1 - x0) * (y2 - y0) < (y1 - y0) * (x2 - x0)


def _require_in_place(view: TtaTransform, size: tuple[int, int], spot: tuple[float, float]) -> None:
    """A bright spot must come back where it was, whatever the view does to grey values."""
    image = _draw_spot(size, spot)
    found = _find_spot(view.restore(view.augment(image), size))
    centre = tuple(part * (length - 1) for part, length in zip(spot, size, strict=True))
    off = max(abs(a - b) for a, b in zip(found, centre, strict=True))
    require(
        off <= FARTHEST,
        f"{size}: what lies in row {centre[0]:.0f}, column {centre[1]:.0f} comes back in row "
        f"{found[0]:.0f}, column {found[1]:.0f}",
    )
