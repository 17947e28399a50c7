"""A queue wired up: its GPUs, its commands checked as `hb` reads them, its scheduler and table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from handbone_cli.host.registry import Registry
    from handbone_cli.runs.queue.database import Database, Entry
    from handbone_cli.runs.queue.job import Places
    from handbone_cli.runs.queue.overview import JobState
    from handbone_cli.runs.queue.plan import Plan, Planned
    from handbone_cli.runs.queue.scheduler import Scheduler
    from handbone_cli.runs.queue.schema import Queue

SCHEDULED = "runs"
"""Said of a queue that has a scheduler."""


def check_commands(queue: Path, plan: Plan, registry: Registry) -> None:
    """Read every command line as `hb` would, and check TTA views; all mistakes at once."""
    from handbone_cli.runs.queue.schema import refuse

    refuse([
        f"{queue}: job {planned.job.name!r}: {said}"
        for planned in plan.planned
        if (said := mistake_in(planned, registry))
    ])  # fmt: skip


def mistake_in(planned: Planned, registry: Registry) -> str:
    """What is wrong with a job's command line; '' for nothing."""
    from handbone_cli.commands.wiring.prediction_options import with_options
    from handbone_cli.errors import HandboneError

    try:
        parameters = parse(planned.job.words)
        if planned.job.verb == "predict" and planned.recipe is not None:
            with_options(planned.recipe, registry, {}, parameters["tta"])
    except click.ClickException as error:
        return error.format_message()
    except click.exceptions.Exit:
        return "asks for help or the version only."
    except HandboneError as error:
        return str(error)
    return ""


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The options of a command line, read by the command that it names; nothing is run."""
    root = click.get_current_context().find_root()
    command, context, left = root.command, root, list(words)
    while isinstance(command, click.Group):
        if not left:
            raise click.UsageError("a command is missing.")
        name, below, left = command.resolve_command(context, left)
        assert below is not None  # resolve_command has complained
        command = below
        context = click.Context(command, info_name=name, parent=context)
    return command.make_context(context.info_name, left, parent=context.parent).params


def make_scheduler(
    queue: Queue,
    database: Database,
    places: Places,
    gpus: tuple[str, ...] = (),
    observe: Callable[[Sequence[Entry]], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Scheduler:
    """The scheduler of a queue; its executor is tried when it is first needed."""
    from handbone_cli.runs.queue.executors import open_executor
    from handbone_cli.runs.queue.scheduler import Scheduler
    from handbone_cli.runs.queue.slots import Slots

    return Scheduler(
        queue.name,
        database,
        places,
        Slots(gpus, queue.slots),
        queue.executor,
        lambda name: open_executor(name, queue.sbatch),
        observe,
        note,
    )


def gpus_of(queue: Queue) -> tuple[str, ...]:
    """The GPUs that a queue may use; on a cluster, how many, by numbers."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.queue.executors.local import visible_gpus

    if queue.executor != "local":
        return tuple(str(number) for number in range(queue.gpus or 0))
    if queue.gpus == 0:
        return ()
    here = visible_gpus()
    if queue.gpus is not None and queue.gpus > len(here):
        raise HandboneError(
            f"{queue.name}: gpus = {queue.gpus}, and {len(here)} can be seen here; lower it, or "
            "look at CUDA_VISIBLE_DEVICES."
        )
    return here if queue.gpus is None else here[: queue.gpus]


def work(plan: Plan, database: Database, gpus: tuple[str, ...], *, cancelled: bool) -> list[Entry]:
    """Bring the state up to the file, and run the scheduler with its table on stderr."""
    from handbone_cli.processes import describe_process
    from handbone_cli.runs.queue.executors import open_executor
    from handbone_cli.runs.queue.overview import describe, summary
    from handbone_cli.terminal.queue_table import QueueTable

    queue, process = plan.queue, describe_process()
    open_executor(queue.executor, queue.sbatch)  # before anything is written down
    with database.owned(process), QueueTable.on(sys.stderr) as table:
        database.take_in(plan.jobs)
        database.begin_again(cancelled=cancelled)

        def show(entries: Sequence[Entry], *, last: bool = False) -> None:
            if last or table.is_due:
                states = describe(entries, plan.places)
                table.show([each.cells for each in states], f"{queue.name}: {summary(states)}")

        try:
            return make_scheduler(queue, database, plan.places, gpus, show, table.say).run(process)
        finally:
            show(database.entries(), last=True)


def report(entries: Sequence[Entry], places: Places) -> None:
    """What came of all jobs; a HandboneError that names those that are not finished."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.queue.overview import describe, summary

    states = describe(entries, places)
    click.echo(f"{places.root}: {summary(states)}")
    bad = [each for each in states if each.state not in ("finished", "cancelled")]
    if bad:
        lines = [f"  {each.job} {each.state}: {each.why or '-'} ({each.log})" for each in bad]
        raise HandboneError("not all jobs are finished:\n" + "\n".join(lines))


def look(queue: Path) -> tuple[list[JobState], str]:
    """The jobs as they are, or as they would begin, and whether a scheduler runs."""
    from handbone_cli.host.registry import installed
    from handbone_cli.runs.queue.database import Database, Entry
    from handbone_cli.runs.queue.overview import describe
    from handbone_cli.runs.queue.plan import make_plan, places_of
    from handbone_cli.runs.queue.schema import read_queue

    asked = read_queue(queue)[0]
    places = places_of(queue, asked)
    if not places.database.exists():
        plan = make_plan(queue, installed(), len(gpus_of(asked)))
        return describe([Entry(job) for job in plan.jobs], places), "not begun"
    with Database.open(places.database, asked.name) as database:
        word = SCHEDULED if database.scheduler() else "no scheduler"
        return describe(database.entries(), places), word


def chosen(
    queue: Path, jobs: Sequence[str], tables: Sequence[str], known: Sequence[str]
) -> list[str]:
    """The jobs of the names, whole tables or parts; one sentence for a name that nobody has."""
    from handbone_cli.errors import HandboneError, closest
    from handbone_cli.runs.queue.order import table_of

    names = list(known) if not jobs else []
    for job in jobs:
        parts = [name for name in known if name == job or table_of(name, tables) == job]
        if not parts:
            raise HandboneError(f"{queue}: no job {job!r}. {closest(job, {*known, *tables})}")
        names += parts
    return names


def stop(queue: Queue, database: Database, places: Places, patience: float) -> None:
    """Stop running jobs that were cancelled, where no scheduler is there to do so."""
    from handbone_cli.processes import describe_process

    with database.owned(describe_process()):
        make_scheduler(queue, database, places).stop_cancelled(patience)
