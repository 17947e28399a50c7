"""The code on docs/prediction_outputs.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results.coco import write_coco
from handbone_cli.results.mask_files import write_packed

PAGE = Path(__file__).parents[2] / "docs" / "prediction_outputs.md"
NAMES = (*(f"bone {number}" for number in range(28)), "Radius")


def test_the_code_on_the_page_reads_the_masks(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("pycocotools")
    dense = np.random.default_rng(1).random((29, 12, 17)) < 0.4
    mask = PackedMask.from_dense(dense)
    write_packed(tmp_path / "masks" / "image0006.png", mask)
    (tmp_path / "masks" / "classes.txt").write_text("\n".join(NAMES) + "\n")
    images = [("image0006", "image0006.png")]
    write_coco(tmp_path / "masks" / "coco.json", images, NAMES, lambda _: mask, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), known)
    assert np.array_equal(known["radius"], dense[28])
    assert np.array_equal(known["mask"], dense[0])
