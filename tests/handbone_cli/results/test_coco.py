from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results.coco import column_counts, encode_counts, is_coco, write_coco

coco = pytest.importorskip("pycocotools.coco")
mask_api = pytest.importorskip("pycocotools.mask")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_run_lengths_are_those_of_pycocotools(share):
    draw = np.random.default_rng(int(100 * share))
    for _ in range(40):
        size = tuple(draw.integers(1, 70, 2))
        dense = draw.random((1, *size)) < share
        if not dense.any():
            continue
        mask = PackedMask.from_dense(dense)
        text = encode_counts(column_counts(mask, 0, mask.boxes()[0]))
        theirs = mask_api.encode(np.asfortranarray(dense[0].astype(np.uint8)))
        assert text.encode() == theirs["counts"]


def test_long_runs_and_falling_ones():
    """Numbers of several characters, and differences below zero."""
    mask = PackedMask.empty((3000, 900), 1)
    for y0, y1, x0, x1 in ((0, 3000, 100, 500), (7, 9, 600, 601), (1000, 2999, 601, 800)):
        mask.add(0, (y0, y1, x0, x1), np.ones((y1 - y0, x1 - x0), np.bool_))
    text = encode_counts(column_counts(mask, 0, mask.boxes()[0]))
    theirs = mask_api.encode(np.asfortranarray(mask.dense()[0].astype(np.uint8)))
    assert text.encode() == theirs["counts"]


def test_the_file_is_read_by_pycocotools(tmp_path, capsys):
    draw = np.random.default_rng(3)
    masks = {}
    for name, size in (("a", (40, 30)), ("b", (25, 50))):
        dense = draw.random((3, *size)) < 0.3
        dense[1] = name == "b"
        masks[name] = PackedMask.from_dense(dense)
    path, seen = tmp_path / "coco.json", []
    images = [("a", "a.png"), ("b", "b.dcm")]
    write_coco(path, images, ("one", "two", "three"), masks.get, lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    found = coco.COCO(str(path))
    capsys.readouterr()  # it prints
    assert [c["name"] for c in found.loadCats(found.getCatIds())] == ["one", "two", "three"]
    assert [i["file_name"] for i in found.loadImgs([1, 2])] == ["a.png", "b.dcm"]
    for place, name in enumerate(masks, start=1):
        dense = masks[name].dense()
        annotations = found.loadAnns(found.getAnnIds(imgIds=[place]))
        assert [each["category_id"] for each in annotations] == [
            index + 1 for index in range(3) if dense[index].any()
        ]
        for each in annotations:
            bone = dense[each["category_id"] - 1]
            assert np.array_equal(found.annToMask(each), bone)
            rle = found.annToRLE(each)
            assert each["area"] == mask_api.area(rle) == bone.sum()
            assert each["bbox"] == mask_api.toBbox(rle).tolist()
    assert is_coco(path.read_bytes()[:4096])
    assert not is_coco(json.dumps(json.loads(path.read_text())).encode())


def test_of_no_image_it_is_json_too(tmp_path):
    write_coco(tmp_path / "coco.json", [], ("one",), {}.get, lambda *_: None)
    found = json.loads((tmp_path / "coco.json").read_text())
    assert (found["images"], found["annotations"]) == ([], [])
