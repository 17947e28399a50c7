from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.prediction.predictor import Predictor, Prepared, enlarge, quantise
from handbone_cli.prediction.sliding_window import Windows
from handbone_cli.store.boxes import CORE, FLOOR, BoxedProbabilities


def blobs(size, seed, sharp=3.0):
    """A smooth map of probabilities (h, w) float32 with a few clear bones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    total = np.zeros(size)
    for _ in range(2):
        cy, cx = rng.uniform(0.2, 0.8, 2) * size
        reach = rng.uniform(0.08, 0.15) * min(size)
        total += np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / (2 * reach**2)) ** sharp))
    return np.clip(total, 0.001, 0.999).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(128, 128), (150, 100), (97, 203), (64, 64), (50, 40)])
def test_enlarging_is_bilinear_and_loses_nothing_that_is_stored(size, seed):
    probabilities = blobs((64, 64), seed)
    q, box = enlarge(probabilities, size)
    whole = quantise(cv2.resize(probabilities, size[::-1], interpolation=cv2.INTER_LINEAR))
    y0, y1, x0, x1 = box
    # warpAffine rounds places to 1/32 of a pixel, resize does not
    step = (
        np.abs(np.diff(probabilities, axis=0)).max() + np.abs(np.diff(probabilities, axis=1)).max()
    )
    assert np.abs(q.astype(int) - whole[y0:y1, x0:x1]).max() <= 1 + 255 * step / 64
    full = (0, size[0], 0, size[1])
    ours = BoxedProbabilities.from_planes(1, size, lambda _: (q, box))
    theirs = BoxedProbabilities.from_planes(1, size, lambda _: (whole, full))
    assert np.abs(ours.boxes - theirs.boxes).max() <= 1
    stored, expected = ours.crop(0, full).astype(int), theirs.crop(0, full).astype(int)
    differ = np.abs(stored - expected)
    cut_or_floor = (stored <= FLOOR) | (expected <= FLOOR)  # values that one has above the floor
    assert differ[~cut_or_floor].max(initial=0) <= 1 + 255 * step / 64
    assert (expected >= CORE + 8).sum() > 0
    assert (stored[expected >= CORE + 8] > 0).all()


def test_enlarging_is_exact_where_places_are():
    """At twice the size bilinear weights are quarters, which 1/32 holds: within 1/255."""
    probabilities = blobs((40, 30), 1, sharp=1.0)
    q, (y0, y1, x0, x1) = enlarge(probabilities, (80, 60))
    whole = cv2.resize(probabilities, (60, 80), interpolation=cv2.INTER_LINEAR)
    assert np.abs(q / 255 - whole[y0:y1, x0:x1]).max() <= 1 / 255


def test_nothing_worth_storing():
    q, box = enlarge(np.full((8, 8), (FLOOR - 0.1) / 255, np.float32), (16, 16))
    assert (q.size, box) == (0, (0, 0, 0, 0))


def test_quantise_rounds():
    assert quantise(np.array([0, 0.5, 0.4999, 1], np.float32)).tolist() == [0, 128, 127, 255]


class Grey(nn.Module):
    """The logit of the grey value, so that the probability is the pixel."""

    def forward(self, images):
        return torch.logit(images.clamp(1e-4, 1 - 1e-4))


class Left(nn.Module):
    """Sure of the left half of what it is shown."""

    def forward(self, images):
        logits = torch.full_like(images, -20.0)
        logits[..., : images.shape[-1] // 2] = 20.0
        return logits


class Mirror:
    def augment(self, images):
        return images.flip(-1)

    def restore(self, maps, size):
        return maps.flip(-1)


def predictor(model, windows=None, tta=(), reduce=1):
    def prepare(grey):
        small = grey[::reduce, ::reduce].astype(np.float32) / 255
        return Prepared(small[None], grey.shape, (0, grey.shape[0], 0, grey.shape[1]))

    return Predictor(model.eval(), 1, prepare, windows, tta)


@pytest.mark.parametrize("windows", [None, Windows(32, 16), Windows(32, 20, gaussian=False)])
@pytest.mark.parametrize("size", [(48, 48), (31, 70)])
def test_probabilities_come_back_in_their_place(windows, size):
    image = np.rint(blobs(size, 2) * 255).astype(np.uint8)
    boxed = predictor(Grey(), windows).predict(image)
    full = (0, *size[:1], 0, *size[1:])
    expected = BoxedProbabilities.from_planes(1, size, lambda _: (image, full))
    assert boxed.size == size
    assert np.array_equal(boxed.boxes, expected.boxes)
    # a tail value at the floor may fall on either side of it
    differ = np.abs(boxed.crop(0, full).astype(int) - expected.crop(0, full))
    assert differ[expected.crop(0, full) > FLOOR + 1].max() <= 1


def test_a_reduced_image_comes_back_in_its_own_pixels():
    image = np.zeros((64, 48), np.uint8)
    image[16:40, 8:32] = 255
    boxed = predictor(Grey(), Windows(32, 16), reduce=2).predict(image)
    plane = boxed.crop(0, (0, 64, 0, 48))
    assert boxed.size == (64, 48)
    assert (plane[18:38, 10:30] == 255).all()
    assert not plane[44:].any()


@pytest.mark.parametrize("reduce", [1, 2])
def test_a_cropped_image_comes_back_where_it_was(reduce):
    """A preprocessor may cut a part out; outside of it there is nothing."""
    image = np.zeros((64, 48), np.uint8)
    image[16:40, 8:32] = 255

    def prepare(grey):
        small = grey[8:56:reduce, 4:44:reduce].astype(np.float32) / 255
        return Prepared(small[None], grey.shape, (8, 56, 4, 44))

    predicting = Predictor(Grey().eval(), 1, prepare, Windows(32, 16))
    plane = predicting.predict(image).crop(0, (0, 64, 0, 48))
    inner = (slice(18, 38), slice(10, 30))
    assert (plane[inner] == 255).all()
    assert not plane[44:].any()
    if reduce == 1:
        assert np.array_equal(plane > 127, image > 127)


def test_views_are_averaged_as_probabilities():
    image = np.full((32, 32), 128, np.uint8)
    alone = predictor(Left()).predict(image).crop(0, (0, 32, 0, 32))
    both = predictor(Left(), tta=[Mirror()]).predict(image).crop(0, (0, 32, 0, 32))
    assert (alone[:, :16] == 255).all()
    assert not alone[:, 16:].any()
    assert (both == 128).all()


def test_views_are_averaged_as_logits():
    """Logits of 20 and -20 make 0, where probabilities make (1 + 0) / 2 too; of 20 and -4, 8."""

    class Slanted(Left):
        def forward(self, images):
            return torch.where(super().forward(images) > 0, 20.0, -4.0)

    image = np.full((32, 32), 128, np.uint8)
    made = {
        (way, windows): Predictor(
            Slanted().eval(), 1, lambda grey: Prepared(
                grey[None].astype(np.float32), grey.shape, (0, 32, 0, 32)
            ), windows, [Mirror()], way,
        ).predict(image).crop(0, (0, 32, 0, 32))
        for way in ("probabilities", "logits")
        for windows in (None, Windows(32, 16))
    }  # fmt: skip
    for windows in (None, Windows(32, 16)):
        each = {way: plane for (way, w), plane in made.items() if (w is None) == (windows is None)}
        assert (each["probabilities"] == round(255 * (1 + 1 / (1 + np.exp(4))) / 2)).all()
        assert (each["logits"] == 255).all()


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (None, "a whole image of 48 x 48 px; predict it in windows (--sliding, "),
        (Windows(32, 16), "an image of 48 x 48 px, 1 classes and one window of 32 px at a time; "),
    ],
)
def test_no_room_is_one_sentence(windows, said):
    class Full(nn.Module):
        def forward(self, images):
            raise torch.OutOfMemoryError

    with pytest.raises(HandboneError) as refused:
        predictor(Full(), windows).predict(np.zeros((48, 48), np.uint8))
    assert str(refused.value).startswith(f"out of memory with {said}")
