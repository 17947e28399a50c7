from __future__ import annotations

import functools
import json
import shutil
import threading

import cv2
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, installed
from handbone_cli.testing import hb
from handbone_cli.training.trackers import Trackers

QUICK = ("--set", "train.patches_per_image=1", "--set", "train.epochs=1")


@pytest.fixture
def register(monkeypatch):
    """A tracker of a test's own beside those that are installed."""

    def register(name, factory):
        known = dict(installed().components["trackers"])
        known[name] = Component("trackers", name, factory, None, "", 1, "test", "0")
        monkeypatch.setitem(installed().components, "trackers", known)

    return register


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_run_has_its_record_its_curves_and_its_pictures(trained_run):
    told = lines(trained_run.run)
    assert [line["epoch"] for line in told] == [1, 2]
    assert told[0]["lr"] == 0.02
    assert "2 epochs" in (trained_run.run / "curves.svg").read_text()
    ids = [name.removeprefix("best_") for name in names(trained_run.run / "pictures")[:2]]
    assert names(trained_run.run / "pictures") == [
        f"{when}_{image}" for when in ("best", "epoch_0001", "epoch_0002") for image in ids
    ]
    picture = cv2.imread(str(trained_run.run / "pictures" / f"best_{ids[0]}"))
    assert max(picture.shape) <= 1024


def test_the_record_is_there_whatever_trackers_are_named_and_no_pictures_where_none_are_asked(
    tiny_data, tmp_path
):
    pytest.importorskip("tensorboard")
    sets = ("--set", "tracking.trackers=['tensorboard']", "--set", "tracking.pictures=0")
    done = hb("train", tiny_data.recipe, *QUICK, *sets, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert len(lines(tmp_path / "run")) == 1
    assert len(names(tmp_path / "run" / "tensorboard")) == 1
    assert not (tmp_path / "run" / "pictures").exists()


def test_a_tracker_that_asks_for_something_first_leaves_no_run_folder(
    tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("handbone_trackers.extras.find_spec", lambda name: None)
    sets = ("--set", "tracking.trackers=[{name='tensorboard'}]")
    done = hb("train", tiny_data.recipe, *QUICK, *sets, "-o", "run", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "hb: tracker 'tensorboard' needs the package tensorboard: "
        "pip install 'handbone[tensorboard]', or take 'tensorboard' out of tracking.trackers.\n"
    )
    assert not (tmp_path / "run").exists()


class Faulty:
    """Fails where it is told to."""

    where = ""

    def __init__(self, options, context):
        self.fail("build")

    def fail(self, place):
        if self.where == place:
            raise ConnectionError(f"no network to {place}")

    def log(self, event, values):
        self.fail("log")

    def picture(self, name, rgb, values):
        self.fail("picture")

    def close(self):
        self.fail("close")


@pytest.mark.parametrize("where", ["build", "picture", "log", "close"])
def test_a_tracker_that_fails_anywhere_is_dropped_and_the_run_goes_on(
    where, register, tiny_data, tmp_path
):
    register("faulty", type("Faulty", (Faulty,), {"where": where}))
    sets = ("--set", "tracking.trackers=['faulty']")
    done = hb("train", tiny_data.recipe, *QUICK, *sets, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count(f"tracker 'faulty' is dropped: no network to {where}\n") == 1
    assert len(lines(tmp_path / "run")) == 1


@pytest.mark.slow  # 5 s each: patience
@pytest.mark.parametrize("where", ["build", "log"])
def test_a_tracker_that_blocks_is_dropped_and_the_run_goes_on(
    where, register, tiny_data, tmp_path, monkeypatch
):
    class Stuck(Faulty):
        def fail(self, place):
            if place == where:
                threading.Event().wait()

    monkeypatch.setattr(Trackers, "build", functools.partial(Trackers.build, patience=2.0))
    register("stuck", Stuck)
    sets = ("--set", "tracking.trackers=['stuck']")
    done = hb("train", tiny_data.recipe, *QUICK, *sets, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "tracker 'stuck' is dropped: it has not answered for 2 s\n" in done.err
    assert len(lines(tmp_path / "run")) == 1


def test_what_a_person_can_put_right_stops_a_run_before_it_begins(register, tiny_data, tmp_path):
    def build(options, context):
        raise HandboneError("tracker 'picky': the key is wrong.")

    register("picky", build)
    sets = ("--set", "tracking.trackers=['picky']")
    done = hb("train", tiny_data.recipe, *QUICK, *sets, "-o", "run", cwd=tmp_path)
    assert done.code == 1
    assert done.err.endswith("hb: tracker 'picky': the key is wrong.\n")
    again = hb("train", tiny_data.recipe, *QUICK, "-o", "run", cwd=tmp_path)
    assert again.code == 0, again.err


def test_a_folder_that_cannot_take_pictures_loses_them_and_nothing_else(
    trained_run, tiny_data, tmp_path
):
    shutil.copytree(trained_run.run, tmp_path / "run")
    for name in ("last.safetensors", "best.safetensors"):
        (tmp_path / "run" / name).unlink()
    shutil.rmtree(tmp_path / "run" / "pictures")
    (tmp_path / "run" / "pictures").write_text("a file")
    done = hb("train", tiny_data.recipe, *QUICK, "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "tracker 'pictures/' is dropped: run/pictures: cannot write there: " in done.err
    assert len(lines(tmp_path / "run")) == 1
    assert "1 epoch<" in (tmp_path / "run" / "curves.svg").read_text()
