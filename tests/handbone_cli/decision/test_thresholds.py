from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.thresholds import best, grid, middle, shrink
from handbone_cli.errors import HandboneError


def test_between_two_thresholds_there_is_one_stored_value():
    thresholds = grid((0.2, 0.8))
    assert len(thresholds) == 153
    assert 0.2 <= thresholds[0] < 0.202
    assert 0.798 < thresholds[-1] <= 0.8
    q = np.arange(256)
    above = (q[:, None] > 255 * thresholds).sum(axis=0)
    assert np.diff(above).tolist() == [-1] * 152
    assert thresholds[middle(thresholds)] == 0.5


@pytest.mark.parametrize("limits", [(0.5, 0.5), (0.5, 0.9), (0.06, 0.5)])
def test_a_range_may_end_at_one_half(limits):
    assert 0.5 in grid(limits)


@pytest.mark.parametrize("limits", [(0.0, 0.8), (0.2, 1.0), (0.6, 0.8), (0.8, 0.2), (np.nan, 0.8)])
def test_a_range_without_one_half_is_refused(limits):
    with pytest.raises(HandboneError, match=r"^thresholds from .* has 0.5 in it\.$"):
        grid(limits)


def test_of_equal_scores_the_one_nearest_to_one_half_counts():
    scores = np.array([[1.0, 3, 3, 2, 3], [5, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    assert best(scores, 3).tolist() == [2, 0, 3]


def test_shrinking_moves_toward_one_half_and_never_past_it():
    places = np.array([0, 9, 10, 13, 20])
    assert shrink(places, 10, 0.0).tolist() == places.tolist()
    assert shrink(places, 10, 0.75).tolist() == [8, 10, 10, 10, 12]
    assert shrink(places, 10, 1.0).tolist() == [10] * 5
