from __future__ import annotations

import math
import sys

import cv2
import numpy as np
import pytest

from handbone_cli import HandboneError, TrackerContext
from handbone_trackers.options import TensorBoardOptions
from handbone_trackers.tensorboard import TensorBoardTracker

pytest.importorskip("tensorboard")

RECIPE = {"name": "tiny", "train": {"epochs": 4}}


def tracker(run, **options):
    return TensorBoardTracker(TensorBoardOptions(**options), TrackerContext(run, "tiny", RECIPE))


def read(run):
    """What TensorBoard itself makes of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = {"scalars": 0, "images": 0, "tensors": 0}
    found = EventAccumulator(str(run / "tensorboard"), size_guidance=everything)
    found.Reload()
    return found


def curve(found, tag):
    return [(each.step, pytest.approx(each.value)) for each in found.Scalars(tag)]


def epoch(number, loss):
    return {"epoch": number, "loss": loss, "lr": 0.1, "dice": {"Radius": 0.9}, "mean_dice": 0.9}


def picture(to, number):
    rgb = np.zeros((30, 40, 3), np.uint8)
    rgb[..., 0] = 200
    to.picture("validation/a", rgb, {"epoch": number, "image_id": "a", "mean_dice": 0.9})


def test_curves_pictures_and_the_recipe_are_read_back(tmp_path):
    one = tracker(tmp_path)
    assert list((tmp_path / "tensorboard").iterdir()) == []
    for number, loss in ((1, 0.5), (2, 0.25)):
        picture(one, number)
        one.log("epoch", epoch(number, loss))
    one.log("end", {})
    one.close()
    found = read(tmp_path)
    assert sorted(found.Tags()["scalars"]) == ["dice/Radius", "loss", "lr", "mean_dice"]
    assert curve(found, "loss") == [(1, 0.5), (2, 0.25)]
    assert curve(found, "dice/Radius") == [(1, 0.9), (2, 0.9)]
    first, second = found.Images("validation/a")
    assert (first.step, second.step, first.width, first.height) == (1, 2, 40, 30)
    shown = cv2.imdecode(np.frombuffer(first.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(shown[5, 5] - (0.0, 0.0, 200.0)).max() < 8  # BGR: red stayed red
    (text,) = found.Tensors("recipe")
    assert text.tensor_proto.string_val[0].decode() == (
        '```\nname = "tiny"\n\n[train]\nepochs = 4\n```'
    )


def test_a_run_that_is_resumed_goes_on_without_epochs_twice(tmp_path):
    one = tracker(tmp_path)
    for number in (1, 2, 3):
        picture(one, number)
        one.log("epoch", epoch(number, float(number)))
    one.close()
    again = tracker(tmp_path)
    for number in (3, 4):
        picture(again, number)
        again.log("epoch", epoch(number, 10.0 * number))
    found = read(tmp_path)
    assert curve(found, "loss") == [(1, 1), (2, 2), (3, 30), (4, 40)]
    assert [each.step for each in found.Images("validation/a")] == [1, 2, 3, 4]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_a_record_that_was_cut_off_hides_nothing_that_comes_later(tmp_path):
    tracker(tmp_path).log("epoch", epoch(1, 1.0))
    (file,) = (tmp_path / "tensorboard").iterdir()
    with file.open("ab") as torn:
        torn.write(b"\x20\0\0\0\0\0\0\0ab")
    tracker(tmp_path).log("epoch", epoch(2, 2.0))
    assert curve(read(tmp_path), "loss") == [(1, 1), (2, 2)]


def test_nan_is_written_and_none_left_out(tmp_path):
    one = tracker(tmp_path)
    one.log("epoch", {"epoch": 1, "loss": float("nan"), "mean_dice": None})
    (only,) = read(tmp_path).Scalars("loss")
    assert math.isnan(only.value)
    assert read(tmp_path).Tags()["scalars"] == ["loss"]


def test_without_pictures(tmp_path):
    one = tracker(tmp_path, pictures=False)
    picture(one, 1)
    one.log("epoch", epoch(1, 1.0))
    assert read(tmp_path).Tags()["images"] == []


def test_neither_torch_nor_tensorflow_is_asked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it is an error now
    monkeypatch.setitem(sys.modules, "torch", None)
    tracker(tmp_path).log("epoch", epoch(1, 1.0))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(HandboneError, match="tensorboard: cannot write there"):
        tracker(tmp_path)


def test_it_is_refused_where_the_package_is_missing(monkeypatch):
    monkeypatch.setattr("handbone_trackers.extras.find_spec", lambda name: None)
    with pytest.raises(HandboneError, match=r"pip install 'handbone\[tensorboard\]'"):
        TensorBoardTracker.check(TensorBoardOptions())
