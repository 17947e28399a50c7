"""Plugins that end the process: caught where Python does it, told of where the machine does."""

from __future__ import annotations

import contextlib
import faulthandler
import os
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def exits_raised() -> Iterator[None]:
    """In this block `os._exit` raises SystemExit, in this process and none of its children.

    Otherwise nobody would learn what ended a check, and with `os._exit(0)` not even that one did.
    A crash in compiled code still ends the process; Python's lines then go to stderr.
    """
    process, leave = os.getpid(), os._exit

    def exit_or_raise(status: int) -> NoReturn:
        if os.getpid() != process:  # multiprocessing's children end so
            leave(status)
        raise SystemExit(f"os._exit({status})")

    watching = faulthandler.is_enabled()  # pytest's own watch goes on as it is
    with contextlib.suppress(ValueError, OSError, RuntimeError):  # stderr may be no file
        if not watching:
            faulthandler.enable()
    os._exit = exit_or_raise
    try:
        yield
    finally:
        os._exit = leave
        if not watching:
            faulthandler.disable()
