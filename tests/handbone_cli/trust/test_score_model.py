"""Scores without the truth: what they are made of, and that they follow it."""

from __future__ import annotations

import dataclasses
from functools import cache

import cv2
import numpy as np
import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.masks import PackedMask, tight_box
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.trust.evidence import expected_dice, gather
from handbone_cli.trust.film import FilmTrust, dice_at_half, shows_hand, trust_film
from handbone_cli.trust.hands import hands_of, regions_of
from handbone_cli.trust.score_model import KINDS, ScoreModel
from handbone_datasets.generated import draw_outlines

SIZE = 300
BONES = np.arange(29)


@cache
def truth(person, side=0):
    return PackedMask.from_polygons(draw_outlines(7, person, side, SIZE), (SIZE, SIZE), 29)


def boxed(planes):
    """(29, h, w) shares as probabilities of a store."""
    quantised = np.rint(255 * planes).astype(np.uint8)
    boxes = [tight_box(plane > 0) for plane in quantised]
    crops = tuple(q[b[0] : b[1], b[2] : b[3]] for q, b in zip(quantised, boxes, strict=True))
    return BoxedProbabilities(planes.shape[1:], np.array(boxes, np.int32), crops)


def soft(mask, sigma):
    """What a network would answer that sees borders blurred."""
    return np.stack([cv2.GaussianBlur(p.astype(np.float32), (0, 0), sigma) for p in mask.dense()])


def test_sure_probabilities_make_a_dice_of_one_expect():
    assert expected_dice(np.full((3, 3), 255, np.uint8)) == 1
    assert np.isnan(expected_dice(np.full((3, 3), 127, np.uint8)))
    # one pixel at .6 inside, one at .4 outside: 2 * .6 / (1 + 1)
    assert expected_dice(np.uint8([[153, 102]])) == pytest.approx(0.6)


def test_what_is_expected_is_what_comes_of_pixels_that_are_as_likely_as_told():
    rng = np.random.default_rng(0)
    shares = cv2.GaussianBlur((rng.random((40, 40)) > 0.5).astype(np.float32), (0, 0), 4)
    shares = np.clip((shares - 0.5) * 4 + 0.5, 0, 1)
    mask = np.rint(255 * shares).astype(np.uint8) > 127
    drawn = rng.random((400, 40, 40)) < shares
    dices = 2 * (drawn & mask).sum(axis=(1, 2)) / (mask.sum() + drawn.sum(axis=(1, 2)))
    assert expected_dice(np.rint(255 * shares).astype(np.uint8)) == pytest.approx(
        dices.mean(), abs=0.01
    )


def test_a_whole_hand_is_one_hand_of_all_bones():
    regions = regions_of(boxed(truth(1).dense().astype(float)), BONES)
    (hand,) = hands_of(regions)
    assert {region.bone for region in hand.regions} == set(range(29))
    assert np.nanmedian(hand.distances) < 20
    centres = {region.bone: region.centre for region in regions}
    off = [np.linalg.norm(hand.expected[bone] - centres[bone]) for bone in range(27)]
    assert max(off) < 0.15 * SIZE


def test_two_hands_are_two_and_judged_each_by_itself():
    both = np.concatenate([truth(2).dense(), truth(3, 1).dense()], axis=2).astype(float)
    film = gather(boxed(both), HAND_BONES)
    assert film.hands == 2
    assert np.nanmedian(film.distance) < 30
    assert np.nanmax(film.stray) < 0.2


def test_a_bone_in_the_place_of_another_is_far_from_what_the_others_say():
    planes = truth(1).dense().astype(float)
    swapped = planes.copy()
    first, second = HAND_BONES.index("Lunate"), HAND_BONES.index("finger-7")
    swapped[[first, second]] = planes[[second, first]]
    good, bad = (trust_film(boxed(each), HAND_BONES) for each in (planes, swapped))
    for bone in (first, second):
        assert not bad.evidence.distance[bone] < 20 * good.evidence.distance[bone]
        assert bad.scores[bone] < good.scores[bone] - 0.1


def test_a_missing_bone_has_nought_and_one_beyond_the_film_has_nothing():
    planes = truth(1).dense().astype(float)
    gone = HAND_BONES.index("Capitate")
    planes[gone] = 0
    film = trust_film(boxed(planes), HAND_BONES)
    assert film.evidence.missing[gone]
    assert film.scores[gone] == 0
    top = min(box[0] for box in truth(1).boxes())
    cut = planes[:, top + 60 :]
    film = trust_film(boxed(cut), HAND_BONES)
    tip = HAND_BONES.index("finger-12")
    assert not film.evidence.found[tip]
    assert np.isnan(film.scores[tip])


def test_less_sure_masks_have_lower_scores():
    scores = [trust_film(boxed(soft(truth(4), s)), HAND_BONES).score for s in (0.7, 2.0, 4.0)]
    assert scores[0] > scores[1] > scores[2]


def test_other_predictions_count():
    planes = soft(truth(5), 1.0)
    other = np.roll(planes, 12, axis=2)
    alone, agreed, denied = (
        gather(boxed(planes), HAND_BONES, each) for each in ((), [boxed(planes)], [boxed(other)])
    )
    assert np.isnan(alone.agreement).all()
    assert np.nanmin(agreed.agreement) == 1
    assert np.nanmean(denied.agreement) < 0.6
    model = ScoreModel.load()
    assert np.nanmean(model.scores(denied)) < np.nanmean(model.scores(agreed))


def test_names_in_another_order_change_nothing():
    planes = soft(truth(6), 1.0)
    order = np.random.default_rng(0).permutation(29)
    one = trust_film(boxed(planes), HAND_BONES).scores
    other = trust_film(boxed(planes[order]), [HAND_BONES[place] for place in order]).scores
    np.testing.assert_allclose(other, one[order])


def test_other_bones_than_a_hands_are_judged_by_their_probabilities():
    planes = soft(truth(6), 1.0)[:3]
    film = trust_film(boxed(planes), ["femur", "tibia", "patella"])
    assert film.evidence.hands is None
    assert np.isfinite(film.scores).all()
    assert not film.is_refused
    assert trust_film(boxed(np.zeros((3, 9, 9))), ["femur", "tibia", "patella"]).is_refused


def test_what_is_no_hand_is_refused():
    assert shows_hand(np.rint(255 * soft(truth(8), 1.0)).astype(np.uint8))
    rng = np.random.default_rng(3)
    assert not shows_hand(np.zeros((29, 64, 64), np.uint8))
    scattered = np.zeros((29, SIZE, SIZE), np.uint8)
    for plane in scattered:
        x, y = rng.integers(20, SIZE - 20, 2)
        cv2.circle(plane, (int(x), int(y)), 8, 160, -1)
    assert not shows_hand(scattered)


def noisy_films(count):
    rng = np.random.default_rng(11)
    films, dices = [], []
    for person in range(count):
        mask = truth(20 + person)
        sigma = float(rng.uniform(0.6, 4))
        wrong = cv2.resize(
            rng.standard_normal((12, 12)).astype(np.float32), (SIZE, SIZE)
        ) * sigma * 0.12  # fmt: skip
        shares = soft(mask, sigma)
        planes = np.clip(shares + wrong * (shares > 0.02), 0, 1)
        films.append(gather(boxed(planes), HAND_BONES))
        dices.append(dice_at_half(boxed(planes), mask))
    return films, dices


@pytest.mark.slow  # 3 s: thirty hands
def test_fitted_scores_follow_the_dice_of_hands_left_out():
    films, dices = noisy_films(30)
    model = ScoreModel.fit(films[:20], dices[:20])
    assert set(model.coefficients) == {"own", "own+anatomy"}
    scores = np.concatenate([model.scores(film) for film in films[20:]])
    known = np.concatenate(dices[20:])
    both = np.isfinite(scores) & np.isfinite(known)
    assert np.corrcoef(scores[both], known[both])[0, 1] > 0.8
    assert np.abs(scores - known)[both].mean() < 0.06
    again = ScoreModel.fit(films[:20], dices[:20])
    assert again == model


def test_a_fit_without_bones_is_a_mistake():
    film = gather(boxed(np.zeros((29, 9, 9))), HAND_BONES)
    with pytest.raises(ValueError, match="no film has a bone"):
        ScoreModel.fit([film], [np.full(29, np.nan)])


def test_the_scores_that_ship_are_for_all_kinds_of_evidence():
    shipped = ScoreModel.load().coefficients
    assert set(shipped) == {"+".join(kinds) for kinds in KINDS}
    film = gather(boxed(soft(truth(9), 1.0)), HAND_BONES)
    sure = dataclasses.replace(film, confidence=np.where(film.found, 0.97, np.nan))
    unsure = dataclasses.replace(film, confidence=np.where(film.found, 0.6, np.nan))
    model = ScoreModel.load()
    assert FilmTrust(model.scores(sure), sure).score > FilmTrust(model.scores(unsure), unsure).score
