"""Jobs on this machine: processes in sessions of their own, which outlive the scheduler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from handbone_cli.processes import describe_process, is_alive, since
from handbone_cli.runs.queue.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handbone_cli.runs.queue.executors import Launch, Stage

PATIENCE = 20.0
"""Seconds for nvidia-smi."""


class LocalExecutor:
    """Starts processes; the handle says who they are, so that the next scheduler adopts them."""

    grace = 0.0
    has_time_limit = False

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, launch: Launch) -> str:
        """Start it with its GPUs visible and no others."""
        with launch.log.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  our own argv
                launch.argv,
                cwd=launch.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(launch.slots)},
            )
        process = {**describe_process(), "pid": child.pid, "since": since(child.pid)}
        handle = _handle(process, launch.attempt)
        self._children[handle] = child
        return handle

    def find(self, launch: Launch) -> str | None:
        """By what the attendant wrote of itself."""
        process = launch.attempt.processes().get("attends")
        return _handle(process, launch.attempt) if process else None

    def poll(self, handle: str) -> Stage:
        """The attendant or the job alone, if somebody has killed its attendant."""
        if handle in self._children:
            self._children[handle].poll()  # a child that nobody waits for stays in the table
        facts = json.loads(handle)
        there = is_alive(facts["process"]) or Attempt(facts["stem"]).is_alive()
        return "running" if there else "over"

    def release(self, handle: str) -> None:
        """Forget it; nothing is pending here."""
        self._children.pop(handle, None)


def _handle(process: dict[str, Any], attempt: Attempt) -> str:
    return json.dumps({"process": process, "stem": str(attempt.stem)})


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    said = environment.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        names = [name.strip() for name in said.split(",")]
        end = next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))
        return tuple(names[:end])  # CUDA stops at the first that is none
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run(  # noqa: S603
            [program, "-L"], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return ()
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(number) for number in range(len(lines)))
