from __future__ import annotations

import faulthandler
import os
import subprocess
import sys

import pytest

from handbone_cli.testing.exits import exits_raised


def test_an_exit_becomes_an_exception_and_is_one_again_afterwards():
    leave = os._exit
    with pytest.raises(SystemExit, match=r"^os\._exit\(0\)$"), exits_raised():
        os._exit(0)
    assert os._exit is leave


def test_a_child_ends_as_it_would():
    with exits_raised():
        child = os.fork()
        if child == 0:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_watch_that_was_there_goes_on():
    before = faulthandler.is_enabled()
    with exits_raised():
        pass
    assert faulthandler.is_enabled() == before


def test_a_crash_in_compiled_code_tells_its_line(tmp_path):
    (tmp_path / "crash.py").write_text(
        "import ctypes\nfrom handbone_cli.testing.exits import exits_raised\n"
        "with exits_raised():\n    ctypes.string_at(0)\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "crash.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode < 0
    assert "crash.py" in done.stderr
    assert "line 4" in done.stderr
