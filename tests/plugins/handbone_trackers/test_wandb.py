from __future__ import annotations

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from handbone_cli import HandboneError, TrackerContext
from handbone_trackers.options import WandbOptions
from handbone_trackers.wandb import SILENT, WandbTracker, mode_of

wandb = pytest.importorskip("wandb")

BLOCK, HEADER = 2**15, 7
KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No login and no setting of whoever runs the tests."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    yield
    wandb.teardown()  # it remembers what the environment said


def tracker(run, **options):
    asked = WandbOptions(**{"mode": "offline", **options})
    return WandbTracker(asked, TrackerContext(run, "tiny", {"seed": 3}))


def records(run):
    """What stands in the .wandb files of a run: LevelDB's log format, one protobuf a record."""
    from wandb.proto.wandb_internal_pb2 import Record

    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        data, place, parts = path.read_bytes(), HEADER, b""
        while place + HEADER <= len(data):
            if BLOCK - place % BLOCK < HEADER:
                place += BLOCK - place % BLOCK
                continue
            length, kind = struct.unpack_from("<HB", data, place + 4)
            parts += data[place + HEADER : place + HEADER + length]
            place += HEADER + length
            if kind in {1, 4}:  # whole, or the last part
                record = Record()
                record.ParseFromString(parts)
                parts = b""
                yield record


def steps(run):
    """Step -> its figures by key."""
    told = {}
    for record in records(run):
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
            told[record.history.step.num] = {k: json.loads(v) for k, v in items.items()}
    return told


def services():
    """wandb's own processes that are below this one."""
    listed = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True)
    own = str(os.getpid())
    return [x for x in listed.stdout.splitlines() if x.split()[0] == own and "wandb" in x]


def epoch(number, loss):
    return {"epoch": number, "loss": loss, "dice": {"Radius": 0.9}, "mean_dice": 0.9}


@pytest.mark.slow  # 20 s: wandb's own process begins twice
def test_offline_everything_is_in_the_run_and_a_resumed_run_goes_on(tmp_path, capfd):
    run = tmp_path / "first"
    one = tracker(run, project="hands", tags=("a", "b"))
    assert services()
    rgb = np.zeros((30, 40, 3), np.uint8)
    for number, loss in ((1, 0.5), (2, 0.25)):
        values = {"epoch": number, "image_id": "a", "mean_dice": 0.9}
        one.picture("validation/a", rgb, values)
        one.log("epoch", epoch(number, loss))
    one.log("end", {})
    one.close()
    assert not services()
    first = steps(run)
    assert {step: told["loss"] for step, told in first.items()} == {1: 0.5, 2: 0.25}
    assert first[1]["dice/Radius"] == 0.9
    assert first[2]["validation/a/width"] == 40
    assert len(list(run.glob("wandb/*/files/media/images/validation/*.jpg"))) >= 2
    (about,) = [r.run for r in records(run) if r.WhichOneof("record_type") == "run"]
    assert (about.project, list(about.tags), about.display_name) == ("hands", ["a", "b"], "first")
    assert {c.key: c.value_json for c in about.config.update}["seed"] == "3"

    again = tracker(run, project="hands", pictures=False)
    again.picture("validation/a", rgb, {"epoch": 3, "image_id": "a", "mean_dice": 0.9})
    again.log("epoch", epoch(3, 0.1))
    again.close()
    ids = {r.run.run_id for r in records(run) if r.WhichOneof("record_type") == "run"}
    assert ids == {(run / "wandb_id").read_text().strip()}
    assert sorted(steps(run)) == [1, 2, 3]
    assert "validation/a/width" not in steps(run)[3]
    assert not services()
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.slow  # 5 s: wandb is imported
def test_online_without_a_login_is_one_sentence_and_writes_nothing(tmp_path):
    with pytest.raises(HandboneError) as caught:
        tracker(tmp_path / "run", mode="online")
    assert str(caught.value) == (
        "tracker 'wandb': nobody is logged in; run `wandb login` once, or say "
        'mode = "offline" beside the name: '
        'tracking.trackers = [{ name = "wandb", mode = "offline" }].'
    )
    assert not (tmp_path / "run").exists()
    WandbTracker.check(WandbOptions(mode="offline"))


@pytest.mark.slow  # 15 s: a new process each, since wandb remembers a login
@pytest.mark.parametrize("place", ["nowhere", "elsewhere", "netrc", "environment", "offline"])
def test_a_login_is_found_where_wandb_keeps_it(place, tmp_path, monkeypatch):
    host = {"elsewhere": "api.elsewhere.org", "netrc": "127.0.0.1:9"}.get(place)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if host:
        line = f"machine {host} login user password {KEY}\n"
        (tmp_path / "netrc").write_text(line)
    if place in {"environment", "offline"}:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    if place == "offline":  # what the recipe says counts more
        monkeypatch.setenv("WANDB_MODE", "offline")
    code = "from handbone_trackers.wandb import is_logged_in; print(is_logged_in())"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    expected = place not in {"nowhere", "elsewhere"}
    assert (said.stdout, said.stderr) == (f"{expected}\n", "")


def test_the_mode_is_that_of_the_recipe_or_of_the_environment(monkeypatch):
    assert mode_of(WandbOptions()) == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode_of(WandbOptions()) == "offline"
    assert mode_of(WandbOptions(mode="disabled")) == "disabled"


@pytest.mark.slow  # 10 s: wandb's own process
def test_a_key_that_cannot_be_one_is_one_sentence_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(HandboneError, match=r"^tracker 'wandb': .*WANDB_API_KEY"):
        tracker(tmp_path / "run", mode="online")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # 15 s: wandb's own process, and its patience
def test_a_server_that_is_not_there_is_no_mistake_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setitem(SILENT, "init_timeout", 1.0)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr("handbone_trackers.wandb.is_logged_in", lambda: True)  # else remembered
    with pytest.raises(wandb.errors.CommError, match=r"127\.0\.0\.1:9"):
        tracker(tmp_path, mode="online")
    assert not services()


@pytest.mark.slow  # 10 s: wandb's own process
def test_disabled_takes_everything_and_writes_nothing(tmp_path):
    one = tracker(tmp_path, mode="disabled")
    one.log("epoch", epoch(1, 0.5))
    one.close()
    assert not (tmp_path / "wandb").exists()


def test_it_is_refused_where_the_package_is_missing(monkeypatch):
    monkeypatch.setattr("handbone_trackers.extras.find_spec", lambda name: None)
    with pytest.raises(HandboneError, match=r"pip install 'handbone\[wandb\]'"):
        WandbTracker.check(WandbOptions(mode="offline"))


def test_a_wandb_that_would_ask_for_a_key_is_refused(monkeypatch):
    monkeypatch.setattr(wandb, "login", lambda verify: True)
    with pytest.raises(HandboneError, match=rf"newer wandb than {wandb.__version__}: pip install"):
        WandbTracker.check(WandbOptions(mode="online"))
