"""What every post-processor must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from handbone_cli.decision.decide import DecidedMasks
from handbone_cli.decision.document import Decision
from handbone_cli.host.interfaces import PostContext
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import PostProcessor
    from handbone_cli.masks import Box, PackedMask
    from handbone_cli.store.store import Store
    from handbone_cli.testing.trial import Trial

NAMES = ("Radius", "Ulna")
SIZE = (60, 70)
BOXES: tuple[Box, Box] = ((5, 45, 10, 50), (20, 58, 30, 68))
"""Of two bones that overlap."""


@dataclass(frozen=True, eq=False)
class TriedRule:
    """A rule and the bone that it is tried on.

    Attributes:
        rule: the post-processor.
        class_name: the bone's.
    """

    rule: PostProcessor
    class_name: str = NAMES[0]


def draw_masks() -> Iterator[NDArray[np.bool_]]:
    """Masks of nothing, everything, noise and blobs; a single pixel, a row, a foreign order."""
    rng = np.random.default_rng(5)
    for density, size in (
        (0.0, (5, 7)),
        (0.5, (40, 30)),
        (1.0, (6, 6)),
        (1.0, (1, 1)),
        (0.5, (1, 9)),
    ):
        yield rng.random(size) < density
    yield _blobs((40, 40))
    yield _blobs((30, 50)).T


def booleans(tried: TriedRule) -> None:
    """A bone's mask in its box gives booleans of the same shape, whatever is in it."""
    for mask in draw_masks():
        result = tried.rule(mask, tried.class_name)
        require(isinstance(result, np.ndarray), f"the mask came back as {type(result).__name__}")
        require(result.shape == mask.shape, f"{mask.shape} became {result.shape}")
        require(result.dtype == np.bool_, f"the mask came back as {result.dtype}")


def inputs(tried: TriedRule) -> None:
    """It does not change the mask that it is given."""
    for mask in draw_masks():
        before = mask.copy()
        tried.rule(mask, tried.class_name)
        require(np.array_equal(mask, before), "the rule changed the mask it was given")


def repeats(tried: TriedRule) -> None:
    """The same mask gives the same result, whatever came in between."""
    masks = list(draw_masks())
    first = [tried.rule(mask, tried.class_name) for mask in masks]
    for mask, result in reversed(list(zip(masks, first, strict=True))):
        require(
            np.array_equal(tried.rule(mask, tried.class_name), result), "one mask gave two answers"
        )


def bones(tried: TriedRule) -> None:
    """As `hb submit` applies it, a bone comes out the same with another across it and without."""
    planes = {
        name: _blobs((y1 - y0, x1 - x0))
        for name, (y0, y1, x0, x1) in zip(NAMES, BOXES, strict=True)
    }
    both = _decide(tried.rule, planes)
    for index, name in enumerate(NAMES):
        y0, y1, x0, x1 = BOXES[index]
        alone = _decide(tried.rule, {name: planes[name]})
        result, expected = both.dense()[index], alone.dense()[index]
        require(np.array_equal(result, expected), f"{name} comes out otherwise beside another bone")
        inside = result[y0:y1, x0:x1]
        require(int(inside.sum()) == int(result.sum()), f"{name} has pixels outside its box")
        require(
            np.array_equal(inside, tried.rule(planes[name].copy(), name)),
            f"{name} comes out otherwise from a store than by itself",
        )


CHECKS = (booleans, inputs, repeats, bones)


def prepare(trial: Trial) -> TriedRule:
    """A registered rule with its example options."""
    return TriedRule(trial.build(PostContext(NAMES)))


def check_postprocessor(rule: PostProcessor, class_name: str = NAMES[0]) -> None:
    """A rule does all that it must (handbone_cli.testing.conformance.postprocessors.CHECKS).

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedRule(rule, class_name))


def _blobs(size: tuple[int, int]) -> NDArray[np.bool_]:
    """A large piece with a hole, a small piece and specks, touching every edge of the box."""
    mask = np.zeros(size, np.bool_)
    height, width = size
    mask[: height // 2, : width // 2] = True
    mask[height // 6 : height // 4, width // 6 : width // 4] = False
    mask[-height // 4 :, -width // 4 :] = True
    mask[np.random.default_rng(6).random(size) < 0.02] = True
    return mask


class _OneImage:
    """A store of one image, as far as a decision reads it."""

    image_ids = ("one",)

    def __init__(self, planes: dict[str, NDArray[np.bool_]]) -> None:
        boxes = [BOXES[NAMES.index(name)] if name in planes else (0, 0, 0, 0) for name in NAMES]
        crops = tuple(
            planes[name].astype(np.uint8) * 255 if name in planes else np.zeros((0, 0), np.uint8)
            for name in NAMES
        )
        self._boxed = BoxedProbabilities(SIZE, np.array(boxes, np.int32), crops)

    def load(self, image_id: str) -> BoxedProbabilities:
        """The only image."""
        assert image_id in self.image_ids
        return self._boxed


def _decide(rule: PostProcessor, planes: dict[str, NDArray[np.bool_]]) -> PackedMask:
    decision = Decision(NAMES, np.ones((2, 1)), np.full(2, 0.5), ())
    store = cast("Store", _OneImage(planes))
    return DecidedMasks(decision, [store], [rule]).mask("one")
