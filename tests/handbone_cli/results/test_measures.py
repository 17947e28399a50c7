from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from handbone_cli.bone_groups import BoneGroups
from handbone_cli.errors import HandboneError
from handbone_cli.metrics.plan import Column
from handbone_cli.results.measures import (
    COLUMNS,
    Block,
    Measures,
    bone_sections,
    frequent_pairs,
    is_metric_table,
    is_value_table,
    pair_block,
    parse_breakdowns,
    write_rows,
)

BONES = ("finger-1", "Pisiform", "Radius")
NAN, INF = np.nan, np.inf
DICE = [[0.9, 0.5, 1.0], [0.8, 0.0, 0.9], [0.7, 1.0, 0.8]]
HD = [[1.0, 4.0, 0.0], [2.0, INF, 3.0], [3.0, NAN, 6.0]]
GROUPS = BoneGroups(small=(1,), pairs=((0, 1),))


@pytest.fixture
def measures():
    values = np.stack([np.array(DICE), np.array(HD)], axis=2)
    columns = [Column("dice"), Column("hd", "px")]
    traits = {"side": ["left", "unknown", "left"], "sex": ["male", "male", "female"]}
    blocks = [
        Block(BONES, columns, values, bone_sections(BONES, GROUPS)),
        pair_block(["finger-1+Pisiform"], np.array([[0.5], [0.25], [1.0]])),
    ]
    return Measures(["a", "b", "c"], ["p", "p", "q"], traits, blocks)


def found(measures, metric, *keys):
    rows = [row for row in measures.rows(keys) if row["metric"] == metric]
    return {tuple(row[key] for key in keys): row for row in rows}


def test_over_everything(measures):
    row = found(measures, "hd")[()]
    assert (row["by"], row["heading"], row["unit"], row["tolerance"]) == (
        "all",
        "hd px",
        "px",
        None,
    )
    assert row["mean"] == pytest.approx(19 / 7)
    assert (row["median"], row["lowest"], row["highest"]) == (3, 0, 6)
    assert (row["count"], row["left_out"], row["images"], row["people"]) == (7, 1, 3, 2)
    assert tuple(row) == COLUMNS
    # Of 9 Dice with a mean of 6.6 / 9, p has 6 that sum to 4.1 and q 3 that sum to 2.5.
    error = np.sqrt(2 * (0.3**2 + 0.3**2)) / 9
    assert found(measures, "dice")[()]["standard_error"] == pytest.approx(error)


def test_by_bone(measures):
    rows = found(measures, "dice", "bone")
    assert list(rows) == [(bone,) for bone in BONES]
    assert rows["Pisiform",]["mean"] == pytest.approx(0.5)
    # Person p has means of 0.85, q one of 0.7: sums of residuals 0.1 and -0.1, over 3 images.
    error = np.sqrt(2 * (0.1**2 + 0.1**2)) / 3
    assert rows["finger-1",]["standard_error"] == pytest.approx(error)
    assert found(measures, "hd", "bone")["Pisiform",]["standard_error"] is None  # one value


def test_by_region_and_group(measures):
    regions = found(measures, "dice", "region")
    assert list(regions) == [("thumb",), ("carpals",), ("forearm",)]
    groups = found(measures, "dice", "group")
    assert groups["small",]["mean"] == pytest.approx(0.5)
    assert groups["overlapping",]["mean"] == pytest.approx((0.9 + 0.8 + 0.7 + 1.5) / 6)
    assert groups["others",]["mean"] == pytest.approx(0.9)


def test_by_image_the_unknown_last_and_crossed_only_where_there_are_some(measures):
    sides = found(measures, "dice", "side")
    assert [(key, row["images"]) for key, row in sides.items()] == [
        (("left",), 2),
        (("unknown",), 1),
    ]
    assert sides["left",]["mean"] == pytest.approx((0.9 + 0.5 + 1 + 0.7 + 1 + 0.8) / 6)
    crossed = found(measures, "dice", "bone", "sex", "side")
    assert crossed["Radius", "female", "left"]["mean"] == 0.8
    assert ("Radius", "female", "unknown") not in crossed
    assert len(crossed) == 9


def test_pairs(measures):
    assert found(measures, "overlap_dice")[()]["mean"] == pytest.approx(1.75 / 3)
    pairs = found(measures, "overlap_dice", "bone", "side")
    assert pairs["finger-1+Pisiform", "left"]["mean"] == pytest.approx(0.75)
    assert list(found(measures, "overlap_dice", "region")) == [("pairs",)]


def test_nothing_to_measure():
    values = np.full((2, 1, 1), NAN)
    block = Block(["Radius"], [Column("extra")], values, bone_sections(["Radius"], BoneGroups()))
    (row,) = Measures(["a", "b"], ["p", "q"], {}, [block]).rows()
    assert (row["mean"], row["standard_error"], row["count"]) == (None, None, 0)


def test_frequent_pairs_overlap_in_half_of_the_labels_that_have_both():
    pairs = [(0, 1), (0, 2), (1, 2)]
    areas = np.array([[5, 5, 5], [5, 5, 0], [5, 5, 0], [0, 5, 0]])
    shared = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert frequent_pairs(shared, areas, pairs) == [1]  # 1 of 3, 1 of 1, 0 of 1
    assert frequent_pairs(np.zeros((2, 0), int), np.ones((2, 1), int), []) == []


def test_breakdowns():
    assert parse_breakdowns("bone, bone+side,bone+bone") == [("bone",), ("bone", "side")]
    for wrong in ("bne", "bone+", ""):
        with pytest.raises(HandboneError, match="--by: nothing is called"):
            parse_breakdowns(wrong)


def test_tables_on_disk(measures, tmp_path):
    rows = [*measures.rows(("bone",)), *measures.rows()]
    for name in ("table.csv", "table.json"):
        write_rows(tmp_path / name, rows)
        assert is_metric_table((tmp_path / name).read_bytes())
    read = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert len(read) == len(rows) == 10
    assert (read[1]["bone"], read[1]["heading"], read[1]["mean"]) == ("finger-1", "hd px", "2")
    assert (read[3]["left_out"], read[3]["standard_error"]) == ("1", "")
    assert json.loads((tmp_path / "table.json").read_text())["rows"] == rows
    assert not is_metric_table(b"image_id,person,mean")
    assert not is_metric_table(b'{"mean_dice": 1}')


def test_values_on_disk(measures, tmp_path):
    measures.write_values(tmp_path / "values.csv")
    text = (tmp_path / "values.csv").read_text()
    assert is_value_table(text.encode())
    assert not is_value_table(b"image_id,person,mean")
    lines = text.splitlines()
    assert lines[0] == "image_id,person,bone,side,pose,sex,age,dice,hd_px,overlap_dice"
    assert lines[5:9] == [
        "b,p,finger-1,unknown,,male,,0.8,2,",
        "b,p,Pisiform,unknown,,male,,0,inf,",
        "b,p,Radius,unknown,,male,,0.9,3,",
        "b,p,finger-1+Pisiform,unknown,,male,,,,0.25",
    ]
    assert lines[10] == "c,q,Pisiform,left,,female,,1,,"
