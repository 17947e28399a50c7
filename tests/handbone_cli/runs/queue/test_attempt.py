from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from handbone_cli.runs.queue import attempt as attending
from handbone_cli.runs.queue.attempt import Attempt, is_mistake, said_last


@pytest.fixture
def attended(tmp_path):
    """An attendant of a line of shell, in a process of its own."""
    attempt = Attempt(tmp_path / "attempts" / "a.3")
    attempt.clear()
    started = []

    def _attended(code):
        argv = [sys.executable, "-m", "handbone_cli.runs.queue.attempt", str(attempt.stem),
                str(tmp_path / "a.log"), str(tmp_path), "--", "sh", "-c", code]  # fmt: skip
        started.append(subprocess.Popen(argv, start_new_session=True))
        return attempt, started[-1]

    yield _attended
    for process in started:
        process.kill()
        process.wait()


def test_the_exit_code_and_the_log(attended, tmp_path):
    attempt, process = attended("pwd; echo wrong >&2; exit 9")
    assert process.wait() == 9
    assert attempt.exit_code() == 9
    heading, where, wrong = (tmp_path / "a.log").read_text().splitlines()
    assert heading.startswith("=== attempt 3, 20")
    assert heading.endswith(": sh -c 'pwd; echo wrong >&2; exit 9'")
    assert (where, wrong) == (str(tmp_path), "wrong")
    assert not attempt.is_alive()


def test_a_stop_file_sends_what_ctrl_c_sends_once(attended, tmp_path, wait_until):
    code = (
        "trap 'echo x >> got' INT; touch up; while [ ! -e got ]; do sleep 0.02; done; "
        "sleep 1; exit 130"
    )
    attempt, process = attended(code)
    wait_until((tmp_path / "up").exists)
    attempt.ask_to_stop()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 130
    assert (tmp_path / "got").read_text() == "x\n"
    assert attempt.exit_code() == 130


def test_what_is_stopped_before_it_began_does_not_begin(attended, tmp_path):
    (tmp_path / "attempts" / "a.3.stop").touch()
    attempt, process = attended("touch begun")
    assert process.wait() == attempt.exit_code() == 130
    assert not (tmp_path / "begun").exists()


def test_a_job_without_its_attendant_is_still_there(attended, wait_until):
    attempt, process = attended("sleep 60")
    wait_until(attempt.process_file.exists)
    process.kill()
    process.wait()
    assert attempt.is_alive()
    os.kill(attempt.processes()["works"]["pid"], signal.SIGKILL)
    wait_until(lambda: not attempt.is_alive())
    assert attempt.exit_code() is None


def test_on_another_host_it_lives_while_it_gives_signs(tmp_path):
    attempt = Attempt(tmp_path / "a.1")
    other = {"host": "elsewhere", "pid": 1, "since": "1"}
    attempt.process_file.write_text(json.dumps({"attends": other, "works": other}))
    now = time.time()
    assert attempt.is_alive(lambda: now + 100)
    assert not attempt.is_alive(lambda: now + 10000)


def test_signs_are_given(tmp_path, monkeypatch):
    attempt = Attempt(tmp_path / "a.1")
    attempt.process_file.write_text("{}")
    os.utime(attempt.process_file, (0, 0))
    monkeypatch.setattr(attending, "SIGN", 0.0)
    child = subprocess.Popen(["sleep", "0.1"])
    assert attending._wait(child, attempt, []) == 0
    assert attempt.process_file.stat().st_mtime > 1


def test_a_death_by_signal_and_a_program_that_is_not_there(attended, tmp_path):
    attempt, process = attended("kill -9 $$")
    process.wait()
    assert attempt.exit_code() == -9
    log = tmp_path / "b.log"
    assert attending.attend(Attempt(tmp_path / "b.1"), log, tmp_path, ["/no/such"]) == 1
    assert "No such file" in said_last(log)


@pytest.mark.parametrize(
    ("text", "code", "mistake", "last"),
    [
        ("hb: a.toml: no such file.\n", 1, True, "hb: a.toml: no such file."),
        ("hb: 2 mistakes in the recipe:\n  one\n  two\n", 1, True, "two"),
        ("Error: no such option\n", 2, True, "Error: no such option"),
        ("Traceback (most recent call last):\nhb: x\n", 1, False, "hb: x"),
        ("hb: x\n=== attempt 2\nCUDA out of memory\n\n", 1, False, "CUDA out of memory"),
        ("", 1, False, ""),
        ("hb: warning\n", -9, False, "hb: warning"),
    ],
)
def test_what_a_log_says(tmp_path, text, code, mistake, last):
    log = tmp_path / "a.log"
    log.write_text("=== attempt 1\n" + text)
    assert (is_mistake(log, code), said_last(log)) == (mistake, last)


def test_the_end_of_a_long_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("=== attempt 1\n" + "step\n" * 100_000 + "last\n")
    assert said_last(log) == "last"
    assert said_last(tmp_path / "none.log") == ""
