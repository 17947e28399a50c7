"""What every post-processor must do."""

from __future__ import annotations

import unittest
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.shape_model import ShapeModel
from handbone_cli.decision.decide import DecidedMasks
from handbone_cli.decision.document import Decision
from handbone_cli.decision.postprocessing import ScopedRule
from handbone_cli.host.interfaces import Bone, BoneRule, HandRule, PostContext
from handbone_cli.masks import grow_box, tight_box
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from handbone_cli.decision.postprocessing import AnyRule
    from handbone_cli.masks import Box, PackedMask
    from handbone_cli.store.store import Store
    from handbone_cli.testing.trial import Trial

NAMES = ("Radius", "Ulna")
SIZE = (60, 70)
BOXES: tuple[Box, Box] = ((5, 45, 10, 50), (20, 58, 30, 68))
"""Of two bones that overlap."""
SIDE = (300, 300)
UNIT = 140.0
"""Of a whole hand, in px."""


@dataclass(frozen=True, eq=False)
class TriedRule:
    """A rule and the bone that it is tried on.

    Attributes:
        rule: the post-processor.
        class_name: the bone's.
    """

    rule: AnyRule
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
        result = answer(tried.rule, bone_of(tried.class_name, mask))
        require(isinstance(result, np.ndarray), f"the mask came back as {type(result).__name__}")
        require(result.shape == mask.shape, f"{mask.shape} became {result.shape}")
        require(result.dtype == np.bool_, f"the mask came back as {result.dtype}")


def inputs(tried: TriedRule) -> None:
    """It does not change the mask that it is given."""
    for mask in draw_masks():
        bone = bone_of(tried.class_name, mask)
        given: dict[str, NDArray[Any]] = {
            "mask": mask,
            "probabilities": bone.read_probabilities(),
            "image": bone.read_grey(),
        }
        before = {name: each.copy() for name, each in given.items()}
        answer(tried.rule, bone)
        for name, now in given.items():
            require(np.array_equal(now, before[name]), f"the rule changed the {name} it was given")


def repeats(tried: TriedRule) -> None:
    """The same mask gives the same result, whatever came in between."""
    cases = [bone_of(tried.class_name, mask) for mask in draw_masks()]
    first = [answer(tried.rule, bone) for bone in cases]
    for bone, result in reversed(list(zip(cases, first, strict=True))):
        require(np.array_equal(answer(tried.rule, bone), result), "one mask gave two answers")


def bones(tried: TriedRule) -> None:
    """As `hb submit` applies it, a bone comes out the same with another across it and without."""
    if isinstance(tried.rule, HandRule):
        raise unittest.SkipTest("it judges each bone by the others")
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
        by_itself = answer(tried.rule, bone_of(name, planes[name].copy(), BOXES[index]))
        require(
            np.array_equal(inside, by_itself),
            f"{name} comes out otherwise from a store than by itself",
        )


def scope(tried: TriedRule) -> None:
    """For some bones of a hand alone, no other changes; bones are exchanged only if it says so."""
    hand = draw_hand()
    for chosen in (frozenset[str](), frozenset({"finger-6"}), frozenset({"Ulna", "Lunate"})):
        after = ScopedRule(tried.rule, chosen).apply(hand, SIDE)
        for name, bone in hand.items():
            if name not in chosen:
                same = name in after and np.array_equal(after[name].mask, bone.mask)
                require(same, f"for {sorted(chosen)} alone, it changed {name}")
    if isinstance(tried.rule, HandRule):
        made = tried.rule.arrange(hand, SIDE)
        strange = [name for name in (*made.masks, *made.names) if name not in hand]
        require(not strange, f"it answers for bones that are not there: {strange[:3]}")
        require(
            tried.rule.exchanges or not made.names, "it exchanges bones and its exchanges is False"
        )
        taken = list(made.names.values())
        require(len(set(taken)) == len(taken), "it gives two bones one name")
        for name, mask in made.masks.items():
            require(mask.shape == hand[name].mask.shape, f"{name} has another shape")
            require(mask.dtype == np.bool_, f"{name} came back as {mask.dtype}")


def answer(rule: AnyRule, bone: Bone) -> NDArray[np.bool_]:
    """What a rule of any kind makes of one bone, just as it gives it."""
    if isinstance(rule, HandRule):
        made = rule.arrange({bone.class_name: bone}, SIZE)
        return made.masks.get(bone.class_name, bone.mask)
    if isinstance(rule, BoneRule):
        return rule.refine(bone)
    return rule(bone.mask, bone.class_name)


def bone_of(name: str, mask: NDArray[np.bool_], box: Box | None = None) -> Bone:
    """A bone with this mask, as sure as can be, on a noisy radiograph."""
    y0, y1, x0, x1 = box or (0, mask.shape[0], 0, mask.shape[1])
    probabilities = mask.astype(np.float32)
    grey = draw_grey((y1, x1))[y0:y1, x0:x1]
    return Bone(name, (y0, y1, x0, x1), mask, 0.5, lambda: probabilities, lambda: grey)


def draw_grey(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A noisy radiograph, the same pixels at whatever size."""
    y, x = np.ogrid[: size[0], : size[1]]
    return np.asarray((37 * y + 101 * x + y * x) % 256, np.uint8)


def draw_hand() -> dict[str, Bone]:
    """The bones of the mean hand, a second piece far from each, and two under each other's name."""
    import cv2

    shape = ShapeModel.load().mean * UNIT + np.array((SIDE[1] / 2, SIDE[0] / 2 + UNIT / 4))
    named = dict(zip(HAND_BONES, np.rint(shape).astype(np.int32), strict=True))
    named["finger-6"], named["finger-10"] = named["finger-10"], named["finger-6"]
    hand = {}
    for name, outline in named.items():
        plane = np.zeros(SIDE, np.uint8)
        cv2.fillPoly(plane, [outline], (1,))
        plane[4:8, 4:8] = 1
        y0, y1, x0, x1 = grow_box(tight_box(plane > 0), 4, SIDE)
        hand[name] = bone_of(name, plane[y0:y1, x0:x1] > 0, (y0, y1, x0, x1))
    return hand


CHECKS = (booleans, inputs, repeats, bones, scope)


def prepare(trial: Trial) -> TriedRule:
    """A registered rule with its example options."""
    return TriedRule(trial.build(PostContext(NAMES)))


def check_postprocessor(rule: AnyRule, class_name: str = NAMES[0]) -> None:
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


def _decide(rule: AnyRule, planes: dict[str, NDArray[np.bool_]]) -> PackedMask:
    decision = Decision(NAMES, np.ones((2, 1)), np.full(2, 0.5), ())
    store = cast("Store", _OneImage(planes))
    return DecidedMasks(decision, [store], [rule], lambda _: draw_grey(SIZE)).mask("one")
