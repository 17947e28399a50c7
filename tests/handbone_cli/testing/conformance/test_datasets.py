from __future__ import annotations

import functools

import numpy as np
import pytest

from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import PackedMask
from handbone_cli.testing import check_dataset

IMAGE = np.arange(48, dtype=np.uint8).reshape(6, 8)
OUTLINE = np.array([(0, 0), (5, 0), (5, 4)], np.float32)


def give(value):
    return value


def answer(*values, at=[0]):  # noqa: B006  other values from call to call
    at[0] += 1
    return values[at[0] % len(values)]


class Films:
    def __init__(self, *, class_names=("a", "b"), problems=(), test=(), **changes):
        self.class_names, self.found = class_names, problems
        facts = {
            "image_id": "one",
            "person": "p",
            "read_image": functools.partial(give, IMAGE),
            "read_labels": functools.partial(give, {1: [OUTLINE]}),
        }
        self.parts = {"train": [Sample(**{**facts, **changes})], "test": list(test)}

    def samples(self, split):
        return self.parts[split]

    def problems(self):
        return self.found


def labels(value):
    return {"read_labels": functools.partial(give, value)}


def image(value):
    return {"read_image": functools.partial(give, value)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"side": "left", "spacing": (0.1, 0.2)},
        {"read_labels": None},
        labels({}),
        labels(PackedMask.empty((6, 8), 2)),
        image(IMAGE.astype(np.uint16)),
        {"problems": ["a.png: the image has no labels."]},
    ],
)
def test_datasets(changes):
    check_dataset(Films(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_names": ["a", "b"]}, r"class_names is \['a', 'b'\], no tuple"),
        ({"class_names": ()}, r"class_names is \(\), no tuple"),
        ({"class_names": ("a", "a")}, "a class is named twice"),
        ({"image_id": "a/b"}, "the image_id 'a/b' cannot be a file's name"),
        ({"image_id": ""}, "the image_id '' cannot be a file's name"),
        ({"person": ""}, "one: no person"),
        ({"side": "L"}, "one: the side is 'L'"),
        ({"spacing": (0.1, 0.0)}, "one: the spacing is"),
        ({"spacing": (0.1,)}, "one: the spacing is"),
        (image(IMAGE[..., None]), "one: the image's shape is"),
        (image(IMAGE / 255), "one: the image's type is float64"),
        ({"read_image": lambda: IMAGE}, "one: cannot be sent to a worker"),
        ({"read_image": functools.partial(answer, IMAGE, IMAGE + 1)}, "a worker reads another"),
        ({"read_labels": functools.partial(answer, {}, {0: [OUTLINE]})}, "a worker reads other"),
        (labels({2: [OUTLINE]}), "one: there is no class 2"),
        (labels({0: [OUTLINE[:2]]}), r"one: an outline is .* not \(2, 2\) float32"),
        (labels({0: [OUTLINE.astype(int)]}), "not .* int64"),
        (labels({0: [OUTLINE * np.nan]}), "one: an outline is not finite"),
        (labels(PackedMask.empty((8, 6), 2)), r"masks of \(8, 6\) for an image of \(6, 8\)"),
        (labels(PackedMask.empty((6, 8), 3)), "one: masks of 3 classes"),
        ({"problems": ["two\nlines"]}, "a problem is one line"),
        ({"test": [Sample("one", "p", functools.partial(give, IMAGE))]}, "have one image_id"),
    ],
)
def test_datasets_that_are_wrong(changes, words):
    with pytest.raises(AssertionError, match=words):
        check_dataset(Films(**changes))


def test_a_dataset_without_images_or_order():
    films = Films()
    films.parts["train"] = []
    with pytest.raises(AssertionError, match="the dataset has no image"):
        check_dataset(films)
    films.parts["train"] = [Sample(name, "p", functools.partial(give, IMAGE)) for name in "ab"]
    films.samples = lambda split: films.parts[split].reverse() or films.parts[split]
    with pytest.raises(AssertionError, match="'train' came in another order"):
        check_dataset(films)
