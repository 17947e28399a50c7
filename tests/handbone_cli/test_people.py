from __future__ import annotations

from collections import Counter

import pytest

from handbone_cli.people import deal

PEOPLE = [f"ID{number:03d}" for number in range(23)]


@pytest.mark.parametrize("groups", [1, 2, 5, 23])
def test_groups_differ_by_one_person_at_most(groups):
    sizes = Counter(deal(PEOPLE, groups, stream=1, seed=21).values())
    assert set(sizes) == set(range(groups))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_neither_order_nor_repetition_changes_a_persons_group():
    assert deal(PEOPLE, 5, stream=1, seed=21) == deal(PEOPLE[::-1] * 2, 5, stream=1, seed=21)


def test_seed_and_stream_deal_anew():
    dealt = [deal(PEOPLE, 5, stream=a, seed=b) for a, b in ((1, 21), (2, 21), (1, 22))]
    assert dealt[0] != dealt[1]
    assert dealt[0] != dealt[2]
