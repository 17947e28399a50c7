"""One run in two processes: the same curve as in one, killed and resumed to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handbone_cli.files import file_digest
from handbone_cli.ranks import NEEDED
from handbone_cli.testing import hb, tiny_recipe

KEYS = {"epochs": 2, "batch_size": 4, "patches_per_image": 5, "save_minutes": 1e-6, "ema": 0.9}
STEPS = 10


@pytest.fixture
def recipe(tiny_data, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe(tiny_data.root, train=KEYS, data={"cache": False}))
    return path


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "handbone_cli", "train", *map(str, words), "--devices", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def epochs(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def child_of_rank(process, rank):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError(children)


def steps_done(run):
    try:
        with (run / "last.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except FileNotFoundError:
        return 0
    position = json.loads(header["__metadata__"]["handbone"])["position"]
    return position["epoch"] * STEPS + position["step"]


@pytest.mark.slow  # 40 s: ten processes that import torch
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
def test_two_processes_train_as_one_does_and_survive_a_loss(recipe, tmp_path, capfd):
    both, cut = tmp_path / "both", tmp_path / "cut"
    alone = hb("train", recipe, "-o", tmp_path / "alone")
    assert alone.code == 0, alone.err
    whole = hb("train", recipe, "-o", both, "--devices", 2)
    said = whole.err + capfd.readouterr().err  # the first process says things by itself
    assert whole.code == 0, said
    assert said.count("images to train on") == 1
    for one, two in zip(epochs(tmp_path / "alone"), epochs(both), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["mean_dice"] == pytest.approx(one["mean_dice"], abs=0.002)
    facts = json.loads((both / "run.json").read_text())
    assert facts["versions"]["devices"] == 2

    process = start(recipe, "-o", cut)
    wait_for_step(process, cut, 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.count("stopped; ") == 1
    assert "Traceback" not in said
    assert json.loads((cut / "run.json").read_text())["status"] == "stopped"

    process = start("--resume", cut)
    wait_for_step(process, cut, STEPS + 2)
    os.kill(child_of_rank(process, 1), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1] == (
        f"hb: {cut}: the process of device 1 was killed by SIGKILL, most often for want of RAM; go "
        f"on with `hb train --resume {cut} --devices 2`."
    )
    assert STEPS + 2 <= steps_done(cut) < 2 * STEPS
    assert json.loads((cut / "run.json").read_text())["status"] == "failed"
    resumed = hb("train", "--resume", cut, "--devices", 2)
    assert resumed.code == 0, resumed.err
    assert file_digest(cut / "best.safetensors") == file_digest(both / "best.safetensors")


def wait_for_step(process, run, step):
    while steps_done(run) < step:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)


def test_a_batch_that_devices_cannot_share(recipe, tmp_path):
    sets = ("--set", "train.batch_size=3")
    done = hb("train", recipe, "--devices", "2", "-o", tmp_path / "run", *sets)
    assert done.code == 1
    assert done.err.startswith("hb: train.batch_size = 3: 2 devices cannot share it evenly; set it")
    assert not (tmp_path / "run").exists()


def test_devices_are_named_once(recipe, tmp_path, monkeypatch):
    for key in NEEDED:
        monkeypatch.setenv(key, "2")
    done = hb("train", recipe, "--devices", "2", "-o", tmp_path / "run")
    assert done.code == 1
    assert done.err == (
        "hb: --devices starts the processes of a run by itself; leave it out under torchrun.\n"
    )


def test_more_gpus_than_there_are(recipe, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    done = hb("train", recipe, "--devices", "2", "-o", tmp_path / "run")
    assert done.code == 1
    assert done.err == "hb: --devices 2: there is 1 GPU; name no more than that.\n"
