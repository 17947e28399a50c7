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


def test_again_replaces_its_own_pictures_alone(trained_run, tmp_path):
    command = ("visualize", trained_run.val, "--limit", 1, "-o", tmp_path)
    assert hb(*command).code == 0
    (tmp_path / "note.txt").write_text("mine")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    assert hb(*command).code == 0
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    assert all(before[name] < after[name] for name in before)
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_radiographs_are_never_replaced_even_if_they_are_pictures_of_ours(trained_run, tmp_path):
    """Overlays predicted as if they were films, then drawn into their own folder."""
    films = tmp_path / "films"
    assert hb("visualize", trained_run.val, "--limit", 1, "-o", films).code == 0
    (films / "contact_sheet.png").unlink()
    before = (films / "image0006.png").read_bytes()
    assert hb("predict", trained_run.run, "-i", films, "-o", tmp_path / "store").code == 0
    done = hb("visualize", tmp_path / "store", "-o", films)
    assert done.code == 1
    assert done.err == (
        f"hb: {films / 'image0006.png'}: is there already and is not a picture that hb wrote; "
        "choose another -o, or remove that file first.\n"
    )
    assert (films / "image0006.png").read_bytes() == before
    assert len(list(films.iterdir())) == 1


def test_a_submission_is_drawn_like_its_store(trained_run, tmp_path):
    path, named = tmp_path / "s.csv", trained_run.data.recipe
    assert hb("submit", trained_run.test, "-o", path).code == 0
    assert hb("visualize", trained_run.test, "-o", tmp_path / "a").code == 0
    done = hb("visualize", path, "--labels", named, "-o", tmp_path / "b")
    assert (done.code, done.out) == (0, f"{tmp_path / 'b'}: 2 overlays and contact_sheet.png\n")
    names = sorted(each.name for each in (tmp_path / "b").iterdir())
    assert names == ["contact_sheet.png", "image0012.png", "image0013.png"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_limit_of_none_is_a_mistake_of_usage(trained_run, tmp_path):
    done = hb("visualize", trained_run.val, "--limit", 0, "-o", tmp_path / "pictures")
    assert done.code == 2
    assert "Invalid value for '--limit': 0 is not in the range x>=1." in done.err
    assert not (tmp_path / "pictures").exists()
