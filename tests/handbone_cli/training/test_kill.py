"""A run that is killed at any step ends in the same bits as one that nobody touched."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from handbone_cli.files import file_digest
from handbone_cli.testing import hb, tiny_recipe

STEPS = 10
EPOCHS = 3
KEYS = {"epochs": EPOCHS, "batch_size": 4, "patches_per_image": 5, "save_minutes": 1e-6}


def start(*words):
    command = [sys.executable, "-m", "handbone_cli", "train", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def steps_done(run):
    """How far the newest state is; -1 before there is one."""
    try:
        with (run / "last.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except FileNotFoundError:
        return -1
    position = json.loads(header["__metadata__"]["handbone"])["position"]
    return position["epoch"] * STEPS + position["step"]


def kill_at(process, run, target):
    while steps_done(run) < target:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow  # 10 s: the one that is killed is a process that imports torch
def test_killed_at_a_random_step(tiny_data, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(tiny_data.root, train=KEYS, data={"cache": False}))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    untouched = hb("train", recipe, "-o", whole)
    assert untouched.code == 0, untouched.err
    assert steps_done(whole) == EPOCHS * STEPS
    seed = random.randrange(1000)
    rng = random.Random(seed)
    process = start(recipe, "-o", cut)
    kill_at(process, cut, rng.randrange(1, EPOCHS * STEPS - 1))
    assert steps_done(cut) < EPOCHS * STEPS, seed
    resumed = hb("train", "--resume", cut)
    assert resumed.code == 0, resumed.err
    for name in ("last.safetensors", "best.safetensors"):
        assert file_digest(whole / name) == file_digest(cut / name), (name, seed)
