from __future__ import annotations

import os
from pathlib import Path

import pytest

from handbone_cli import __version__
from handbone_cli.testing import hb


def test_exit_codes_and_streams():
    assert hb("--version") == (hb("--version", cwd=Path("/")))
    assert hb("--version").out == f"hb, version {__version__}\n"
    usage = hb("submit")
    assert (usage.code, usage.out) == (2, "")
    assert "Missing argument 'MASKS'" in usage.err
    mistake = hb("submit", "none", "-o", "s.csv")
    assert (mistake.code, mistake.out) == (1, "")
    assert mistake.err.startswith("hb: none: ")


def test_the_folder_is_given_back(tmp_path):
    before = Path.cwd()
    assert hb("recipes", "copy", "quickstart", cwd=tmp_path).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart.toml"]
    assert Path.cwd() == before
    with pytest.raises(FileNotFoundError):
        hb("--version", cwd=tmp_path / "none")
    assert os.fspath(Path.cwd()) == os.fspath(before)


@pytest.mark.slow  # 2 s: a Python of its own
def test_a_process_of_its_own_says_the_same(tmp_path):
    command = ("evaluate", "none")
    assert hb(*command, cwd=tmp_path, process=True) == hb(*command, cwd=tmp_path)
