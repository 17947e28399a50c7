from __future__ import annotations

import pytest

from handbone_cli.commands.wiring.training import pictured
from handbone_cli.host.interfaces import Sample


def people(count, each=2, labelled=True):
    labels = dict if labelled else None
    return [Sample(f"{p}{i}", f"P{p}", str, labels) for p in range(count) for i in range(each)]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [
        (0, set()),
        (1, {"00"}),
        (2, {"00", "30"}),
        (3, {"00", "20", "40"}),
        (6, {f"{p}0" for p in range(6)}),
        (8, {f"{p}0" for p in range(6)} | {"01", "31"}),
        (99, {f"{p}{i}" for p in range(6) for i in range(2)}),
    ],
)
def test_people_are_evenly_spread(count, chosen):
    assert pictured(people(6), count) == chosen


def test_images_without_labels_are_not_drawn():
    assert pictured(people(3, labelled=False), 2) == set()
    assert pictured([*people(1, labelled=False), Sample("x", "P9", str, dict)], 2) == {"x"}
    assert pictured([], 2) == set()
