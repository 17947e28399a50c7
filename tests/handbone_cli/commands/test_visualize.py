from __future__ import annotations

import cv2
import pytest

from handbone_cli.testing import hb


@pytest.mark.parametrize("kind", ["store", "decision"])
def test_an_overlay_an_image_and_a_contact_sheet(trained_run, weighed, tmp_path, kind):
    masks = trained_run.val if kind == "store" else weighed.decision
    done = hb("visualize", masks, "-o", tmp_path / "pictures")
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'pictures'}: 4 overlays and contact_sheet.png\n"
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert len(names) == 5
    assert "contact_sheet.png" in names
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "pictures").iterdir())


def test_a_limit(trained_run, tmp_path):
    done = hb("visualize", trained_run.val, "--limit", 1, "-o", tmp_path)
    assert done.out == f"{tmp_path}: 1 overlays and contact_sheet.png\n"
    assert len(list(tmp_path.iterdir())) == 2
