from __future__ import annotations

import math

from handbone_trackers.scalars import scalars


def test_numbers_by_tag_those_of_tables_below_their_key():
    told = {"epoch": 3, "loss": 0.5, "lr": 1, "dice": {"Radius": 0.9, "Ulna": None}, "note": "x"}
    assert scalars(told) == {"loss": 0.5, "lr": 1.0, "dice/Radius": 0.9}
    assert scalars({"best": True, "list": [1], "loss": None}) == {}


def test_what_is_not_finite_stays():
    found = scalars({"loss": float("nan"), "dice": {"Ulna": -math.inf}})
    assert math.isnan(found["loss"])
    assert found["dice/Ulna"] == -math.inf
