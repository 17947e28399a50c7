from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.metrics.plan import (
    METRICS,
    Plan,
    parse_metrics,
    parse_numbers,
    parse_spacing,
)


def test_columns_in_the_order_asked_for():
    plan = Plan(("nsd", "dice", "hd95", "overlap_dice"), (1.0, 2.5), "mm")
    headings = [column.heading for column in plan.columns]
    assert headings == ["nsd@1mm", "nsd@2.5mm", "dice", "hd95 mm"]
    assert plan.has_pairs
    assert not Plan().has_pairs


def test_names():
    assert parse_metrics("hd95, dice,hd95") == ("hd95", "dice")
    assert parse_metrics("all") == METRICS
    with pytest.raises(HandboneError, match=r"no metric is called 'dcie'\. Did you mean 'dice'"):
        parse_metrics("dcie")
    with pytest.raises(HandboneError, match="--metrics: names none; there are dice, iou,"):
        parse_metrics(" ,")


def test_numbers():
    assert parse_numbers("1,2.5,0", "--tolerance") == (1, 2.5, 0)
    for wrong in ("", "x", "1,,2", "-1", "nan", "inf"):
        with pytest.raises(HandboneError, match=r"^--tolerance .*: expected a number from 0 on"):
            parse_numbers(wrong, "--tolerance")


def test_spacings():
    assert parse_spacing("0.1") == (0.1, 0.1)
    assert parse_spacing("0.1,0.12") == (0.1, 0.12)
    for wrong in ("0", "1,2,3", "0.1,0"):
        with pytest.raises(HandboneError, match="expected the millimetres of a pixel"):
            parse_spacing(wrong)
