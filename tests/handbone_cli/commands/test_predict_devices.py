"""One prediction in two processes: the bytes that one process writes, killed and gone on with."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handbone_cli.ranks import NEEDED
from handbone_cli.store.lock import LOCK
from handbone_cli.store.store import Store
from handbone_cli.testing import hb
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

SLOW = ("--stride", "8")
"""So many windows that an image takes a while, and there is something to interrupt."""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twelve images of three sizes, and two that are none."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(12):
        size = (100, 64, 160)[number % 3]
        write_png(folder / f"{number:02d}.png", draw_tiny_hand(number, 0, size, 4)[0])
    (folder / "05.png").write_bytes(b"")
    (folder / "08.png").write_text("hello")
    return folder


def start(*words, stdin=None):
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def predict(*words, **more):
    return start("-m", "handbone_cli", "predict", *words, "--devices", "2", **more)


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def child_of_rank(process, rank):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError(children)


def wait_for_images(process, store, count):
    while len(list(store.glob("images/*.npz"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.slow  # 15 s: three processes that import torch
def test_two_processes_write_what_one_does(trained_run, films, tmp_path, monkeypatch):
    words = (trained_run.run, "-i", "-", "-o")
    alone, store = tmp_path / "alone", tmp_path / "store"
    named = "".join(f"{path}\n" for path in sorted(films.iterdir(), reverse=True))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(named.encode())))
    one = hb("predict", *words, alone)
    process = predict(*words, store, "--masks", tmp_path / "masks", stdin=subprocess.PIPE)
    out, said = process.communicate(named, timeout=120)
    assert (process.returncode, out) == (1, f"{tmp_path / 'masks'}: 10 images written, 4 classes\n")
    assert said.splitlines()[-1].startswith(f"hb: {films / '08.png'}: not a PNG or JPEG image")
    assert f" {films / '05.png'}: the file is empty. The other 10 of 12 are in {store}." in said
    assert said.splitlines()[-1] == one.err.splitlines()[-1].replace(str(alone), str(store))
    assert said.count("Predicting: 12/12 images in ") == 1
    assert content(store) == content(alone)


@pytest.mark.slow  # 45 s: six processes that import torch
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
def test_killed_and_stopped_and_gone_on_with(trained_run, films, tmp_path):
    words, other = (trained_run.run, "-i", films, *SLOW), tmp_path / "other"
    process = predict(*words, "-o", other)
    wait_for_images(process, other, 2)
    refused = hb("predict", *words, "-o", other)
    assert (refused.code, " writes this store; wait" in refused.err) == (1, True)
    os.kill(child_of_rank(process, 1), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        f"hb: {other}: the process of device 1 was killed by SIGKILL, most often for want of RAM; "
        "what was predicted is kept, run the same command again to go on."
    )
    assert said.count("hb: ") == 1
    kept = sorted(Store.open(other).image_ids)
    assert 2 <= len(kept) < 10
    at = {name: (other / "images" / f"{name}.npz").stat().st_mtime_ns for name in kept}

    process = predict(*words, "-o", other)
    wait_for_images(process, other, len(kept) + 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.count("stopped after ")) == (130, 1), said
    assert "Traceback" not in said
    assert sorted(each.name for each in other.iterdir()) == ["images", "manifest.json"]
    assert len(kept) < len(Store.open(other).images) < 10

    assert "The other 10 of 12" in hb("predict", *words, "-o", other).err
    assert (
        at.items()
        <= {path.stem: path.stat().st_mtime_ns for path in other.glob("images/*.npz")}.items()
    )
    hb("predict", *words, "-o", tmp_path / "again")
    assert content(other) == content(tmp_path / "again")


@pytest.mark.slow  # 40 s: three processes that import torch
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
def test_the_first_process_killed_leaves_what_both_wrote(trained_run, films, tmp_path):
    store = tmp_path / "store"
    process = predict(trained_run.run, "-i", films, *SLOW, "-o", store)
    wait_for_images(process, store, 3)
    os.kill(child_of_rank(process, 0), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert said.splitlines()[-1].startswith(
        f"hb: {store}: the process of device 0 was killed by SIGKILL, "
    )
    assert said.count("\n") == 1, said
    assert (store / LOCK).exists()
    written = {path.stem for path in store.glob("images/*.npz")}
    assert len(written - set(Store.open(store).image_ids)) <= 1  # killed before its line


@pytest.mark.slow  # 30 s: three processes that import torch
def test_torchrun_shares_images_out_as_well_also_of_several_models(
    trained_run, second_run, tmp_path
):
    runs = (trained_run.run, second_run.run)
    words = ("-i", "train", "-o", tmp_path / "store")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    process = start(*launcher, "-m", "handbone_cli", "predict", *runs, *words)
    out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, f"{tmp_path / 'store'}: 8 images\n"), said
    assert said.count("Predicting: 8/8 images in ") == 1
    hb("predict", *runs, "-i", "train", "-o", tmp_path / "alone")
    assert content(tmp_path / "store") == content(tmp_path / "alone")


def test_devices_are_named_once_and_are_there(trained_run, films, tmp_path, monkeypatch):
    import torch

    command = ("predict", trained_run.run, "-i", films, "-o", tmp_path / "s", "--devices", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert hb(*command).err == "hb: --devices 2: there is 1 GPU; name no more than that.\n"
    for key in NEEDED:
        monkeypatch.setenv(key, "2")
    assert hb(*command).err == (
        "hb: --devices starts the processes of a run by itself; leave it out under torchrun.\n"
    )
    assert not (tmp_path / "s").exists()
