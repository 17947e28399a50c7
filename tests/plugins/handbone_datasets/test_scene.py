"""Hands on any film: the drawing and its annotation are of the same bones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError, HandFrame, PackedMask
from handbone_datasets import competition
from handbone_datasets.bone_attenuation import BoneLook
from handbone_datasets.film_cut import BARS, COLLIMATED, Bars, FilmCut, Shutters
from handbone_datasets.generated import (
    CUT,
    GeneratedOptions,
    build,
    draw_any_image,
    draw_any_outlines,
)
from handbone_datasets.hand_shapes import RADIUS, HandShapes
from handbone_datasets.scene import draw_scene
from handbone_datasets.varied_film import attenuations, laid
from handbone_datasets.varied_pose import CARPALS, pose

SIZE = 160


def shoelace(points):
    x, y = points.astype(np.float64).T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


@pytest.mark.parametrize("view", ["film", "frame"])
def test_the_annotation_lies_on_the_bones(view):
    rng = np.random.default_rng(0)
    for number in range(4):
        hands = draw_scene((5, number), SIZE, view)
        covered = np.zeros((SIZE, SIZE), np.uint8)
        bones = np.zeros((SIZE, SIZE), np.float32)
        for placed in hands:
            own, _ = attenuations(placed, BoneLook.draw_any(rng), rng)
            bones += laid(own, placed, SIZE)
            for outline in placed.outlines():
                points = np.rint((outline - 0.5) * 16).astype(np.int32)
                cv2.fillPoly(covered, [points], 1, cv2.LINE_8, 4)
        assert bones[covered > 0].sum() > 0.95 * bones.sum()
        assert (bones[covered > 0] > 0.01).mean() > 0.9


def test_the_same_place_gives_the_same_film_and_another_gives_another():
    film = draw_any_image(1, 2, 0, SIZE, "film")
    assert (film.shape, film.dtype) == ((SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(film, draw_any_image(1, 2, 0, SIZE, "film"))
    assert not np.array_equal(film, draw_any_image(1, 3, 0, SIZE, "film"))
    one, other = (draw_any_outlines(1, person, 0, SIZE, "film") for person in (2, 3))
    assert not np.array_equal(one[6][0], other[6][0])


def test_films_are_of_both_polarities_and_some_show_two_hands():
    counts = [len(draw_scene((9, number, 1, 0), 64, "film")) for number in range(80)]
    assert set(counts) == {0, 1, 2}
    assert counts.count(0) < 10
    corners = [draw_any_image(9, number, 0, 64, "film")[:6].mean() for number in range(30)]
    assert min(corners) < 30
    assert max(corners) > 200


def test_a_frame_shows_an_upright_right_hand():
    for number in range(6):
        drawn = draw_any_outlines(3, number, 0, SIZE, "frame")
        centres = np.stack([drawn[bone][0].mean(axis=0) for bone in range(RADIUS)])
        (frame,) = HandFrame.find(range(RADIUS), centres)
        assert frame.side == "right"
        square = frame.to_square(SIZE)
        assert np.abs(square[:, :2] - np.eye(2)).max() < 0.35
        assert np.abs(square @ [SIZE / 2, SIZE / 2, 1] - SIZE / 2).max() < 0.12 * SIZE


def test_a_pose_keeps_bones_as_they_are_unless_fingers_shorten_or_it_is_a_child():
    rng = np.random.default_rng(2)
    shapes = HandShapes.load()
    grown = children = 0
    for _ in range(30):
        hand = shapes.draw(rng, size=512, side="right")
        posed = pose(hand, rng)
        areas = [
            np.array([shoelace(bone) for bone in each.outlines]) for each in (hand, posed.hand)
        ]
        share = areas[1] / areas[0]
        np.testing.assert_allclose(share[RADIUS:], 1, atol=1e-4)
        assert share[:19].max() < 1.001
        children += posed.child
        if not posed.child:
            grown += 1
            np.testing.assert_allclose(share[list(CARPALS)], 1, atol=1e-3)
        else:
            assert share[list(CARPALS)].mean() < 0.95
    assert grown
    assert children


def test_the_dataset_draws_them():
    options = GeneratedOptions(people=2, size=96, films="any", endless=True)
    dataset = build(options, None)
    samples = [*dataset.samples("train"), dataset.draw(7)]
    assert len({sample.image_id for sample in samples}) == 5
    for sample in samples:
        assert sample.read_image().shape == (96, 96)
        mask = PackedMask.from_polygons(sample.read_labels(), (96, 96), 29)
        assert np.count_nonzero(mask.areas()) > 5
    assert samples[-1].key is None
    assert len({sample.key for sample in samples[:-1]}) == 4


def test_what_is_written_is_what_is_drawn(tmp_path):
    dataset = build(GeneratedOptions(people=6, size=96, films="any", generator_seed=2), None)
    dataset.write(tmp_path, lambda _done, _total: None)
    read = competition.build(competition.CompetitionOptions(), DatasetContext(tmp_path))
    drawn = {sample.image_id: sample for sample in dataset.samples("train")}
    pairs = 0
    for sample in read.samples("train"):
        own = drawn[sample.image_id]
        assert np.array_equal(sample.read_image(), own.read_image())
        labels = own.read_labels()
        pairs += max(map(len, labels.values())) > 1
        one, other = (
            PackedMask.from_polygons(each, (96, 96), 29) for each in (sample.read_labels(), labels)
        )
        assert np.array_equal(one.planes, other.planes)
    assert pairs  # both hands of a film are there
    with pytest.raises(HandboneError):
        build(GeneratedOptions(people=6, size=96), None).write(tmp_path, lambda *_: None)


def test_a_film_without_a_hand_has_no_annotation():
    found = [n for n in range(80) if not draw_scene((9, n, 1, 0), 64, "film")]
    assert found
    for number in found:
        assert draw_any_outlines(9, number, 0, 64, "film") == {}
        assert draw_any_image(9, number, 0, 64, "film").shape == (64, 64)
    assert all(draw_scene((9, number), 64, "frame") for number in range(80))


def test_what_is_hidden_shows_nothing_and_what_shows_something_is_not_hidden():
    rng = np.random.default_rng(4)
    kinds = set()
    for _ in range(60):
        cut = FilmCut.draw(rng)
        seen = cut.seen(80)
        shown = rng.uniform(0.2, 0.8, (80, 80)).astype(np.float32)
        other = rng.uniform(0.2, 0.8, (80, 80)).astype(np.float32)
        for film in (shown, other):
            cut.shut(film)
            cut.cover(film)
        if cut.bars is not None and cut.bars.grey is None:
            continue  # the line that it carries on shows through
        same = np.isclose(shown, other, atol=1e-3)
        if seen is None:
            assert same.mean() < 0.05
        else:
            assert same[cv2.erode((seen == 0).astype(np.uint8), np.ones((19, 19))) > 0].all()
            assert same[cv2.erode(seen, np.ones((19, 19))) > 0].mean() < 0.05
        kinds.add((cut.shutters is None, cut.bars is None))
    assert kinds == {(a, b) for a in (True, False) for b in (True, False)}
    assert 0 < BARS < COLLIMATED < 1


def test_bars_may_carry_the_last_line_on():
    film = np.random.default_rng(0).uniform(0, 1, (20, 20)).astype(np.float32)
    before = film.copy()
    FilmCut(None, Bars(np.float32([0.1, 0, 0, 0.25]), None)).cover(film)
    assert np.array_equal(film[2:, :15], before[2:, :15])
    assert np.array_equal(film[:2, :15], np.repeat(before[2:3, :15], 2, axis=0))
    assert np.array_equal(film[5, 15:], np.repeat(before[5, 14], 5))


def test_shutters_that_let_something_through_hide_nothing():
    corners = np.float32([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]])
    assert FilmCut(Shutters(corners, 1.0, 0.0, 0.1), None).seen(50) is None
    seen = FilmCut(Shutters(corners, 1.0, 0.0, 0.0), None).seen(50)
    assert seen[25, 25]
    assert not seen[5, 25]


@pytest.mark.parametrize("view", ["film", "frame"])
def test_a_hidden_bone_is_not_annotated(view):
    hidden = 0
    for number in range(40):
        drawn = draw_any_outlines(8, number, 0, 96, view)
        seen = FilmCut.draw(np.random.default_rng((8, number, CUT, 0))).seen(96)
        if seen is None or not drawn:
            continue
        mask = PackedMask.from_polygons(drawn, (96, 96), 29).dense().any(axis=0)
        assert not mask[seen == 0].any()
        hidden += 1
    assert hidden > 5


def test_a_frame_is_of_any_film():
    with pytest.raises(ValueError, match='films = "any"'):
        GeneratedOptions(view="frame")
