from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from handbone_cli.data.duplicates import (
    Duplicate,
    find_duplicates,
    read_fingerprints,
    take_fingerprint,
)
from handbone_cli.errors import HandboneError

SIZE = 320


def film(seed):
    """A hand's worth of bars, every one elsewhere, on a bright blob that all films share."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(image, (160, 170), (100, 130), 0, 0, 360, 60, -1)
    for finger in range(5):
        for bone in range(5):
            x, y = 60 + 50 * finger + rng.normal(0, 7), 50 + 55 * bone + rng.normal(0, 7)
            box = ((x, y), (rng.uniform(14, 26), rng.uniform(34, 50)), rng.normal(0, 12))
            corners = np.rint(cv2.boxPoints(box)).astype(np.int32)
            cv2.fillPoly(image, [corners], float(rng.uniform(110, 200)))
    image = cv2.GaussianBlur(image, (0, 0), 1.5) + rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def warped(image, angle=0.0, scale=1.0, shift=(0, 0)):
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), angle, scale)
    matrix[:, 2] += shift
    return cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)


def found(images, places=None):
    prints = [take_fingerprint(image) for image in images]
    return find_duplicates(prints, places or list(range(len(images))), lambda *_: None)


CHANGES = {
    "as JPEG": lambda film: cv2.imdecode(cv2.imencode(".jpg", film, [1, 60])[1], 0),
    "brighter": lambda film: cv2.convertScaleAbs(film, alpha=0.8, beta=30),
    "darkened": lambda film: (255 * (film / 255) ** 1.5).astype(np.uint8),
    "CLAHE": lambda film: cv2.createCLAHE(2.0, (8, 8)).apply(film),
    "halved": lambda film: cv2.resize(film, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "16 bit": lambda film: film.astype(np.uint16) * 16,
    "shifted": lambda film: warped(film, shift=(5, -4)),
    "turned": lambda film: warped(film, angle=2),
    "grown": lambda film: warped(film, scale=1.03),
    "blurred": lambda film: cv2.GaussianBlur(film, (0, 0), 1.2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_that_was_changed(change):
    images = [film(1), film(2), CHANGES[change](film(1))]
    (pair,) = found(images)
    assert (pair.first, pair.second, pair.kind) == (0, 2, "similar")
    assert 0.8 < pair.correlation <= 1
    (pair,) = found([*images[:2], np.ascontiguousarray(images[2][:, ::-1])])
    assert (pair.first, pair.second, pair.kind) == (0, 2, "mirrored")
    assert 0.8 < pair.correlation <= 1


def test_films_of_others_are_no_copies():
    images = [film(seed) for seed in range(40)]
    assert found([*images, *(np.ascontiguousarray(image[:, ::-1]) for image in images[:1])]) == [
        Duplicate(0, 40, "mirrored", pytest.approx(1, abs=1e-4))
    ]


def test_identical_pixels_whatever_they_show():
    black = np.zeros((SIZE, SIZE), np.uint8)
    one, other = found(
        [black, film(3), black.copy(), film(3), black.reshape(2 * SIZE, -1), black[:-1]]
    )
    assert one == Duplicate(0, 2, "identical", 1.0)
    assert other == Duplicate(1, 3, "identical", 1.0)


def test_only_pairs_of_two_places():
    images = [film(1), film(1), film(1), film(2)]
    pairs = [(each.first, each.second) for each in found(images, ["a", "a", "test", "test"])]
    assert pairs == [(0, 2), (1, 2)]
    assert found(images[:2], ["a", "a"]) == []
    assert found([]) == []


def test_close_pairs_are_counted():
    told = []
    prints = [take_fingerprint(film(1)), take_fingerprint(warped(film(1), angle=1))]
    find_duplicates(prints, [0, 1], lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


def test_images_that_cannot_be_read_are_listed():
    def broken():
        raise HandboneError("b.png: the file is empty.")

    told = []
    prints, faults = read_fingerprints(
        [lambda: film(1), broken, lambda: film(2)], lambda done, total: told.append((done, total))
    )
    assert sorted(prints) == [0, 2]
    assert prints[2].digest == take_fingerprint(film(2)).digest
    assert faults == ["b.png: the file is empty."]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_ctrl_c_does_not_read_the_rest():
    read, gate = [], threading.Event()

    def wait(number):
        gate.wait(5)
        read.append(number)
        return film(1)

    def interrupt(_done, _total):
        gate.set()
        raise KeyboardInterrupt

    readers = [lambda: film(1), *(lambda number=number: wait(number) for number in range(100))]
    with pytest.raises(KeyboardInterrupt):
        read_fingerprints(readers, interrupt)
    assert len(read) < 50
