from __future__ import annotations

import pytest

from handbone_cli import HAND_BONES
from handbone_cli.testing import hb, write_tiny_hands


@pytest.mark.slow  # 2 s: six hands drawn and read again
def test_generate_and_check(tmp_path):
    root = tmp_path / "hands"
    command = ("data", "generate", "-o", root, "--people", 2, "--test-people", 1, "--size", 512)
    done = hb(*command)
    assert (done.code, done.out) == (0, f"{root}: 2 people to train on, 1 to test\n")
    checked = hb("data", "check", root)
    assert (checked.code, checked.err) == (0, "")
    assert checked.out == (
        "train: 4 images of 2 people, 4 with labels\n"
        "test: 2 images of 1 people, 2 with labels\n"
        "no problems\n"
    )
    assert hb(*command).out == done.out
    other = hb(*command, "--seed", 2)
    assert other.code == 1
    assert other.err == (
        f"hb: {root}: holds files made with other settings (generated.json); "
        "choose another folder, or delete it.\n"
    )


def test_problems_are_told_and_leave_exit_code_one(tiny_data):
    clean = hb("data", "check", tiny_data.recipe)
    assert (clean.code, clean.out.splitlines()[-1]) == (0, "no problems")
    done = hb("data", "check", tiny_data.root)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-1] == "14 problems"
    assert "image0000.json: missing finger-2, finger-3," in done.out


def test_all_29_bones(tmp_path):

    root = write_tiny_hands(tmp_path / "hands", people=1, class_names=HAND_BONES)
    done = hb("data", "check", root)
    assert (done.code, done.out.splitlines()[-1]) == (0, "no problems")
