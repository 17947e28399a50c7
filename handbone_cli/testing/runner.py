"""One `hb` command line in this process or in one of its own: exit code, stdout and stderr."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: exit code: 0 done, 1 the user's mistake, 2 usage, 130 interrupted.
        out: stdout.
        err: stderr.
    """

    code: int
    out: str
    err: str


def hb(*arguments: object, cwd: Path | None = None, process: bool = False) -> Outcome:
    """Run `hb` with these words and give what came of it; a bug's traceback is raised, not caught.

    Args:
        arguments: words of the command line; paths and numbers are turned into text.
        cwd: where to run it; here by default.
        process: in a Python of its own, as a user would, which costs a second or three.
    """
    words = [str(argument) for argument in arguments]
    if process:
        command = [sys.executable, "-m", "handbone_cli", *words]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603  our own argv
        return Outcome(done.returncode, done.stdout, done.stderr)
    # By name: this package lies below the commands, which may use its checks.
    cli = importlib.import_module("handbone_cli.cli")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _inside(cwd):
        code = cli.run(words)
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _inside(folder: Path | None) -> Iterator[None]:
    before = os.getcwd()  # noqa: PTH109  chdir wants it as it is
    os.chdir(folder or before)
    try:
        yield
    finally:
        os.chdir(before)
