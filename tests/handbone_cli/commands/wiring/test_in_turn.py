from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

import numpy as np
import pytest

from handbone_cli.commands.wiring.in_turn import write_in_turn
from handbone_cli.data.sources import from_files
from handbone_cli.errors import InterruptedRunError
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.store import Store, StoreWriter
from handbone_cli.testing.tiny import write_png

COUNT, SIDE = 5, 40


@dataclass
class Shade:
    """A model that finds a bone in the whole image, of a level that it adds to the image's."""

    level: int
    log: list[tuple[str, int]]
    before: object = None

    def prepare(self, grey):
        return grey

    def load(self):
        self.log.append(("load", self.level))
        return self

    def predict_prepared(self, image):
        self.log.append(("predict", self.level))
        if self.before:
            self.before(self, image)
        plane = np.full(image.shape, image[0, 0] + self.level, np.uint8)
        return BoxedProbabilities.from_planes(1, image.shape, lambda _: (plane, (0, SIDE, 0, SIDE)))


@dataclass
class Shades:
    """Three models whose sum is that of their levels; as an Ensemble."""

    before: object = None
    log: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self):
        self.models = [Shade(level, self.log, self.before) for level in (0, 20, 40)]

    def models_for(self, sample):
        return [0, 1] if sample.image_id == "4" else [0, 1, 2]

    def has_seen(self, sample):
        return sample.image_id == "3"

    def combine(self, found):
        assert sorted(found) in ([0, 1], [0, 1, 2])
        total = sum(int(each.crops[0][0, 0]) for each in found.values())
        plane = np.full((SIDE, SIDE), total - 150 * (len(found) - 1), np.uint8)
        return BoxedProbabilities.from_planes(1, plane.shape, lambda _: (plane, (0, SIDE, 0, SIDE)))


@pytest.fixture
def films(tmp_path):
    for number in range(COUNT):
        write_png(
            tmp_path / "films" / f"{number}.png", np.full((SIDE, SIDE), 100 + number, np.uint8)
        )
    return tmp_path / "films"


def fill(films, store, shades, room, workers=0):
    samples = from_files(str(films))
    order = [sample.image_id for sample in samples]
    writer = StoreWriter(store, ("bone",), {"model": "shades"}, order, None)
    return write_in_turn(writer, shades, samples, room, workers)


def levels(store):
    store = Store.open(store)
    return {name: int(store.load(name).crops[0][0, 0]) for name in store.image_ids}


EXPECTED = {**{str(n): 3 * (100 + n) + 60 - 300 for n in range(4)}, "4": 2 * 104 + 20 - 150}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("room", "loads"),
    [
        (0, [0, 20, 40, 0, 20, 0, 40, 0, 20, 0]),  # an image at a time
        (2 * 3 * SIDE**2, [0, 20, 40, 0, 20, 0]),
        (10**6, [0, 20, 40, 0, 20]),
    ],
)
def test_each_model_predicts_as_many_as_there_is_room_for(films, tmp_path, room, loads, workers):
    """The one that is loaded begins; an image of other models comes in turns of its own."""
    shades = Shades()
    assert fill(films, tmp_path / "store", shades, room, workers) == []
    assert levels(tmp_path / "store") == EXPECTED
    seen = {name: each.seen for name, each in Store.open(tmp_path / "store").images.items()}
    assert seen == {str(n): n == 3 for n in range(COUNT)}
    made = [level for what, level in shades.log if what == "load"]
    assert made == loads
    assert len([1 for what, _ in shades.log if what == "predict"]) == 4 * 3 + 2


def test_what_is_there_is_not_predicted_again(films, tmp_path):
    fill(films, tmp_path / "store", Shades(), 10**6)
    write_png(films / "2.png", np.full((SIDE, SIDE), 110, np.uint8))
    shades = Shades()
    assert fill(films, tmp_path / "store", shades, 10**6) == []
    assert [level for what, level in shades.log if what == "predict"] == [0, 20, 40]
    assert levels(tmp_path / "store") == {**EXPECTED, "2": 90}


def test_images_that_cannot_be_read_and_that_change(films, tmp_path):
    (films / "1.png").write_text("hello")

    def change(shade, image):
        if shade.level == 20 and image[0, 0] == 102:
            write_png(films / "3.png", np.full((SIDE, SIDE), 111, np.uint8))

    said = fill(films, tmp_path / "store", Shades(change), 10**6)
    assert said[0].startswith(f"{films / '1.png'}: not a PNG or JPEG image")
    assert said[1:] == [f"{films / '3.png'}: has changed while it was predicted."]
    assert levels(tmp_path / "store") == {n: EXPECTED[n] for n in ("0", "2", "4")}


@pytest.mark.parametrize(
    ("level", "grey", "count"),
    [
        (0, 100, 1),  # while the first model is at the first image
        (0, 102, 1),  # ... at the third: the others wait for the next time
        (20, 102, 1),
        (40, 103, 1),
        (20, 104, 5),  # the last image of all
    ],
)
def test_ctrl_c_keeps_the_first_image_that_was_begun(films, tmp_path, level, grey, count):
    def press(shade, image):
        if (shade.level, image[0, 0]) == (level, grey):
            os.kill(os.getpid(), signal.SIGINT)

    store = tmp_path / "store"
    if count == COUNT:
        assert fill(films, store, Shades(press), 10**6) == []
    else:
        with pytest.raises(InterruptedRunError, match=f"stopped after {count} of 5 images"):
            fill(films, store, Shades(press), 10**6)
    assert levels(store) == {str(n): EXPECTED[str(n)] for n in range(count)}
    assert fill(films, store, Shades(), 10**6) == []
    assert levels(store) == EXPECTED


def test_a_second_ctrl_c_breaks_off_and_what_was_written_stays(films, tmp_path):
    def press(shade, image):
        if (shade.level, image[0, 0]) == (20, 102):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fill(films, tmp_path / "store", Shades(press), 0)
    assert levels(tmp_path / "store") == {n: EXPECTED[n] for n in ("0", "1")}
