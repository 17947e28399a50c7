from __future__ import annotations

import importlib
import sys
import time

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.runs.queue.attempt import Attempt
from handbone_cli.runs.queue.executors import Launch, open_executor
from handbone_cli.testing import hb

ATTENDANT = (sys.executable, "-m", "handbone_cli.runs.queue.attempt")


@pytest.fixture
def cluster(monkeypatch):
    """A real one on this machine, with two CPUs and one GPU that is only counted."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield ray
    ray.shutdown()
    made.shutdown()


def launch(folder, name, code, gpus=0):
    attempt, log = Attempt(folder / "attempts" / f"{name}.1"), folder / f"{name}.log"
    attempt.clear()
    argv = (*ATTENDANT, str(attempt.stem), str(log), str(folder), "--", "sh", "-c", code)
    return Launch(f"hb-q-{name}.1", argv, log, folder, gpus, (), attempt)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


@pytest.mark.slow  # 40 s: a Ray cluster starts and ends, two commands of hb
@pytest.mark.filterwarnings("ignore")
def test_jobs_on_a_cluster(cluster, tmp_path):
    executor = open_executor("ray")
    first = launch(
        tmp_path, "first", "echo x >> up; while [ ! -e go ]; do sleep 0.1; done; exit 6", 1
    )
    second = launch(tmp_path, "second", "echo $CUDA_VISIBLE_DEVICES > gpu", 1)
    handles = [executor.start(each) for each in (first, second)]
    until((tmp_path / "up").exists)
    assert [executor.poll(handle) for handle in handles] == ["running", "pending"]
    cluster.shutdown()  # the scheduler dies, and the next one finds both
    executor = open_executor("ray")
    assert [executor.find(each) for each in (first, second)] == handles
    assert [executor.poll(handle) for handle in handles] == ["running", "pending"]
    (tmp_path / "go").touch()
    until(lambda: first.attempt.exit_code() == 6)
    until(lambda: executor.poll(handles[0]) == "over")
    executor.release(handles[0])  # gives the GPU to the second
    until(lambda: second.attempt.exit_code() == 0)
    assert (tmp_path / "up").read_text() == "x\n"
    assert (tmp_path / "gpu").read_text() == "0\n"
    until(lambda: executor.poll(handles[1]) == "over")
    executor.release(handles[1])
    third = launch(tmp_path, "third", "exit 0", gpus=2)  # more than there are: pending for ever
    handle = executor.start(third)
    assert executor.poll(handle) == "pending"
    executor.release(handle)
    until(lambda: executor.find(third) is None)
    whole_queue(tmp_path)


def whole_queue(folder):
    text = """name = "q"
executor = "ray"
gpus = 1
slots = 2
[[job]]
name = "first"
hb = ["recipes", "list"]
gpus = 1
[[job]]
name = "second"
hb = ["evaluate", "nothing"]
after = ["first"]
"""
    (folder / "q.toml").write_text(text)
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert (done.code, done.out) == (1, "q: 1 failed, 1 finished\n"), done.err
    assert "second failed: exit code 1: hb: nothing: no such file" in done.err


def test_no_cluster_answers(monkeypatch):
    ray = pytest.importorskip("ray")

    def refuse(**_):
        raise ConnectionError("none")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(
        HandboneError, match="no cluster answers at auto; start one with `ray start"
    ):
        open_executor("ray")


def test_ray_is_not_installed(monkeypatch):
    real = importlib.import_module

    def missing(name, *args):
        if name == "ray":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(HandboneError, match=r"Ray is not installed; `pip install handbone\[ray\]`"):
        open_executor("ray")
