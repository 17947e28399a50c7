from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.measurements.bodies import compare_sexes, correlate, relate_bodies
from handbone_cli.data.metadata import PersonRecord
from handbone_cli.dataset_figures import ImageFigures

NAMES = ("Capitate", "Radius", "never")


def image(person, areas, size=(100, 100)):
    return ImageFigures("x", person, "train", size, 8, np.array(areas), np.zeros((3, 2)))


def records(heights, sexes=()):
    sexes = sexes or [None] * len(heights)
    return {
        f"p{i}": PersonRecord(f"p{i}", None, sex, None, height)
        for i, (height, sex) in enumerate(zip(heights, sexes, strict=True))
    }


def test_correlation_line_and_interval():
    rng = np.random.default_rng(4)
    x = rng.normal(170, 8, 60)
    y = 2 * x + 5 + rng.normal(0, 10, 60)
    x[3], y[5] = np.nan, np.nan
    both = ~np.isnan(x) & ~np.isnan(y)
    found = correlate(x, y)
    assert found.people == 58
    assert found.r == pytest.approx(np.corrcoef(x[both], y[both])[0, 1])
    assert (found.slope, found.intercept) == pytest.approx(tuple(np.polyfit(x[both], y[both], 1)))
    z = np.arctanh(found.r)
    assert np.tanh(z - 1.96 / np.sqrt(55)) == pytest.approx(found.low, abs=1e-4)
    assert np.tanh(z + 1.96 / np.sqrt(55)) == pytest.approx(found.high, abs=1e-4)


def test_too_few_people_or_one_height_have_no_correlation():
    assert correlate(np.arange(4.0), np.arange(4.0)) is None
    assert correlate(np.ones(9), np.arange(9.0)) is None
    assert correlate(np.arange(9.0), np.arange(9.0)).r == pytest.approx(1)


def test_men_over_women_is_a_ratio_of_geometric_means():
    sexes = ["female", "male"] * 4 + [None]
    found = compare_sexes(sexes, np.array([1, 2, 2, 8, 1, 2, 2, 8, 99.0]))
    assert (found.women, found.men) == (4, 4)
    assert found.ratio == pytest.approx(4 / np.sqrt(2))
    assert found.low < found.ratio < found.high
    assert compare_sexes(["female"] * 9 + ["male"] * 2, np.arange(1.0, 12)) is None


def test_people_count_once_with_the_mean_of_their_images():
    images = [
        image("p0", (100, 10, 0)),
        image("p0", (300, 0, 0), (200, 100)),
        image("q", (5, 5, 0)),
    ]
    found = relate_bodies(images, NAMES, records([170, 180]))
    assert found.persons == ("p0",)
    assert found.without_record == ("q",)
    assert found.left_out == ("Radius",)
    assert found.area.tolist() == pytest.approx([(100 / 1e4 + 300 / 2e4) / 2])
    assert found.measures["height"].tolist() == [170]
    assert np.isnan(found.measures["age"][0])


def test_numbers_for_people_are_found_as_in_other_commands():
    table = {"ID007": PersonRecord("ID007", 30.0, None, None, None)}
    found = relate_bodies([image("7", (1, 1, 1))], NAMES, table)
    assert (found.persons, found.measures["age"].tolist()) == (("7",), [30])


def test_an_image_without_a_counted_bone_does_not_count():
    names = ("Capitate", "Lunate", "Radius")
    images = [image("p0", (100, 100, 5)), image("p0", (100, 0, 5)), image("p1", (0, 7, 5))]
    found = relate_bodies([*images, image("p2", (50, 50, 5))], names, records([1, 2, 3]))
    assert found.area[0] == pytest.approx(0.02)
    assert np.isnan(found.area[1])


def test_only_what_survives_holm_is_certain():
    rng = np.random.default_rng(2)
    heights = rng.normal(170, 9, 80)
    names = tuple(f"b{i}" for i in range(3))
    images = [
        image(f"p{i}", (round(20 * h + rng.normal(0, 300)), 500 + rng.integers(99), 0))
        for i, h in enumerate(heights)
    ]
    found = relate_bodies(images, names, records(heights, ["male", "female"] * 40))
    assert [f and f.certain for f in found.of_height] == [True, False, None]
    assert [f and f.certain for f in found.of_sex] == [False, False, None]


def test_the_forearm_counts_where_there_is_nothing_else():
    found = relate_bodies([image("p0", (1, 1, 1))], ("Radius", "Ulna", "Ulna"), records([170]))
    assert found.left_out == ()
    assert found.area.tolist() == pytest.approx([3e-4])
