from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handbone_cli.errors import InterruptedRunError
from handbone_cli.ranks import LAUNCHED
from handbone_cli.runs.launch import environment_of, free_port
from handbone_cli.store.store import Store
from handbone_cli.testing.tiny import write_png

SCRIPT = Path(__file__).with_name("shades.py")


def load_script():
    spec = importlib.util.spec_from_file_location("shades", SCRIPT)
    module = sys.modules["shades"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shades = load_script()
SIDE, Shades, fill = shades.SIDE, shades.Shades, shades.fill
COUNT = 5


@pytest.fixture
def films(tmp_path):
    for number in range(COUNT):
        write_png(
            tmp_path / "films" / f"{number}.png", np.full((SIDE, SIDE), 100 + number, np.uint8)
        )
    return tmp_path / "films"


def levels(store):
    store = Store.open(store)
    return {name: int(store.load(name).crops[0][0, 0]) for name in store.image_ids}


EXPECTED = {**{str(n): 3 * (100 + n) + 60 - 300 for n in range(4)}, "4": 2 * 104 + 20 - 150}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("room", "loads"),
    [
        (0, [0, 20, 40, 0, 20, 0, 40, 0, 20, 0]),  # an image at a time
        (2 * 3 * SIDE**2, [0, 20, 40, 0, 20, 0]),
        (10**6, [0, 20, 40, 0, 20]),
    ],
)
def test_each_model_predicts_as_many_as_there_is_room_for(films, tmp_path, room, loads, workers):
    """The one that is loaded begins; an image of other models comes in turns of its own."""
    drawn = Shades()
    assert fill(films, tmp_path / "store", drawn, room, workers) == []
    assert levels(tmp_path / "store") == EXPECTED
    seen = {name: each.seen for name, each in Store.open(tmp_path / "store").images.items()}
    assert seen == {str(n): n == 3 for n in range(COUNT)}
    made = [level for what, level in drawn.log if what == "load"]
    assert made == loads
    assert len([1 for what, _ in drawn.log if what == "predict"]) == 4 * 3 + 2


def test_what_is_there_is_not_predicted_again(films, tmp_path):
    fill(films, tmp_path / "store", Shades(), 10**6)
    write_png(films / "2.png", np.full((SIDE, SIDE), 110, np.uint8))
    drawn = Shades()
    assert fill(films, tmp_path / "store", drawn, 10**6) == []
    assert [level for what, level in drawn.log if what == "predict"] == [0, 20, 40]
    assert levels(tmp_path / "store") == {**EXPECTED, "2": 90}


def test_images_that_cannot_be_read_and_that_change(films, tmp_path):
    (films / "1.png").write_text("hello")

    def change(shade, image):
        if shade.level == 20 and image[0, 0] == 102:
            write_png(films / "3.png", np.full((SIDE, SIDE), 111, np.uint8))

    said = fill(films, tmp_path / "store", Shades(change), 10**6)
    assert said[0].startswith(f"{films / '1.png'}: not a PNG or JPEG image")
    assert said[1:] == [f"{films / '3.png'}: has changed while it was predicted."]
    assert levels(tmp_path / "store") == {n: EXPECTED[n] for n in ("0", "2", "4")}


@pytest.mark.parametrize(
    ("level", "grey", "count"),
    [
        (0, 100, 1),  # while the first model is at the first image
        (0, 102, 1),  # ... at the third: the others wait for the next time
        (20, 102, 1),
        (40, 103, 1),
        (20, 104, 5),  # the last image of all
    ],
)
def test_ctrl_c_keeps_the_first_image_that_was_begun(films, tmp_path, level, grey, count):
    def press(shade, image):
        if (shade.level, image[0, 0]) == (level, grey):
            os.kill(os.getpid(), signal.SIGINT)

    store = tmp_path / "store"
    if count == COUNT:
        assert fill(films, store, Shades(press), 10**6) == []
    else:
        with pytest.raises(InterruptedRunError, match=f"stopped after {count} of 5 images"):
            fill(films, store, Shades(press), 10**6)
    assert levels(store) == {str(n): EXPECTED[str(n)] for n in range(count)}
    assert fill(films, store, Shades(), 10**6) == []
    assert levels(store) == EXPECTED


def test_a_second_ctrl_c_breaks_off_and_what_was_written_stays(films, tmp_path):
    def press(shade, image):
        if (shade.level, image[0, 0]) == (20, 102):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fill(films, tmp_path / "store", Shades(press), 0)
    assert levels(tmp_path / "store") == {n: EXPECTED[n] for n in ("0", "1")}


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def in_two(films, store, *words):
    port = free_port()
    both = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(films), str(store), *words],
            env={k: v for k, v in environment_of(rank, 2, port).items() if k != LAUNCHED},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    return [process.communicate(timeout=120)[0].strip() for process in both]


@pytest.mark.slow  # 12 s: four processes that import torch
def test_two_processes_stopped_and_gone_on_with_write_what_one_does(films, tmp_path):
    (films / "1.png").write_text("hello")
    store = tmp_path / "store"
    stopped = in_two(films, store, "2")
    assert stopped == [stopped[0]] * 2
    assert stopped[0].startswith("stopped after ")
    assert len(Store.open(store).images) < COUNT - 1
    said = in_two(films, store)
    assert said == [said[0]] * 2
    assert said[0].startswith(f"{films / '1.png'}: not a PNG or JPEG image")
    fill(films, tmp_path / "alone", Shades(), 10**6)
    assert content(store) == content(tmp_path / "alone")
