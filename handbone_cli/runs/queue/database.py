"""The state of a queue in SQLite: its jobs, what became of each, and which scheduler has them.

The journal is SQLite's own rollback journal and not WAL: WAL needs memory that all its users share,
which a network file system does not give (https://www.sqlite.org/wal.html), and output folders
often lie on one. A queue writes a few rows a second at most.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, differences
from handbone_cli.files import make_folder
from handbone_cli.processes import is_alive
from handbone_cli.runs.queue.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MARK = 0x68625155
"""`hbQU`, SQLite's application_id: this file is one of ours."""
VERSION = 1
PATIENCE = 30.0
"""Seconds that a writer waits for another one."""
SILENCE = 180.0
"""Seconds without a sign after which a scheduler on another host is taken for dead."""
OUT_OF_FILE = -1
"""Position of a job that is over and that the file does not name any more."""
STATES = ("waiting", "running", "stopped", "finished", "failed", "blocked", "cancelled")
TABLES = """
CREATE TABLE job (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  job TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  executor TEXT NOT NULL,
  handle TEXT NOT NULL,
  slots TEXT NOT NULL,
  began REAL,
  ended REAL,
  said TEXT NOT NULL,
  cancel INTEGER NOT NULL
);
CREATE TABLE scheduler (process TEXT NOT NULL, seen REAL NOT NULL);
CREATE TABLE queue (name TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Entry:
    """A job and what became of it.

    Attributes:
        job: the command.
        state: one of STATES.
        attempt: how often it was begun.
        failures: attempts since the scheduler began that count against its retries.
        executor: who has it, or had it last.
        handle: what that executor calls it; '' before it has said so.
        slots: GPUs that it has.
        began: when the last attempt began, seconds since 1970; None: never.
        ended: when it ended, or None.
        said: why it failed or was stopped, or what it waits for.
        cancel: somebody asked for its end.
    """

    job: Job
    state: str = "waiting"
    attempt: int = 0
    failures: int = 0
    executor: str = ""
    handle: str = ""
    slots: tuple[str, ...] = ()
    began: float | None = None
    ended: float | None = None
    said: str = ""
    cancel: bool = False


class Database:
    """One queue's file; every method is a transaction of its own."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, name: str) -> Iterator[Database]:
        """Open the state of the queue of a name, or begin it; closed when the block ends.

        Raises:
            HandboneError: the file is something else, damaged, of another queue or version.
        """
        make_folder(path.parent)
        with _explained(path), contextlib.closing(_connect(path)) as connection:
            database = cls(path, connection)
            with database._transaction():
                database._begin(name)
            yield database

    def _begin(self, name: str) -> None:
        """Make the tables, or see that they are this queue's."""
        ask = self._connection.execute
        mark, version = (
            ask(f"PRAGMA {key}").fetchone()[0] for key in ("application_id", "user_version")
        )
        if not ask("SELECT 1 FROM sqlite_master").fetchone():
            for statement in TABLES.split(";"):
                ask(statement)
            ask(f"PRAGMA application_id = {MARK}")
            ask(f"PRAGMA user_version = {VERSION}")
            ask("INSERT INTO queue VALUES (?)", (name,))
        elif mark != MARK:
            raise HandboneError(
                f"{self.path}: a database of something else; choose another output folder."
            )
        elif version != VERSION:
            raise HandboneError(
                f"{self.path}: of version {version}, and this handbone reads {VERSION}; use the "
                "handbone that wrote it, or choose another output folder."
            )
        else:
            other = ask("SELECT name FROM queue").fetchone()[0]
            if other != name:
                raise HandboneError(
                    f"{self.path}: the state of the queue {other!r}, not of {name!r}; choose "
                    "another output folder."
                )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def entries(self) -> list[Entry]:
        """All jobs of the file, in its order."""
        rows = self._connection.execute(
            "SELECT * FROM job WHERE position >= 0 ORDER BY position"
        ).fetchall()
        return [_entry(row) for row in rows]

    def change(self, name: str, only_in: str | None = None, **values: Any) -> bool:
        """Change some of a job's row; False if it was not in the state `only_in` any more."""
        stored = {key: _stored(value) for key, value in values.items()}
        names = ", ".join(f"{key} = :{key}" for key in stored)  # our own keywords
        guard = "" if only_in is None else " AND state = :only_in"
        with self._transaction():
            done = self._connection.execute(
                f"UPDATE job SET {names} WHERE name = :job_name{guard}",  # noqa: S608
                {**stored, "job_name": name, "only_in": only_in},
            )
        return done.rowcount == 1

    def take_in(self, jobs: Sequence[Job]) -> None:
        """Bring the rows to what the file says now; what is over stays over.

        Raises:
            HandboneError: a job that runs or has run has another command, or a job that runs is
                not in the file any more; nothing is changed then.
        """
        with self._transaction():
            rows = self._connection.execute("SELECT * FROM job").fetchall()
            old = {row["name"]: _entry(row) for row in rows}
            self._refuse_changes(old, jobs)
            self._connection.execute(f"UPDATE job SET position = {OUT_OF_FILE}")  # noqa: S608
            for position, job in enumerate(jobs):
                before = old.get(job.name)
                if before is None or before.job.command != job.command:
                    self._put(Entry(job, attempt=before.attempt if before else 0), position)
                else:
                    self._connection.execute(
                        "UPDATE job SET position = ?, job = ? WHERE name = ?",
                        (position, job.to_text(), job.name),
                    )
            self._connection.execute("DELETE FROM job WHERE position < 0 AND state != 'finished'")

    def _refuse_changes(self, old: dict[str, Entry], jobs: Sequence[Job]) -> None:
        problems, named = [], {job.name for job in jobs}
        for job in jobs:
            before = old.get(job.name)
            if before and before.state in ("running", "stopped", "finished"):
                changed = differences(before.job.command, job.command)
                if changed:
                    how = "; ".join(changed.values())
                    problems.append(
                        f"job {job.name!r} has begun with another command or recipe: {how}. Give "
                        "it another name, or change it back."
                    )
        problems += [
            f"job {name!r} runs and is not in the file any more; cancel it first."
            for name, entry in old.items()
            if entry.state == "running" and name not in named
        ]
        if problems:
            raise HandboneError(f"{self.path}: " + "\n  ".join(problems))

    def _put(self, entry: Entry, position: int) -> None:
        values = {**vars(entry), "job": entry.job.to_text(), "position": position}
        stored = {"name": entry.job.name} | {key: _stored(value) for key, value in values.items()}
        places = ", ".join(f":{key}" for key in stored)
        self._connection.execute(
            f"INSERT OR REPLACE INTO job ({', '.join(stored)}) VALUES ({places})",  # noqa: S608
            stored,
        )

    def begin_again(self, *, cancelled: bool = False) -> None:
        """Let a new scheduler try what was stopped, failed or blocked, or was cancelled too."""
        again = ("stopped", "failed", "blocked", *(["cancelled"] if cancelled else []))
        with self._transaction():
            self._connection.executemany(
                "UPDATE job SET state = 'waiting', said = '', cancel = 0 WHERE state = ?",
                [(state,) for state in again],
            )
            self._connection.execute("UPDATE job SET failures = 0")

    def cancel(self, names: Sequence[str]) -> list[Entry]:
        """Ask for the end of jobs; those that do not run are cancelled at once.

        Gives those that were asked, as they were before.
        """
        asked = []
        with self._transaction():
            for entry in self.entries():
                if entry.job.name in names and entry.state not in ("finished", "cancelled"):
                    state = "running" if entry.state == "running" else "cancelled"
                    self._connection.execute(
                        "UPDATE job SET cancel = 1, state = ?, said = '' WHERE name = ?",
                        (state, entry.job.name),
                    )
                    asked.append(entry)
        return asked

    def scheduler(self, now: Callable[[], float] = time.time) -> dict[str, Any] | None:
        """The process that has the queue; None if there is none or it is dead."""
        row = self._connection.execute("SELECT process, seen FROM scheduler").fetchone()
        if row is None:
            return None
        process: dict[str, Any] = json.loads(row["process"])
        alive = is_alive(process)
        if alive is None:  # on another host; all that is known of it is when it last said something
            alive = now() - row["seen"] < SILENCE
        return process if alive else None

    @contextlib.contextmanager
    def owned(self, process: dict[str, Any]) -> Iterator[None]:
        """Have the queue for a scheduler until the block ends; refused if another one has it."""
        self._claim(process)
        try:
            yield
        finally:
            self._release(process)

    def _claim(self, process: dict[str, Any]) -> None:
        with self._transaction():
            other = self.scheduler()
            if other is not None:
                raise HandboneError(
                    f"{self.path.parent}: has a scheduler already, process {other['pid']} on "
                    f"{other['host']}; look at it with `hb schedule status`, or end it there."
                )
            self._connection.execute("DELETE FROM scheduler")
            self._connection.execute(
                "INSERT INTO scheduler VALUES (?, ?)", (json.dumps(process), time.time())
            )

    def give_sign(self, process: dict[str, Any]) -> None:
        """Say that the scheduler lives; one sentence if another one has taken the queue since."""
        with self._transaction():
            done = self._connection.execute(
                "UPDATE scheduler SET seen = ? WHERE process = ?",
                (time.time(), json.dumps(process)),
            )
        if done.rowcount == 0:
            raise HandboneError(f"{self.path.parent}: another scheduler has taken the queue.")

    def _release(self, process: dict[str, Any]) -> None:
        with self._transaction():
            self._connection.execute(
                "DELETE FROM scheduler WHERE process = ?", (json.dumps(process),)
            )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's complaints in one sentence."""
    try:
        yield
    except sqlite3.Error as error:
        reasons = {
            "file is not a database": "it is no database; choose another output folder",
            "database or disk is full": "the disk is full; free some space, then run it again",
            "database is locked": "another process has held it for long; run it again",
            "attempt to write a readonly database": "it is read-only; choose another output folder",
            "unable to open database file": "it cannot be opened; choose another output folder",
            "database disk image is malformed": (
                "it is damaged; delete it, and what is finished will be found finished"
            ),
        }
        reason = reasons.get(str(error), str(error))
        raise HandboneError(f"{path}: the queue's state: {reason}.") from error


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, tuple)) else value


def _entry(row: sqlite3.Row) -> Entry:
    values = {key: row[key] for key in row.keys() if key not in ("name", "position")}  # noqa: SIM118
    values["job"] = Job.from_text(values["job"])
    values["slots"] = tuple(json.loads(values["slots"]))
    values["cancel"] = bool(values["cancel"])
    return Entry(**values)
