from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.results.gallery import Gallery
from handbone_cli.results.pictures import is_picture


def show(gallery, epoch, image_id="a", *, best=False):
    rgb = np.full((4, 6, 3), (epoch, 0, 0), np.uint8)
    values = {"epoch": epoch, "image_id": image_id, "best": best}
    gallery.picture(f"validation/{image_id}", rgb, values)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_validations_and_the_best_are_kept(tmp_path):
    gallery = Gallery(tmp_path / "pictures", newest=2)
    gallery.log("epoch", {"epoch": 1})
    assert not (tmp_path / "pictures").exists()
    for epoch in (*range(1, 20, 3), 997, 1000):
        for image_id in ("a", "b"):
            show(gallery, epoch, image_id, best=epoch in {1, 4})
    gallery.close()
    kept = [f"epoch_{epoch:04d}_{image}.png" for epoch in (997, 1000) for image in "ab"]
    assert names(tmp_path / "pictures") == ["best_a.png", "best_b.png", *kept]
    best = cv2.imread(str(tmp_path / "pictures" / "best_a.png"))
    assert best[0, 0].tolist() == [0, 0, 4]  # BGR: of epoch 4
    assert is_picture((tmp_path / "pictures" / "epoch_0997_b.png").read_bytes())


def test_a_run_that_goes_on_from_before_forgets_what_came_after(tmp_path):
    for epoch in (8, 9, 10):
        show(Gallery(tmp_path), epoch)
    (tmp_path / "epoch_notes.png").write_text("mine")
    (tmp_path / "epoch_0001_mine.txt").write_text("mine")
    show(Gallery(tmp_path), 9)
    assert names(tmp_path) == [
        "epoch_0001_mine.txt", "epoch_0008_a.png", "epoch_0009_a.png", "epoch_notes.png",
    ]  # fmt: skip


def test_an_id_with_folders_stays_in_the_folder(tmp_path):
    show(Gallery(tmp_path / "pictures"), 1, "../x/y", best=True)
    assert names(tmp_path / "pictures") == ["best_.._x_y.png", "epoch_0001_.._x_y.png"]
    assert names(tmp_path) == ["pictures"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(HandboneError, match="pictures: cannot write there"):
        show(Gallery(tmp_path / "pictures"), 1)
