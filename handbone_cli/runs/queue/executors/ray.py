"""Jobs on a Ray cluster: each is an actor of Python's own class `threading.Timer`.

Ray pickles what it is given: here the names `threading.Timer` and `subprocess.call` and an argv,
which is a list of text, so nothing of ours. The thread of the timer calls the argv and the actor
answers meanwhile. It is detached: it and its GPUs outlive the scheduler, and the next one finds it
by its name; a plain Ray task would die with the scheduler. (Ray's Jobs API does as much, and needs
the dashboard, a web server, on the cluster. `subprocess.Popen` cannot be an actor: Ray looks for
signatures, and its `__class_getitem__` has none.)
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from handbone_cli.runs.queue.executors import Launch, Stage

NAMESPACE = "handbone"
ANSWER = 0.3
"""Seconds within which an actor that has a place answers."""


class RayExecutor:
    """Starts actors; the handle is an actor's name."""

    grace = 10.0
    has_time_limit = False

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._answers: dict[str, Any] = {}
        self._begun: dict[str, Any] = {}

    @classmethod
    def connect(cls) -> RayExecutor:
        """Join the cluster of RAY_ADDRESS, or the one that was started on this machine."""
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise HandboneError(
                'executor = "ray": Ray is not installed; `pip install handbone[ray]`.'
            ) from error
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS", "auto")
            os.environ["RAY_IGNORE_UNHANDLED_ERRORS"] = "1"  # of actors that have begun: `_begin`
            try:
                ray.init(
                    address=address,
                    namespace=NAMESPACE,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise HandboneError(
                    f'executor = "ray": no cluster answers at {address}; start one with `ray start '
                    "--head`, or say where it is in RAY_ADDRESS."
                ) from error
        return cls(ray)

    def start(self, launch: Launch) -> str:
        """Ask for an actor; Ray begins it where a CPU and its GPUs are free."""
        kind = self._ray.remote(threading.Timer).options(
            name=launch.name,
            namespace=NAMESPACE,
            lifetime="detached",
            num_cpus=1,
            num_gpus=launch.gpus,
        )
        where = {"cwd": str(launch.folder.resolve()), "stdin": subprocess.DEVNULL}
        self._begin(launch.name, kind.remote(0.0, subprocess.call, [list(launch.argv)], where))
        return launch.name

    def find(self, launch: Launch) -> str | None:
        """By its name."""
        return launch.name if self._actor(launch.name) is not None else None

    def poll(self, handle: str) -> Stage:
        """An actor that has no place yet does not answer; one that is gone is over."""
        actor = self._actor(handle)
        if actor is None:
            return "over"
        if handle not in self._begun:
            self._begin(handle, actor)
        if handle not in self._answers:
            self._answers[handle] = actor.is_alive.remote()
        asked = self._answers[handle]
        answered, _ = self._ray.wait([asked], timeout=ANSWER)
        if not answered:
            return "pending"
        del self._answers[handle]
        try:
            return "running" if self._ray.get(asked) else "over"
        except self._ray.exceptions.RayError:
            return "over"

    def release(self, handle: str) -> None:
        """Give back an actor's place in the cluster."""
        actor = self._actor(handle)
        if actor is not None and self.poll(handle) != "running":
            self._ray.kill(actor)
        self._answers.pop(handle, None)

    def _begin(self, handle: str, actor: Any) -> None:
        """Let an actor begin; where it has begun, it refuses, and nobody asks it what it said.

        The call waits in this process until the actor has a place, and is lost with it.
        """
        self._begun[handle] = actor.start.remote()

    def _actor(self, name: str) -> Any:
        try:
            return self._ray.get_actor(name, namespace=NAMESPACE)
        except ValueError:
            return None
