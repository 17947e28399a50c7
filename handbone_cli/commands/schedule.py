"""`hb schedule`: a queue of experiments, run to its end, looked at and cancelled."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handbone_cli.runs.queue.plan import Plan

PATIENCE = 120.0
"""Seconds that `cancel` waits for jobs to save themselves where no scheduler does."""
FOLLOW_EVERY = 1.0


@click.group(short_help="Run a queue of experiments.")
def schedule() -> None:
    """Run a queue of experiments: trainings, and what follows from them.

    A QUEUE.toml says which; docs/schedule.md shows one with everything in it.
    """


@schedule.command()
@click.argument("queue", type=Path)
@click.option("--cancelled", is_flag=True, help="Also do what was cancelled.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the commands, run nothing.")
@click.option("--bg", "background", is_flag=True, help="In the background; outlives the terminal.")
def run(queue: Path, cancelled: bool, dry_run: bool, background: bool) -> None:
    """Run the jobs of QUEUE until all are done; again, it goes on where it was.

    \b
    hb schedule run queue.toml
    hb schedule run queue.toml --bg        then: hb schedule status queue.toml -f
    """
    from handbone_cli.commands.wiring.queue import check_commands, gpus_of, report, work
    from handbone_cli.host.registry import installed
    from handbone_cli.processes import describe_process
    from handbone_cli.runs.queue.database import Database
    from handbone_cli.runs.queue.plan import make_plan
    from handbone_cli.runs.queue.schema import read_queue

    registry = installed()
    gpus = gpus_of(read_queue(queue)[0])
    plan = make_plan(queue, registry, len(gpus))
    check_commands(queue, plan, registry)
    if dry_run:
        for job in plan.jobs:
            click.echo(f"{job.name}: hb {' '.join(job.words)}")
        return
    with Database.open(plan.places.database, plan.queue.name) as database:
        if background:
            with database.owned(describe_process()):  # what can be refused is refused here
                database.take_in(plan.jobs)
            detach(queue, plan, cancelled=cancelled)
            return
        entries = work(plan, database, gpus, cancelled=cancelled)
    report(entries, plan.places)


def detach(queue: Path, plan: Plan, *, cancelled: bool) -> None:
    """Start the same command in the background; say how to look after it."""
    from handbone_cli.runs.process import start_detached

    words = ["schedule", "run", str(queue), *(["--cancelled"] if cancelled else [])]
    pid = start_detached(words, plan.places.log)
    click.echo(
        f"{queue}: runs in the background as process {pid}; follow it with "
        f"`hb schedule status -f {queue}`, end it with `hb schedule cancel {queue}`; it says what "
        f"it does in {plan.places.log}"
    )


@schedule.command()
@click.argument("queue", type=Path)
@click.option("-f", "--follow", is_flag=True, help="Go on until nothing runs, or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(queue: Path, follow: bool, as_json: bool) -> None:
    """Every job of QUEUE: state, attempt, GPUs, epoch and mean Dice, and why it waits."""
    from handbone_cli.commands.wiring.queue import SCHEDULED, look
    from handbone_cli.runs.queue.overview import summary
    from handbone_cli.terminal.queue_table import HEADINGS, QueueTable
    from handbone_cli.terminal.tables import show_table

    if as_json:
        click.echo(json.dumps([vars(each) for each in look(queue)[0]]))
        return
    if not follow:
        states, word = look(queue)
        show_table(HEADINGS, [each.cells for each in states])
        click.echo(f"{queue}: {word}: {summary(states)}")
        return
    with QueueTable.on(sys.stdout) as table:
        while True:
            states, word = look(queue)
            table.show([each.cells for each in states], f"{queue}: {word}: {summary(states)}")
            if word != SCHEDULED and not any(each.state == "running" for each in states):
                return
            time.sleep(FOLLOW_EVERY)


@schedule.command()
@click.argument("queue", type=Path)
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
def cancel(queue: Path, jobs: tuple[str, ...]) -> None:
    """Cancel JOBs of QUEUE, all by default: waiting ones at once, running ones save themselves.

    A JOB is a name that `hb schedule status` shows, or that of a table with all its parts.
    """
    from handbone_cli.commands.wiring.queue import chosen, stop
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.queue.database import Database
    from handbone_cli.runs.queue.plan import places_of
    from handbone_cli.runs.queue.schema import read_queue

    asked, sections = read_queue(queue)
    places = places_of(queue, asked)
    if not places.database.exists():
        raise HandboneError(f"{queue}: nothing of it has begun; take jobs out of the file instead.")
    tables = [section.name for section in sections]
    with Database.open(places.database, asked.name) as database:
        names = chosen(queue, jobs, tables, [each.job.name for each in database.entries()])
        cancelled = [entry.job.name for entry in database.cancel(names)]
        if database.scheduler() is None:
            stop(asked, database, places, PATIENCE)
        after = {entry.job.name: entry.state for entry in database.entries()}
    for name in cancelled:
        running = after[name] == "running"
        click.echo(f"{name}: {'is asked to stop' if running else after[name]}")
    if not cancelled:
        click.echo(f"{queue}: nothing to cancel")
