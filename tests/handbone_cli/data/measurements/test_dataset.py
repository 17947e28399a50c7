from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import HandboneError, Sample
from handbone_cli.data.measurements import dataset as measurements
from handbone_cli.data.measurements.dataset import measure_dataset
from handbone_cli.data.metadata import PersonRecord
from handbone_cli.testing.tiny import draw_tiny_hand

NAMES = ("a", "b", "c", "d")


class Hands:
    class_names = NAMES

    def __init__(self, train, test=()):
        self.splits = {"train": train, "test": test}

    def samples(self, split):
        return self.splits[split]


def hand(number, *, labelled=True):
    image, outlines = draw_tiny_hand(number, 0, 64, len(NAMES))
    labels = {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}
    return Sample(
        f"image{number}", f"p{number}", lambda: image, (lambda: labels) if labelled else None
    )


def broken(words):
    def read():
        raise HandboneError(words)

    return Sample("broken", "p", read, read)


def measure(dataset, records=None, workers=1):
    seen = []
    figures = measure_dataset(
        "hands", dataset, records, workers, lambda done, total: seen.append((done, total))
    )
    return figures, seen


def test_everything_of_both_splits():
    dataset = Hands(
        [hand(0), hand(1), broken("a.png: cut off.")], [hand(2), hand(3, labelled=False)]
    )
    figures, seen = measure(dataset)
    assert seen == [(done, 5) for done in range(1, 6)]
    assert figures.class_names == NAMES
    assert [(i.image_id, i.split) for i in figures.images] == [
        ("image0", "train"),
        ("image1", "train"),
        ("image2", "test"),
        ("image3", "test"),
    ]
    assert len(figures.labelled) == 3
    assert figures.problems == ("a.png: cut off.",)
    assert figures.overlaps.together[2, 3] == figures.overlaps.sharing[2, 3] == 3
    assert sorted(figures.outlines) == [0, 1, 2, 3]
    assert figures.bodies is None
    assert figures.outliers == ()


def test_people_are_related_where_there_is_a_table():
    records = {"p0": PersonRecord("p0", 30.0, "male", None, 180.0)}
    figures, _ = measure(Hands([hand(0), hand(1)]), records)
    assert figures.bodies.persons == ("p0",)
    assert figures.bodies.without_record == ("p1",)


def test_outliers_are_found():
    hands = [hand(number) for number in range(12)]
    wrong = hands[5].read_labels()
    wrong[1][0][:] = (wrong[1][0] - wrong[1][0].mean(axis=0)) * 0.4 + wrong[1][0].mean(axis=0)
    figures, _ = measure(Hands(hands))
    assert (figures.outliers[0].image_id, figures.outliers[0].index) == ("image5", 1)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "hands: there is no image to measure."),
        ([hand(0, labelled=False)], "hands: no image with readable labels to measure."),
        (
            [broken("a.png: cut off.")],
            "hands: no image with readable labels to measure (a.png: cut off.).",
        ),
    ],
)
def test_nothing_to_measure_is_one_sentence(train, message):
    with pytest.raises(HandboneError) as error:
        measure(Hands(train))
    assert str(error.value) == message


@pytest.mark.parametrize(("images", "processes"), [(3, 0), (8, 2), (40, 6)])
def test_processes_start_only_where_they_are_worth_it(images, processes, monkeypatch):
    asked = []

    def here(work, jobs, workers):
        asked.append(workers)
        return map(work, jobs)

    monkeypatch.setattr(measurements, "map_in_processes", here)
    measure(Hands([hand(0)] * images), workers=6)
    assert asked == [processes]
