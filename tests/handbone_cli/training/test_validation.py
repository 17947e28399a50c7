from __future__ import annotations

import numpy as np

from handbone_cli.host.interfaces import Sample
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.training.validation import half, validate

FULL = (0, 10, 0, 10)


def boxed(planes):
    return BoxedProbabilities.from_planes(len(planes), (10, 10), lambda i: (planes[i], FULL))


def test_half_is_strict():
    plane = np.full((10, 10), 127, np.uint8)
    plane[2, 3] = 128
    mask = half(boxed([plane, np.zeros_like(plane)]))
    assert np.argwhere(mask.dense()).tolist() == [[0, 2, 3]]


def test_scores_of_the_labelled_images():
    square = np.array([(2, 2), (5, 2), (5, 5), (2, 5)], np.float32)
    plane = np.zeros((10, 10), np.uint8)
    plane[2:6, 2:4] = 255

    def predict(sample):
        return boxed([plane, np.zeros_like(plane)])

    samples = [
        Sample("a", "p", lambda: None),
        Sample("b", "p", lambda: None, lambda: {0: [square]}),
    ]
    scored = list(validate(samples, predict))
    assert [(each.image_id, each.dice.tolist()) for each in scored] == [("b", [2 / 3, 1.0])]


def test_a_picture_is_drawn_when_it_is_asked_for():
    asked = []

    def draw(sample, predicted, truth, dice, epoch):
        asked.append((sample.image_id, predicted.size, truth.size, dice.tolist(), epoch))
        return np.zeros((1, 1, 3), np.uint8) if sample.image_id == "b" else None

    blank = boxed([np.zeros((10, 10), np.uint8)])
    samples = [Sample(name, "p", lambda: None, dict) for name in "ab"]
    first, second = validate(samples, lambda _: blank, draw)
    assert asked == []
    assert first.draw(7) is None
    assert second.draw(7).shape == (1, 1, 3)
    assert asked == [(name, (10, 10), (10, 10), [1.0], 7) for name in "ab"]
    assert [each.draw for each in validate(samples, lambda _: blank)] == [None, None]
