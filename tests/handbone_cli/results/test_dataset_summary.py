from __future__ import annotations

import json

from handbone_cli.results.dataset_summary import HEADINGS, MARK, as_json, bone_rows, lines


def test_a_row_a_bone(dataset_figures):
    rows = bone_rows(dataset_figures)
    assert {len(row) for row in rows} == {len(HEADINGS)}
    assert rows[1] == ("Capitate", "6", "402", "2", "3.354", "0.014", "Radius (100 %, 0.400)")
    assert rows[2][-1] == "Capitate (100 %, 0.400), <b>&x (50 %, 0.002)"
    assert rows[0][-1] == ""


def test_a_bone_that_is_nowhere(dataset_figures):
    for image in dataset_figures.labelled:
        image.areas[0] = 0
    assert bone_rows(dataset_figures)[0] == ("finger-1", "0", "", "", "", "", "")


def test_lines_of_the_whole(dataset_figures):
    assert lines(dataset_figures) == [
        "7 images of 4 people (4 train, 3 test)",
        "6 with labels",
        "120 x 100 px, 8 and 16 bit",
        "0.81 % of the pixels carry two or more labels",
        "3 of 6 wrists bent",
        "hands: 3 left, 3 right",
        "metadata of 3 people (1 without); height with area of the bones r = 0.80",
        "3 outlying bones in 2 images",
    ]


def test_lines_without_poses_and_metadata(plain_figures):
    assert lines(plain_figures) == [
        "6 images of 3 people (4 train, 2 test)",
        "6 with labels",
        "120 x 100 (3), 130 x 100 (3) px, 8 bit",
        "0.78 % of the pixels carry two or more labels",
        "0 outlying bones in 0 images",
    ]


def test_json_has_everything_and_null_for_the_unknown(dataset_figures):
    text = json.dumps(as_json(dataset_figures), allow_nan=False)
    assert MARK in text[:200]
    found = json.loads(text)
    assert found["images"][0]["areas"] == [100, 400, 2000, 50]
    assert found["images"][6]["areas"] is None
    assert found["images"][1]["size"] == [100, 120]
    assert found["overlaps"]["frequency"][2] == [0, 1, 1, 0.5]
    assert found["outliers"][2]["area_z"] is None
    assert found["outliers"][0]["bone"] == "<b>&x"
    assert found["bodies"]["of_height"][0]["r"] == 0.8
    assert found["bodies"]["measures"]["age"] == [30, 40, None]
    assert len(found["grey"]["shares"]) == 3
    assert found["problems"] == ["a<b>.png: the file is empty."]
