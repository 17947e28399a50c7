"""Work in threads ahead of a loop and behind it: in order, within bounds, told to stop once."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Job = TypeVar("Job")
Result = TypeVar("Result")
P = ParamSpec("P")

WAITING = 2
"""Results that wait at most: ahead of the loop, while it computes, and behind it."""


def ahead(
    jobs: Iterable[Job], work: Callable[[Job], Result], workers: int
) -> Iterator[tuple[Job, Future[Result]]]:
    """Every job with its result, or what it raised, in the order of the jobs.

    Jobs are drawn by the thread that iterates, which may have to load a model for them.

    Args:
        jobs: drawn when there is room: at most WAITING or, if these are more, `workers` of them
            are being worked on or waiting.
        work: of one job; called in the threads.
        workers: threads; 0 works in the loop's own, when a result is asked for.
    """
    if workers == 0:
        for job in jobs:
            yield job, _now(work, job)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    begun: deque[tuple[Job, Future[Result]]] = deque()
    try:
        for job in jobs:
            begun.append((job, pool.submit(work, job)))
            if len(begun) > max(WAITING, workers):
                yield begun.popleft()
        while begun:
            yield begun.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def _now(work: Callable[[Job], Result], job: Job) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(work(job))
    except Exception as error:  # noqa: BLE001  handed on to whoever asks for the result
        future.set_exception(error)
    return future


class Behind:
    """Calls made one after another in a thread of their own, at most WAITING of them behind.

    What one of them raises is raised by the next `call`, or at the end; those after it are dropped.
    """

    def __init__(self, *, threaded: bool) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="behind") if threaded else None
        self._begun: deque[Future[object]] = deque()
        self._failed = threading.Event()

    def call(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have this called; waits while too many are."""
        if self._pool is None:
            work(*args, **kwargs)
            return

        def unless_failed() -> None:
            if self._failed.is_set():
                return
            try:
                work(*args, **kwargs)
            except BaseException:
                self._failed.set()
                raise

        self._begun.append(self._pool.submit(unless_failed))
        self._raise_what_failed(WAITING)

    def _raise_what_failed(self, waiting: int) -> None:
        while self._begun and (len(self._begun) > waiting or self._begun[0].done()):
            self._begun.popleft().result()

    def finish(self) -> None:
        """Wait for all calls."""
        if self._pool is not None:
            try:
                self._raise_what_failed(0)
            finally:
                self._pool.shutdown()
