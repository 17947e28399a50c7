from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.processes import describe_process
from handbone_cli.runs.queue.attempt import Attempt
from handbone_cli.runs.queue.job import Job


def states(entries):
    return {name: entry.state for name, entry in entries.items()}


def begun(fake):
    return [each.name.removeprefix("hb-q-").rpartition(".")[0] for each in fake.begun]


def test_a_job_comes_after_those_it_names(go, job, fake):
    ended = go(job("c", after=("a", "b")), job("b", after=("a",)), job("a"))
    assert states(ended) == dict.fromkeys("cba", "finished")
    assert begun(fake) == ["a", "b", "c"]
    assert fake.released == [each.name for each in fake.begun]


def test_higher_priorities_go_first_and_ties_as_in_the_file(go, job, fake):
    go(job("a"), job("b", priority=5), job("c"), job("d", priority=5), job("e", priority=-1))
    assert begun(fake) == ["b", "d", "a", "c", "e"]


def test_finished_jobs_are_not_repeated(go, job, fake):
    go(job("a"), job("b"))
    go(job("a"), job("b"), job("c"))
    assert begun(fake) == ["a", "b", "c"]


def test_a_failure_is_tried_again_as_often_as_the_job_says(go, job, fake, places):
    (places.folder / "count").write_text("")
    code = f"cd {places.folder}; printf x >> count; [ $(wc -c < count) = 3 ]"
    ended = go(job("a", code, retries=2))
    assert (ended["a"].state, ended["a"].attempt, ended["a"].failures) == ("finished", 3, 2)
    ended = go(job("b", "echo first; echo worse >&2; exit 3", retries=1))
    assert (ended["b"].state, ended["b"].attempt) == ("failed", 2)
    assert ended["b"].said == "exit code 3: worse"


@pytest.mark.parametrize(
    ("code", "attempts"),
    [
        ("echo 'hb: a.toml: no such file.'; exit 1", 1),
        ("echo 'Error: No such option'; exit 2", 1),
        ("echo Traceback; echo 'hb: x'; exit 1", 3),
        ("exit 1", 3),
        ("kill -9 $$", 3),
    ],
)
def test_what_hb_refuses_in_words_is_not_tried_again(go, job, code, attempts):
    ended = go(job("a", code, retries=2))
    assert (ended["a"].state, ended["a"].attempt) == ("failed", attempts)


def test_a_retry_waits_longer_with_every_failure(make, job, database):
    entry = database.entries
    scheduler = make(job("a", "exit 3", retries=5), rest=1000.0)
    scheduler._step()
    scheduler._step()
    assert (entry()[0].state, entry()[0].attempt) == ("waiting", 1)
    database.change("a", ended=time.time() - 1001)
    scheduler._step()
    scheduler._step()
    assert entry()[0].attempt == 2
    database.change("a", ended=time.time() - 1001)
    scheduler._step()
    assert entry()[0].attempt == 2


def test_what_hangs_on_a_failure_is_blocked_and_the_rest_goes_on(go, job, fake):
    ended = go(
        job("a", "exit 2"), job("b", after=("a",)), job("c", after=("b", "d")), job("d"), slots=2
    )
    assert states(ended) == {"a": "failed", "b": "blocked", "c": "blocked", "d": "finished"}
    assert (ended["b"].said, ended["c"].said) == ("a failed", "b blocked")
    assert begun(fake) == ["a", "d"]


def test_the_next_scheduler_tries_what_failed_and_what_it_blocked(go, job, database, places):
    (places.folder / "ok").write_text("1")
    code = f"exit $(cat {places.folder}/ok)"
    go(job("a", code, retries=1), job("b", after=("a",)))
    (places.folder / "ok").write_text("0")
    database.begin_again()
    ended = go()
    assert states(ended) == {"a": "finished", "b": "finished"}
    assert (ended["a"].attempt, ended["a"].failures) == (3, 0)


def test_no_more_run_at_once_than_there_are_slots(make, job, fake, database):
    scheduler = make(*(job(f"j{n}", "hang") for n in range(5)), slots=2)
    scheduler._step()
    scheduler._step()
    assert begun(fake) == ["j0", "j1"]
    fake.hung.clear()
    Attempt(scheduler.places.attempt("j0", 1)).exit_file.write_text("0")
    Attempt(scheduler.places.attempt("j1", 1)).exit_file.write_text("0")
    scheduler._step()
    assert begun(fake) == ["j0", "j1", "j2", "j3"]
    assert sum(entry.state == "running" for entry in database.entries()) == 2


def test_gpus_are_given_once_and_given_back(make, job, fake):
    jobs = [job("one", "hang", gpus=1), job("two", "hang", gpus=2), job("small", "hang", gpus=1),
            job("none", "hang")]  # fmt: skip
    scheduler = make(*jobs, gpus=("4", "7"))
    scheduler._step()
    scheduler._step()
    # `two` goes before `small`, which must not take the GPU that `two` waits for.
    assert [(n, each.slots) for n, each in zip(begun(fake), fake.begun, strict=True)] == [
        ("one", ("4",)), ("none", ()),
    ]  # fmt: skip
    Attempt(scheduler.places.attempt("one", 1)).exit_file.write_text("0")
    scheduler._step()
    assert begun(fake)[2:] == ["two"]
    assert fake.begun[2].slots == ("4", "7")


def test_an_executor_that_cannot_start_a_job_says_why(go, job, fake):
    def refuse(launch):
        raise HandboneError("sbatch failed: no such partition.")

    fake.start = refuse
    ended = go(job("a", retries=1))
    assert (ended["a"].state, ended["a"].attempt) == ("failed", 2)
    assert ended["a"].said == "sbatch failed: no such partition."


def test_a_full_disk_at_the_start_of_a_job(go, job, local, places):
    places.job_log("a").parent.mkdir(parents=True)
    places.job_log("a").symlink_to("/dev/full/x")
    ended = go(job("a", retries=0), job("b"), executor=local)
    assert states(ended) == {"a": "failed", "b": "finished"}
    assert "a.log: cannot start the job: a part of that path is a file" in ended["a"].said


def test_an_executor_that_does_not_answer_is_asked_again(make, job, fake, database):
    notes = []
    scheduler = make(job("a", "hang"), note=notes.append)
    scheduler._step()
    answer = fake.poll

    def silent(handle):
        raise HandboneError("squeue failed.")

    fake.poll = silent
    scheduler._step()
    scheduler._step()
    assert notes == ["squeue failed."]
    fake.poll = answer
    fake.hung.clear()
    scheduler._step()
    assert database.entries()[0].failures == 1


def test_an_exit_code_may_come_late_over_a_network(make, job, fake, database):
    fake.grace = 1000.0
    scheduler = make(job("a", "hang"))
    scheduler._step()
    fake.hung.clear()
    assert scheduler._step()
    assert database.entries()[0].state == "running"
    Attempt(scheduler.places.attempt("a", 1)).exit_file.write_text("0")
    assert not scheduler._step()
    assert database.entries()[0].state == "finished"


def test_a_time_limit_is_no_failure(make, job, fake, database):
    fake.has_time_limit = True
    scheduler = make(job("a", "exit 130"))
    scheduler._step()
    database.change("a", began=time.time() - 61)
    assert scheduler._step()
    entry = database.entries()[0]
    assert (entry.state, entry.attempt, entry.failures) == ("running", 2, 0)
    scheduler._step()  # at once: not by a limit, which would go on like this for ever
    assert database.entries()[0].state == "stopped"


def test_what_somebody_stopped_by_hand_waits_for_the_next_scheduler(go, job):
    ended = go(job("a", "exit 130"), job("b", after=("a",)), job("c"))
    assert states(ended) == {"a": "stopped", "b": "waiting", "c": "finished"}


def test_a_cancelled_job_stops_and_blocks_what_comes_after(make, job, fake, database, places):
    scheduler = make(job("a", "hang"), job("b", after=("a",)), job("c"))
    scheduler._step()
    database.cancel(["a", "c"])
    scheduler._step()
    stop = Attempt(places.attempt("a", 1)).stop_file
    assert stop.exists()
    Attempt(places.attempt("a", 1)).exit_file.write_text("130")
    assert not scheduler._step()
    found = {entry.job.name: entry.state for entry in database.entries()}
    assert found == {"a": "cancelled", "b": "blocked", "c": "cancelled"}
    database.begin_again()
    assert [entry.state for entry in database.entries()] == ["cancelled", "waiting", "cancelled"]
    database.begin_again(cancelled=True)
    assert [entry.state for entry in database.entries()] == ["waiting"] * 3


def test_cancelled_without_a_scheduler(make, job, fake, database, places):
    make(job("a", "hang"), job("b"))._step()
    database.cancel(["a"])
    later = make()
    Attempt(places.attempt("a", 1)).exit_file.write_text("130")
    later.stop_cancelled(5.0)
    assert [entry.state for entry in database.entries()] == ["cancelled", "waiting"]
    assert begun(fake) == ["a"]


def test_a_scheduler_that_died_leaves_jobs_that_run_and_jobs_that_ended(
    make, job, fake, database, places
):
    notes = []
    jobs = [job("runs", "hang"), job("ended", "hang"), job("died", "hang"), job("unknown", "hang")]
    make(*jobs, slots=4)._step()
    Attempt(places.attempt("ended", 1)).exit_file.write_text("0")
    fake.hung -= {"hb-q-died.1"}
    database.change("unknown", handle="")  # it died between start and writing down the handle
    make(slots=4, note=notes.append)._adopt()
    found = {entry.job.name: entry for entry in database.entries()}
    assert found["runs"].state == found["ended"].state == "running"
    assert (found["died"].state, found["died"].failures) == ("waiting", 0)
    assert found["unknown"].handle == "hb-q-unknown.1"
    assert notes == ["runs: runs already, goes on", "unknown: runs already, goes on"]
    assert len(fake.begun) == 4


def test_a_job_of_which_nothing_is_known_was_not_begun(make, job, fake, database):
    make(job("a", "hang"))._step()
    fake.hung.clear()
    database.change("a", handle="")
    make()._adopt()
    assert database.entries()[0].state == "waiting"


def test_a_training_with_a_state_goes_on_from_it(make, places):
    words = ("train", "r.toml", "--set=a=1", "--fold=2", "-o", "out/runs/a")
    scheduler, training = make(), Job("a", "train", words, product="out/runs/a")
    assert scheduler._words(training) == words
    (places.root / "runs" / "a").mkdir(parents=True)
    (places.root / "runs" / "a" / "last.safetensors").touch()
    assert scheduler._words(training) == (*words[:-2], "--resume", "out/runs/a")


# ---- with real processes

TRAP = "trap 'exit 130' INT; touch up; for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & wait $!; done"


def test_ctrl_c_lets_jobs_stop_and_the_next_scheduler_goes_on(
    go, job, local, database, places, wait_until
):
    up = places.folder / "up"

    def press():
        wait_until(up.exists)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(InterruptedRunError, match="q: interrupted; the jobs have saved"):
        go(job("a", TRAP), job("b"), executor=local)
    assert [entry.state for entry in database.entries()] == ["stopped", "waiting"]
    assert database.scheduler() is None
    wait_until(lambda: not Attempt(places.attempt("a", 1)).is_alive())
    database.begin_again()
    assert [entry.state for entry in database.entries()] == ["waiting", "waiting"]


def test_a_scheduler_is_killed_and_the_next_adopts_its_job(
    go, job, local, database, places, wait_until, tmp_path
):
    code = "touch up; while [ ! -e go ]; do sleep 0.05; done; echo x >> ran; exit 7"
    script = tmp_path / "scheduler.py"
    script.write_text(f"""
from pathlib import Path
from handbone_cli.processes import describe_process
from handbone_cli.runs.queue.database import Database
from handbone_cli.runs.queue.executors.local import LocalExecutor
from handbone_cli.runs.queue.job import Job, Places
from handbone_cli.runs.queue.scheduler import Scheduler
from handbone_cli.runs.queue.slots import Slots

places = Places(Path({str(places.folder)!r}), Path("out"))
with Database.open(places.database, "q") as database, database.owned(describe_process()):
    database.take_in([Job("a", "hb", ({code!r},))])
    executor = LocalExecutor()
    Scheduler("q", database, places, Slots((), 1), "local", lambda _: executor,
              program=("sh", "-c")).run(describe_process())
""")
    first = subprocess.Popen([sys.executable, str(script)])
    attempt = Attempt(places.attempt("a", 1))
    try:
        wait_until(lambda: (places.folder / "up").exists() and attempt.process_file.exists())
        with pytest.raises(HandboneError, match="has a scheduler already, process"):
            go(executor=local)
    finally:
        first.kill()
        first.wait()
    assert attempt.is_alive()
    notes = []
    threading.Timer(0.5, (places.folder / "go").touch).start()
    ended = go(executor=local, note=notes.append)
    assert notes == ["a: runs already, goes on"]
    assert (ended["a"].state, ended["a"].attempt) == ("failed", 1)
    assert ended["a"].said.startswith("exit code 7")
    assert (places.folder / "ran").read_text() == "x\n"


def test_a_job_that_is_killed_is_tried_again(go, job, local, places, wait_until):
    attempt = Attempt(places.attempt("a", 1))

    def kill():
        wait_until(attempt.process_file.exists)
        both = json.loads(attempt.process_file.read_text())
        for process in (both["attends"], both["works"]):
            os.kill(process["pid"], signal.SIGKILL)

    threading.Thread(target=kill).start()
    ended = go(job("a", "[ -e up ] || { touch up; sleep 60; }", retries=1), executor=local)
    assert (ended["a"].state, ended["a"].attempt, ended["a"].failures) == ("finished", 2, 1)


def test_gpus_reach_the_job(go, job, local, places):
    go(job("a", "echo $CUDA_VISIBLE_DEVICES > seen", gpus=2), gpus=("4", "7", "9"), executor=local)
    assert (places.folder / "seen").read_text() == "4,7\n"


def test_the_same_scheduler_may_own_a_queue_only_once(database, go, job):
    with database.owned(describe_process()), pytest.raises(HandboneError, match="already"):
        go(job("a"))
    assert states(go(job("a"))) == {"a": "finished"}
