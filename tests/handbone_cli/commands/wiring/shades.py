"""An ensemble without networks, for test_in_turn.py; as a script, what one of two processes does.

python shades.py FILMS STORE [NUMBER], with torchrun's variables set: the second process is told to
stop when it begins so manieth prediction.
"""

from __future__ import annotations

import itertools
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handbone_cli.commands.wiring.in_turn import write_in_turn
from handbone_cli.commands.wiring.processes import join_others, leave_others, open_output
from handbone_cli.data.sources import from_files
from handbone_cli.errors import InterruptedRunError
from handbone_cli.ranks import rank
from handbone_cli.store.boxes import BoxedProbabilities

SIDE = 40


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


def fill(films, store, shades, room, workers=0):
    samples = from_files(str(films))
    order = [sample.image_id for sample in samples]
    writer = open_output(store, ("bone",), {"model": "shades"}, order, None)
    return write_in_turn(writer, shades, samples, room, workers)


def main(films, store, stop=0):
    numbers = itertools.count(1)

    def before(_shade, _image):
        if rank() == 1 and next(numbers) == int(stop):  # the other one only hears of it
            signal.raise_signal(signal.SIGINT)

    join_others()
    try:
        unreadable = fill(films, Path(store), Shades(before), 0)
    except InterruptedRunError as error:
        unreadable = [str(error)]
    leave_others()
    sys.stdout.write("\n".join(unreadable))


if __name__ == "__main__":
    main(*sys.argv[1:])
