from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.runs.queue.attempt import Attempt
from handbone_cli.runs.queue.executors import Launch, open_executor
from handbone_cli.runs.queue.executors.slurm import SlurmExecutor

SBATCH = """#!/bin/sh
F={fake}
[ -e $F/down ] && echo 'Unable to contact slurm controller' >&2 && exit 1
: > $F/options
while [ $# -gt 0 ]; do
  case $1 in
    --wrap) wrap=$2; shift;;
    --chdir=*) dir=${{1#*=}};;
    --output=*) log=${{1#*=}};;
    --job-name=*) name=${{1#*=}};;
  esac
  echo "$1" >> $F/options; shift
done
id=$(( $(ls $F/jobs | wc -l) + 41 ))
echo "$name" > $F/jobs/$id
if [ ! -e $F/hold ]; then
  cd "$dir"; setsid sh -c "$wrap" >> "$log" 2>&1 & echo $! > $F/pids/$id
fi
echo "$id;cluster"
"""
SQUEUE = """#!/bin/sh
F={fake}
[ -e $F/down ] && echo 'Unable to contact slurm controller' >&2 && exit 1
for arg; do case $arg in --name=*) wanted=${{arg#*=}};; esac; done
echo x >> $F/asked
for job in $F/jobs/*; do
  id=${{job##*/}}; state=PENDING
  [ -n "$wanted" ] && [ "$wanted" != "$(cat $job)" ] && continue
  if [ -e $F/pids/$id ]; then
    state=RUNNING; stat=/proc/$(cat $F/pids/$id)/status
    [ -e $stat ] && ! grep -q '^State:.Z' $stat || continue
  fi
  [ -n "$wanted" ] && echo $id || echo "$id $state"
done
"""
SCANCEL = """#!/bin/sh
F={fake}; echo "$*" >> $F/cancelled
[ -e $F/pids/$2 ] || rm -f $F/jobs/$2
"""
ATTENDANT = (sys.executable, "-m", "handbone_cli.runs.queue.attempt")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs of SLURM's names on PATH, which run what they are given on this machine."""
    fake = tmp_path / "slurm"
    for name in ("bin", "jobs", "pids"):
        (fake / name).mkdir(parents=True)
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
        (fake / "bin" / name).write_text(text.format(fake=fake))
        (fake / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake / 'bin'}:{os.environ['PATH']}")
    return fake


@pytest.fixture
def launch(tmp_path):
    def _launch(code, gpus=0):
        attempt, log = Attempt(tmp_path / "attempts" / "a.1"), tmp_path / "a.log"
        attempt.clear()
        files = (str(attempt.stem), str(log), str(tmp_path))
        argv = (*ATTENDANT, *files, "--", "sh", "-c", code)
        return Launch("hb-q-a.1", argv, log, tmp_path, gpus, (), attempt)

    return _launch


def ended(attempt, seconds=20.0):
    end = time.monotonic() + seconds
    while attempt.exit_code() is None:
        assert time.monotonic() < end, "it has not ended"
        time.sleep(0.02)
    return attempt.exit_code()


def test_a_job_is_submitted_and_its_exit_code_comes_back(slurm, launch):
    executor, wanted = SlurmExecutor(["--partition=gpu"], fresh=0.0), launch("echo it; exit 5", 2)
    assert executor.start(wanted) == "41"
    assert ended(wanted.attempt) == 5
    options = (slurm / "options").read_text().splitlines()
    for option in ("--parsable", "--gres=gpu:2", "--signal=B:INT@90", "--partition=gpu"):
        assert option in options
    assert wanted.log.read_text().endswith("\nit\n")
    assert [line for line in options if line.startswith("exec ")]
    while executor.poll("41") == "running":  # the attendant itself
        time.sleep(0.02)
    assert executor.poll("41") == "over"


def test_a_time_limit_reaches_the_job_once(slurm, launch, tmp_path):
    """SLURM sends SIGINT to the batch shell alone, which `exec` has made the attendant."""
    executor = SlurmExecutor(fresh=0.0)
    code = "trap 'echo saved >> saved; exit 130' INT; touch up; while :; do sleep 0.05; done"
    wanted = launch(code)
    number = executor.start(wanted)
    while not (tmp_path / "up").exists():
        time.sleep(0.02)
    assert executor.poll(number) == "running"
    os.kill(int((slurm / "pids" / number).read_text()), signal.SIGINT)
    assert ended(wanted.attempt) == 130
    assert (tmp_path / "saved").read_text() == "saved\n"


def test_a_pending_job_is_withdrawn_and_a_running_one_is_not(slurm, launch):
    (slurm / "hold").touch()
    executor, wanted = SlurmExecutor(fresh=0.0), launch("exit 0")
    number = executor.start(wanted)
    assert executor.poll(number) == "pending"
    assert executor.find(wanted) == number
    executor.release(number)
    assert executor.poll(number) == "over"
    assert (slurm / "cancelled").read_text() == f"--state=PENDING {number}\n"
    (slurm / "hold").unlink()
    second = executor.start(launch("sleep 0.3"))
    assert executor.poll(second) == "running"
    executor.release(second)
    assert (slurm / "cancelled").read_text() == f"--state=PENDING {number}\n"


def test_squeue_is_not_asked_all_the_time(slurm, launch):
    executor = SlurmExecutor()
    number = executor.start(launch("exit 0"))
    for _ in range(5):
        executor.poll(number)
    assert (slurm / "asked").read_text() == "x\n"


def test_slurm_that_does_not_answer(slurm, launch):
    (slurm / "down").touch()
    said = "sbatch failed with exit code 1: Unable to contact slurm controller."
    with pytest.raises(HandboneError, match=said):
        SlurmExecutor().start(launch("exit 0"))
    with pytest.raises(HandboneError, match="squeue failed with exit code 1"):
        SlurmExecutor().poll("41")


def test_no_slurm_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        HandboneError, match="there is no sbatch here; run `hb schedule` on a login"
    ):
        open_executor("slurm")


@pytest.mark.slow  # 10 s: two commands of hb, each a Python of its own
def test_a_queue_on_slurm(slurm, tmp_path):
    from handbone_cli.testing import hb

    text = """name = "q"
executor = "slurm"
gpus = 0
sbatch = ["--time=10"]
[[job]]
name = "first"
hb = ["recipes", "list"]
[[job]]
name = "second"
hb = ["recipes", "show", "nnunet"]
after = ["first"]
"""
    (tmp_path / "q.toml").write_text(text)
    done = hb("schedule", "run", "q.toml", cwd=tmp_path)
    assert (done.code, done.out) == (0, "q: 2 finished\n"), done.err
    assert len(list((slurm / "jobs").iterdir())) == 2
    assert "--time=10" in (slurm / "options").read_text()
    assert Path(tmp_path / "q" / "logs" / "second.log").read_text().count("=== attempt") == 1
