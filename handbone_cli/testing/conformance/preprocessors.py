"""What every preprocessor must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import PreprocessContext
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Preprocessor
    from handbone_cli.masks import Box
    from handbone_cli.testing.trial import Trial


@dataclass(frozen=True, eq=False)
class TriedStep:
    """A preprocessor."""

    step: Preprocessor

    def results(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], Box]]:
        """Images, what is made of them and their boxes."""
        for image in draw_images():
            made, box = self.step(image.copy())
            yield image, made, box


def draw_images() -> Iterator[NDArray[np.uint8]]:
    """Noise, a bright region on black, and nothing at all; always the same ones."""
    rng = np.random.default_rng(6)
    for size in ((96, 64), (41, 73)):
        yield rng.integers(0, 256, size, np.uint8)
    film = np.zeros((120, 90), np.uint8)
    film[30:100, 20:70] = rng.integers(120, 200, (70, 50), np.uint8)
    yield film
    yield np.zeros((50, 40), np.uint8)


def box(tried: TriedStep) -> None:
    """It gives uint8 and the box that they show; nothing is resampled: a pixel for a pixel."""
    for image, made, (y0, y1, x0, x1) in tried.results():
        require(made.dtype == np.uint8, f"the image came back as {made.dtype}, not uint8")
        height, width = image.shape
        require(
            0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width,
            f"the box {(y0, y1, x0, x1)} is not inside an image of {image.shape}",
        )
        require(
            made.shape[:2] == (y1 - y0, x1 - x0),
            f"the box {(y0, y1, x0, x1)} came with {made.shape[:2]} pixels",
        )


def channels(tried: TriedStep) -> None:
    """It makes as many channels as it says, of one and, unless it refuses them, of several."""
    for _, made, _ in tried.results():
        _require_channels(tried.step, 1, made)
    several = np.stack([next(draw_images())] * 2, axis=2)
    try:
        made, _ = tried.step(several)
    except HandboneError:
        return
    _require_channels(tried.step, 2, made)


def inputs(tried: TriedStep) -> None:
    """It does not change the image that it is given."""
    for image in draw_images():
        before = image.copy()
        tried.step(image)
        require(np.array_equal(image, before), "the preprocessor changed the image it was given")


def repeats(tried: TriedStep) -> None:
    """The same image gives the same result."""
    for image, made, where in tried.results():
        again, there = tried.step(image)
        require(np.array_equal(made, again) and where == there, "one image gave two results")


CHECKS = (box, channels, inputs, repeats)


def prepare(trial: Trial) -> TriedStep:
    """A registered preprocessor with its example options."""
    return TriedStep(trial.build(PreprocessContext()))


def check_preprocessor(step: Preprocessor) -> None:
    """A preprocessor does all it must (handbone_cli.testing.conformance.preprocessors.CHECKS).

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedStep(step))


def _require_channels(step: Preprocessor, given: int, made: NDArray[Any]) -> None:
    found = 1 if made.ndim == 2 else made.shape[2]
    said = step.channels(given)
    require(said == found, f"it says {said} channels for {given}, made {found}")
