"""Fitting the shape model: sides, robustness, what other bones predict, exchanged names."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.hand_fit import BENDS, fit_hand
from handbone_cli.anatomy.linear_features import CAP

INDEX = {name: place for place, name in enumerate(HAND_BONES)}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bend", BENDS)
def test_side_bend_and_scale_are_found(draw, side, bend):
    fit = fit_hand(draw(1, bend, side))
    assert fit.side == side
    assert fit.base[0] == bend
    assert abs(fit.unit / 540 - 1) < 0.05
    assert fit.residuals().squared.max() < 25


def test_a_hand_may_be_turned_any_way(draw):
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    for quarter in range(4):
        way = np.linalg.matrix_power(turn, quarter)
        fit = fit_hand({bone: outline @ way.T for bone, outline in draw(2).items()})
        assert fit.side == "right"
        assert fit.residuals().squared.max() < 25


def test_one_bad_bone_does_not_spoil_the_others(draw):
    clean = fit_hand(draw(3)).residuals()
    outlines = draw(3)
    outlines[INDEX["finger-9"]] = outlines[INDEX["finger-9"]] + (90.0, 40.0)
    residuals = fit_hand(outlines).residuals()
    bad = INDEX["finger-9"]
    assert residuals.position[bad] > 15
    others = np.delete(residuals.squared, bad)
    assert others.max() < 25
    assert np.abs(others - np.delete(clean.squared, bad)).max() < 8
    np.testing.assert_allclose(residuals.off[bad, :2] * 540, (90, 40), atol=6)


def test_the_size_of_one_bone_is_judged_by_the_others(draw):
    outlines = draw(4)
    capitate = INDEX["Capitate"]
    centre = outlines[capitate].mean(axis=0)
    outlines[capitate] = centre + 0.7 * (outlines[capitate] - centre)
    residuals = fit_hand(outlines).residuals()
    assert residuals.size[capitate] < -5
    np.testing.assert_allclose(residuals.off[capitate, 2], np.log(0.7), atol=0.08)
    assert np.abs(np.delete(residuals.size, capitate)).max() < 4


def test_a_forearm_cut_short_fits_as_well(draw):
    outlines = draw(5)
    for name in ("Radius", "Ulna"):
        outline = outlines[INDEX[name]]
        outlines[INDEX[name]] = np.minimum(outline, (np.inf, outline[:, 1].max() - 60))
    assert fit_hand(outlines).residuals().squared[-2:].max() < 25


def test_every_exchange_of_clean_names_costs(draw):
    gains = fit_hand(draw(6)).swap_gains()
    assert (gains <= 0).all()
    pairs = gains[np.triu_indices(29, 1)]
    assert pairs.max() < -40
    np.testing.assert_array_equal(gains, gains.T)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Triquetrum", "Pisiform"), ("finger-9", "finger-13"), ("Radius", "Ulna")],
)
def test_an_exchange_is_what_gains_most(draw, one, other):
    outlines = draw(7)
    a, b = INDEX[one], INDEX[other]
    outlines[a], outlines[b] = outlines[b], outlines[a]
    gains = fit_hand(outlines).swap_gains()
    assert np.unravel_index(gains.argmax(), gains.shape) == (min(a, b), max(a, b))
    assert gains.max() > 40


def test_an_outline_that_fits_a_name_without_one(draw):
    outlines = draw(8)
    outlines[INDEX["finger-9"]] = outlines.pop(INDEX["finger-13"])
    fit = fit_hand(outlines)
    assert fit.named_as(INDEX["finger-9"], INDEX["finger-13"]) < 25
    assert fit.residuals().squared[INDEX["finger-9"]] > CAP


def test_expected_outlines_lie_on_the_labels(draw):
    outlines = draw(9)
    fit = fit_hand(outlines)
    drawn = fit.frame.back(fit.expected())
    for bone in range(27):
        np.testing.assert_allclose(drawn[bone].mean(0), outlines[bone].mean(0), atol=8)


def test_sizes_are_in_pixels_and_missing_bones_are_told(draw):
    outlines = draw(10)
    del outlines[0]
    fit = fit_hand(outlines)
    assert not fit.present[0]
    assert fit.present[1:].all()
    x, y = outlines[5].T
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    np.testing.assert_allclose(np.exp(2 * fit.sizes()[5]), area, rtol=0.01)


def test_too_few_bones_give_no_fit(draw):
    assert fit_hand({bone: outline for bone, outline in draw(0).items() if bone < 7}) is None
    assert fit_hand({bone: outline for bone, outline in draw(0).items() if bone < 8}) is not None
