"""`hb data audit` on hands of ellipses: the generic checks, the page, the JSON and the refusals."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands


@pytest.fixture
def data(tmp_path):
    """A recipe for a dataset of its own, and a way to change one of its labels."""
    root = write_tiny_hands(tmp_path / "hands", people=6)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(root))

    def change(image, bone, points):
        (path,) = (root / "train/outputs_json").glob(f"*/{image}.json")
        content = json.loads(path.read_text())
        for entry in content["annotations"]:
            if entry["label"] == bone:
                entry["points"] = points
        path.write_text(json.dumps(content))

    return recipe, change, root


BOW_TIE = [[6, 6], [26, 26], [26, 6], [6, 26]]
OUTSIDE = [[34, 6], [54, 6], [74, 16], [54, 26], [34, 26]]


def test_clean_labels_leave_exit_code_zero(data):
    done = hb("data", "audit", data[0])
    assert (done.code, done.out) == (0, "no findings in 14 labelled images of 7 people\n")
    assert done.err.startswith("Auditing: 14/14 images in ")


def test_findings_come_as_table_json_and_page(data, tmp_path):
    recipe, change, _ = data
    change("image0002", "finger-1", BOW_TIE)
    change("image0005", "Capitate", OUTSIDE)
    page, findings = tmp_path / "page", tmp_path / "findings.json"
    done = hb("data", "audit", recipe, "-o", page, "--json", findings)
    assert done.code == 1
    assert done.out == (
        "score  image      person  kind      bones     what\n"
        "10.0   image0002  ID002   crossing  finger-1  "
        "The outline of finger-1 crosses itself; a loop of 100 px\u00b2 is cut off.\n"
        "10.0   image0005  ID003   outside   Capitate  "
        "Capitate leaves the image (64 x 64) by 11 px.\n"
        "2 findings in 2 of 14 labelled images of 7 people\n"
        f"{page / 'index.html'}: 2 pictures\n"
    )
    content = json.loads(findings.read_text())
    assert [(f["image"], f["kind"]) for f in content["findings"]] == [
        ("image0002", "crossing"),
        ("image0005", "outside"),
    ]
    assert content["findings"][0]["box"] == [6, 27, 6, 27]
    assert json.loads((page / "findings.json").read_text()) == content
    html = (page / "index.html").read_text()
    assert html.count("<img") == 2
    assert "10.0 crossing: image0002, ID002" in html
    picture = cv2.imread(str(page / "pictures" / "0001.png"))
    red = (picture == (64, 64, 255)).all(axis=2)
    assert red.sum() > 200
    assert (page / "contact_sheet.png").exists()


def test_a_page_is_written_again_and_old_pictures_go(data, tmp_path):
    recipe, change, _ = data
    change("image0002", "finger-1", BOW_TIE)
    change("image0005", "Capitate", OUTSIDE)
    page = tmp_path / "page"
    assert hb("data", "audit", recipe, "-o", page).code == 1
    assert hb("data", "audit", recipe, "-o", page, "--only", "outside").code == 1
    assert [path.name for path in (page / "pictures").iterdir()] == ["0001.png"]
    limited = hb("data", "audit", recipe, "-o", page, "--limit", 1)
    assert limited.out.endswith(f"{page / 'index.html'}: 1 pictures\n")
    assert "the first 1 below" in (page / "index.html").read_text()


def test_names_are_escaped_on_the_page(data, tmp_path):
    recipe, change, root = data
    change("image0002", "finger-1", BOW_TIE)
    for path in root.glob("train/*/*/image0002.*"):
        path.rename(path.with_stem("a&b"))
    assert hb("data", "audit", recipe, "-o", tmp_path / "page").code == 1
    assert "crossing: a&amp;b, ID002" in (tmp_path / "page" / "index.html").read_text()


def test_only_one_kind(data):
    recipe, change, _ = data
    change("image0002", "finger-1", BOW_TIE)
    change("image0005", "Capitate", OUTSIDE)
    done = hb("data", "audit", recipe, "--only", "crossing")
    assert done.code == 1
    assert "1 findings in 1 of 14" in done.out
    assert hb("data", "audit", recipe, "--only", "ring").code == 0
    wrong = hb("data", "audit", recipe, "--only", "rings")
    assert wrong.code == 2
    assert "'rings' is not one of 'unreadable', 'mirrored'" in wrong.err


def test_help_names_every_kind():
    from handbone_cli.data.audit.kinds import KINDS

    words = hb("data", "audit", "--help").out.replace(",", " ").replace(".", " ").split()
    assert [kind for kind in KINDS if kind not in words] == []


def test_broken_files_are_findings(data, tmp_path):
    recipe, _, root = data
    (image,) = (root / "train/DCM").glob("*/image0003.png")
    image.write_bytes(image.read_bytes()[:200])
    (labels,) = (root / "train/outputs_json").glob("*/image0004.json")
    labels.write_text("")
    done = hb("data", "audit", recipe, "-o", tmp_path / "page")
    assert done.code == 1
    assert f"{image}: the PNG is cut off" in done.out
    assert f"{labels}: not JSON" in done.out
    assert "2 findings in 2 of 12 labelled images" in done.out
    html = (tmp_path / "page" / "index.html").read_text()
    assert "<img" not in html
    assert html.count("<figure>") == 2


def test_what_is_not_ours_is_left_alone(data, tmp_path):
    recipe = data[0]
    mine = tmp_path / "mine.json"
    mine.write_text("[1]")
    done = hb("data", "audit", recipe, "--json", mine)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"hb: {mine}: exists and is no audit's findings; choose another file.\n"
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    done = hb("data", "audit", recipe, "-o", folder)
    assert done.err == f"hb: {folder}: the folder is not empty; choose another -o.\n"
    assert mine.read_text() == "[1]"


def test_without_labels_there_is_nothing_to_audit(tmp_path):
    image = tmp_path / "hands" / "train" / "DCM" / "ID001" / "image1.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((8, 8), np.uint8))
    done = hb("data", "audit", tmp_path / "hands")
    assert done.code == 1
    assert "no image has labels, so there is nothing to audit." in done.err


def test_a_store_ranks_by_disagreement(trained_run, tmp_path):
    root = write_tiny_hands(tmp_path / "hands")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(root))
    from handbone_cli.store.store import Store

    image = Store.open(trained_run.val).image_ids[0]
    (path,) = (root / "train/outputs_json").glob(f"*/{image}.json")
    content = json.loads(path.read_text())
    by_name = {entry["label"]: entry for entry in content["annotations"]}
    one, other = by_name["finger-1"], by_name["Radius"]
    one["points"], other["points"] = other["points"], one["points"]
    path.write_text(json.dumps(content))
    done = hb("data", "audit", recipe, "--store", trained_run.val, "--only", "disagreement")
    assert done.code in {0, 1}
    lines = [line.split()[1:5] for line in done.out.splitlines()[1:-1]]
    assert [image, "disagreement"] in [[line[0], line[2]] for line in lines]
    assert re.search(r"has \d+ of the \d+ labelled images; only they are compared", done.err)
    alone = hb("data", "audit", recipe, "--only", "disagreement")
    assert (alone.code, "--only disagreement needs --store" in alone.err) == (2, True)
    nowhere = hb("data", "audit", recipe, "--store", tmp_path / "hands")
    assert nowhere.code == 1
    assert "not a store" in nowhere.err
