from __future__ import annotations

import json

import pytest

from handbone_cli import HAND_BONES
from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands

TABLE = """\
bone      images  area, px  SD  % of image  SD     overlaps with (images, IoU)
finger-1  14      515       2   12.573      0.049
Capitate  14      516       2   12.587      0.047
Radius    14      515       2   12.566      0.048  Ulna (100 %, 0.021)
Ulna      14      516       2   12.587      0.047  Radius (100 %, 0.021)
14 images of 7 people (12 train, 2 test)
14 with labels
64 x 64 px, 8 bit
0.50 % of the pixels carry two or more labels
"""


@pytest.fixture
def own_data(tmp_path):
    root = write_tiny_hands(tmp_path / "hands")
    (tmp_path / "tiny.toml").write_text(tiny_recipe(root))
    return root


def test_a_table_a_page_and_json(tiny_data, tmp_path):
    page, figures = tmp_path / "stats.html", tmp_path / "stats.json"
    done = hb("data", "stats", tiny_data.recipe, "--workers", 1, "--json", figures, cwd=tmp_path)
    written = f"{figures}: written\nstats.html: written\n"
    told = f"{tiny_data.recipe}\n{TABLE}0 outlying bones in 0 images\n{written}"
    assert (done.code, done.out) == (0, told)
    assert page.read_text().startswith("<!doctype html>")
    assert len(json.loads(figures.read_text())["images"]) == 14
    again = hb("data", "stats", tiny_data.recipe, "--workers", 1, "--json", figures, cwd=tmp_path)
    assert (again.code, again.out) == (0, done.out)


@pytest.mark.slow  # 2 s: two processes start
def test_processes_give_the_same_figures(tiny_data, tmp_path):
    pages = []
    for workers in (1, 2):
        page = tmp_path / f"{workers}.html"
        done = hb("data", "stats", tiny_data.recipe, "--workers", workers, "-o", page)
        assert done.code == 0, done.err
        pages.append(page.read_text())
    assert pages[0] == pages[1]


def test_a_folder_with_all_bones_and_a_table_of_people(tmp_path):
    root = write_tiny_hands(tmp_path / "hands", people=6, size=128, class_names=HAND_BONES)
    rows = "".join(f"{n},{30 + n},{'MF'[n % 2]},60,{160 + 3 * n}\n" for n in range(1, 7))
    (root / "meta_data.csv").write_text(f"ID,Age,Gender,Weight,Height\n{rows}")
    done = hb("data", "stats", root, "--workers", 1, "-o", tmp_path / "a.html")
    assert done.code == 0, done.err
    assert "\nmetadata of 6 people (1 without); height with area of the bones r = " in done.out
    assert "Bodies and bones" in (tmp_path / "a.html").read_text()


def test_meta_names_another_table(tiny_data, tmp_path):
    (tmp_path / "people.csv").write_text("ID,Age,Height\n1,30,170\n")
    command = ("data", "stats", tiny_data.recipe, "--workers", 1, "-o", tmp_path / "a.html")
    done = hb(*command, "--meta", tmp_path / "people.csv")
    assert "\nmetadata of 1 people (6 without)\n" in done.out
    missing = hb(*command, "--meta", tmp_path / "none.csv")
    assert (missing.code, missing.err) == (
        1,
        f"hb: {tmp_path}/none.csv: cannot read it: there is no such file or folder.\n",
    )


def test_what_cannot_be_read_is_listed_and_left_out(own_data, tmp_path):
    images, labels = own_data / "train" / "DCM", own_data / "train" / "outputs_json"
    cut, bad = images / "ID001" / "image0000.png", labels / "ID002" / "image0002.json"
    cut.write_bytes(cut.read_bytes()[:300])
    bad.write_text("{")
    done = hb("data", "stats", tmp_path / "tiny.toml", "--workers", 1, "-o", tmp_path / "a.html")
    assert done.code == 0
    assert done.out.split("left out, ")[1] == (
        f"2:\n  {cut}: the PNG is cut off (it has no end); copy the file again.\n"
        f"  {bad}: not JSON (line 1: Expecting property name enclosed in double quotes).\n"
        f"{tmp_path}/a.html: written\n"
    )
    assert "2 files left out" in (tmp_path / "a.html").read_text()
    assert "13 images of 7 people (11 train, 2 test)\n12 with labels\n" in done.out


def test_an_outlying_bone_is_pictured(own_data, tmp_path):
    path = own_data / "train" / "outputs_json" / "ID003" / "image0004.json"
    content = json.loads(path.read_text())
    points = content["annotations"][1]["points"]
    x, y = points[0]
    content["annotations"][1]["points"] = [(x + (u - x) / 2, y + (v - y) / 2) for u, v in points]
    path.write_text(json.dumps(content))
    done = hb("data", "stats", tmp_path / "tiny.toml", "--workers", 1, "-o", tmp_path / "a.html")
    assert "outlying bones in 1 images" in done.out
    page = (tmp_path / "a.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 1
    assert "Capitate of image0004, outlined" in page


def test_files_of_others_stay(tiny_data, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    for option, what in (("-o", "a page"), ("--json", "a file")):
        done = hb("data", "stats", tiny_data.recipe, option, mine, cwd=tmp_path)
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"hb: {mine}: is there already and is not {what} of dataset figures that hb wrote; "
            "choose another -o, or remove that file first.\n"
        )
    folder = hb("data", "stats", tiny_data.recipe, "-o", tmp_path)
    assert (
        folder.err == f"hb: {tmp_path}: a folder of that name is in the way; choose another file.\n"
    )
    twice = hb("data", "stats", tiny_data.recipe, "-o", tmp_path / "x", "--json", tmp_path / "x")
    assert twice.err == f"hb: {tmp_path}/x: named for the page and for --json; name two files.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    assert mine.read_text() == "mine"


def test_a_dataset_without_labels(tiny_data, tmp_path):
    root = tmp_path / "hands"
    (root / "test").mkdir(parents=True)
    (root / "test" / "DCM").symlink_to(tiny_data.root / "test" / "DCM")
    done = hb("data", "stats", root, "-o", tmp_path / "a.html")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == (f"hb: {root}: no image with readable labels to measure.")
