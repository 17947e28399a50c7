from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.weights import candidates, shrink, simplex


@pytest.mark.parametrize("members", [1, 2, 3, 4, 8])
def test_candidates_are_distinct_convex_weights_with_uniform_first(members):
    rows = candidates(members)
    assert np.allclose(rows[0], 1 / members)
    assert np.allclose(rows.sum(axis=1), 1)
    assert (rows >= 0).all()
    assert len(np.unique(np.round(rows, 9), axis=0)) == len(rows)


@pytest.mark.parametrize("members", [2, 3, 4, 8])
def test_singles_pairs_and_the_way_to_uniform_are_among_them(members):
    rows = {tuple(np.round(row, 6)) for row in candidates(members)}
    singles = np.eye(members)
    pairs = np.array([a + b for i, a in enumerate(singles) for b in singles[:i]]) / 2
    for corner in [*singles, *pairs]:
        for shrinkage in (0, 0.25, 0.5, 0.75):
            row = shrinkage / members + (1 - shrinkage) * corner
            assert tuple(np.round(row, 6)) in rows


@pytest.mark.parametrize(("members", "subsets"), [(4, 15), (5, 31), (6, 21)])
def test_up_to_five_members_every_subset_is_a_choice(members, subsets):
    rows = candidates(members)
    even = [row for row in rows if len(np.unique(row[row > 0].round(9))) == 1]
    assert len(even) == subsets + (members == 6)  # of six: singles, pairs, and all of them


def test_shrinking_goes_to_uniform():
    row = np.array([1.0, 0.0, 0.0, 0.0])
    assert shrink(row, 0.0).tolist() == row.tolist()
    assert shrink(row, 0.6).tolist() == pytest.approx([0.55, 0.15, 0.15, 0.15])
    assert shrink(np.array([0.3, 0.3, 0.4]), 1.0).tolist() == [1 / 3] * 3, "to the last bit"


def test_a_simplex_has_every_composition_once():
    rows = [tuple(row) for row in simplex(3, 5)]
    assert set(rows) == {(a / 5, b / 5, (5 - a - b) / 5) for a in range(6) for b in range(6 - a)}
    assert len(rows) == 21


def test_up_to_three_members_get_a_lattice_of_fifths():
    rows = {tuple(np.round(row, 6)) for row in candidates(3)}
    fifths = {(a / 5, b / 5, (5 - a - b) / 5) for a in range(6) for b in range(6 - a)}
    assert len(fifths) == 21
    assert fifths <= rows
    assert (0.2, 0.2, 0.2, 0.4) not in {tuple(np.round(row, 6)) for row in candidates(4)}


def test_one_member_has_one_candidate():
    assert candidates(1).tolist() == [[1.0]]
