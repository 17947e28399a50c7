from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handbone_cli.data.audit.disagreement import (
    disagreement_findings,
    disagreements,
    require_out_of_fold,
)
from handbone_cli.data.audit.labelled_image import LabelledImage
from handbone_cli.errors import HandboneError
from handbone_cli.store.boxes import BoxedProbabilities

NAMES = ("a", "b")


def image(name="i0"):
    square = np.array([[10, 10], [29, 10], [29, 29], [10, 29]], np.float32)
    return LabelledImage(name, "p", (64, 64), NAMES, {0: [square]})


def probabilities(shift, size=(64, 64), q=200):
    def plane(index):
        values = np.zeros(size, np.uint8)
        if index == 0:
            values[10:30, 10 + shift : 30 + shift] = q
        return values, (0, size[0], 0, size[1])

    return BoxedProbabilities.from_planes(2, size, plane)


@pytest.mark.parametrize(("shift", "loss"), [(0, 0.0), (10, 0.5), (20, 1.0)])
def test_disagreement_is_one_less_dice(shift, loss):
    found = disagreements(image(), probabilities(shift))
    np.testing.assert_allclose(found, (loss, 0.0))


def test_the_mask_is_what_lies_above_one_half():
    assert disagreements(image(), probabilities(0, q=128))[0] == 0
    assert disagreements(image(), probabilities(0, q=127))[0] == 1


def test_another_size_is_refused():
    with pytest.raises(HandboneError, match=r"^i0: its prediction is of \(32, 40\) px, the image"):
        disagreements(image(), probabilities(0, (32, 40)))


def test_labels_are_judged_by_the_usual_dice_of_the_bone():
    losses = {f"i{place}": np.array([0.03, 0.2]) for place in range(5)}
    losses["i1"] = np.array([0.15, 0.25])
    losses["i2"] = np.array([0.09, 0.9])
    images = {name: image(name) for name in losses}
    found = disagreement_findings(images, losses)
    assert [(f.image_id, f.bones, f.says) for f in found] == [
        ("i1", ("a",), "a has a Dice of 0.85 with the prediction, usually 0.97."),
        ("i2", ("b",), "b has a Dice of 0.10 with the prediction, usually 0.80."),
    ]
    np.testing.assert_allclose([f.score for f in found], (1.25, 1.125))
    assert disagreement_findings({}, {}) == []


def store(seen=(), names=NAMES, images=("i0", "i1")):
    entries = {name: SimpleNamespace(seen=name in seen) for name in images}
    return SimpleNamespace(path=Path("oof"), class_names=names, images=entries)


def test_a_store_has_to_be_out_of_fold():
    require_out_of_fold(store(), NAMES, {"i0"})
    require_out_of_fold(store(seen=("i1",)), NAMES, {"i0"})
    with pytest.raises(HandboneError, match="oof: its model was trained on 1 of these images"):
        require_out_of_fold(store(seen=("i0",)), NAMES, {"i0"})
    with pytest.raises(HandboneError, match=r"oof: has other classes \(1\) than the labels \(2\)"):
        require_out_of_fold(store(names=("a",)), NAMES, {"i0"})
    with pytest.raises(HandboneError, match="oof: holds none of the labelled images"):
        require_out_of_fold(store(), NAMES, {"x"})
