"""What every tracker must do."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import CheckingFactory, PictureTracker, TrackerContext
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from handbone_cli.host.interfaces import Tracker
    from handbone_cli.testing.trial import Trial

EPOCH = {
    "epoch": 1,
    "loss": 0.5,
    "seconds": 1.25,
    "mean_dice": 0.85,
    "dice": {"Radius": 0.9, "Ulna": 0.8},
}
"""What the loop says of an epoch with a validation."""
ODD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("epoch", {"epoch": 2, "loss": float("nan"), "seconds": float("inf")}),
    ("epoch", {"epoch": 3, "loss": None, "dice": {"Großzehe 1, links": -float("inf")}}),
    (
        "epoch",
        {"epoch": 4, "loss": 10**30, "note": "two\nlines", "dice": {}, "list": [1, "a", None]},
    ),
    ("end", {}),
)
"""What a run can say: a loss that ran away, an epoch without validation, odd names, nothing."""
PICTURES = ((1, "image1", (40, 64)), (1, "Großzehe 1, links/oben", (1, 1)), (2, "image1", (40, 64)))
"""Epochs, image ids and sizes; an image comes again at the next epoch."""


@dataclass(frozen=True)
class TriedTracker:
    """A tracker, still to be built for whatever run directory a check makes.

    Attributes:
        build: what makes it, options included.
        folder: where run directories are made.
    """

    build: Callable[[TrackerContext], Tracker]
    folder: Path
    _count: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    def run(self) -> Path:
        """A new run directory."""
        path = self.folder / f"run{next(self._count)}"
        path.mkdir(parents=True)
        return path

    def on(self, run: Path) -> Tracker:
        """A tracker of a run."""
        recipe = {"name": "check", "train": {"epochs": 4}}
        return self.build(TrackerContext(run, "check", recipe))


def figures(tried: TriedTracker) -> None:
    """It takes the figures of an epoch, with a validation and without, and changes none."""
    tracker = tried.on(tried.run())
    for values in (EPOCH, {"epoch": 2, "loss": 0.4, "seconds": 1.0}):
        given = copy.deepcopy(values)
        tracker.log("epoch", given)
        require(
            given == values, "log changed the values it was given; other trackers read them too"
        )
    tracker.close()


def odd(tried: TriedTracker) -> None:
    """Nothing that a run can say stops it: nan, infinity, None, odd names, an event of nothing."""
    tracker = tried.on(tried.run())
    for event, values in ODD:
        try:
            tracker.log(event, copy.deepcopy(values))
        except Exception as error:
            raise AssertionError(
                f"log({event!r}, {values}) raised {type(error).__name__}: {error}"
            ) from error
    tracker.close()


def pictures(tried: TriedTracker) -> None:
    """Where it takes pictures it takes any, before the figures of their epoch, and changes none."""
    tracker = tried.on(tried.run())
    for epoch, image_id, size in PICTURES:
        if not isinstance(tracker, PictureTracker):
            break
        rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        rgb.flags.writeable = False
        values = {**EPOCH, "epoch": epoch, "image_id": image_id, "best": epoch == 1}
        given = copy.deepcopy(values)
        tracker.picture(f"validation/{image_id}", rgb, given)
        require(given == values, "picture changed the values it was given")
        tracker.log("epoch", {**copy.deepcopy(EPOCH), "epoch": epoch})
    tracker.close()


def files(tried: TriedTracker) -> None:
    """What it writes as .json or .jsonl is JSON, which knows neither NaN nor Infinity."""
    run = tried.run()
    tracker = tried.on(run)
    for event, values in (("epoch", EPOCH), *ODD):
        tracker.log(event, copy.deepcopy(values))
    tracker.close()
    for path in sorted(run.rglob("*.json*")):
        text = path.read_text(encoding="utf-8")
        for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
            try:
                json.loads(part, parse_constant=_refuse)
            except ValueError as error:
                raise AssertionError(f"{path.name}: not JSON: {error}") from error


def closes(tried: TriedTracker) -> None:
    """It can be closed before the first epoch, and then holds no file of the run open."""
    for events in ((), (("epoch", EPOCH),)):
        run = tried.run()
        tracker = tried.on(run)
        for event, values in events:
            tracker.log(event, copy.deepcopy(values))
        tracker.close()
        left = _open_files(run)
        require(not left, f"after close() these files are still open: {', '.join(left)}")


def resumes(tried: TriedTracker) -> None:
    """A run that is resumed keeps what was written before."""
    run = tried.run()
    for epochs in ((1, 2, 3), (4,)):
        written = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
        before = {path: path.stat().st_size for path in written}
        tracker = tried.on(run)
        for epoch in epochs:
            tracker.log("epoch", {**copy.deepcopy(EPOCH), "epoch": epoch})
        tracker.close()
        for path, size in before.items():
            kept = path.is_file() and path.stat().st_size >= size
            require(kept, f"{path.name}: a tracker of the resumed run cut what was there")


CHECKS = (figures, odd, pictures, files, closes, resumes)


def prepare(trial: Trial) -> TriedTracker:
    """A registered tracker with its example options.

    Raises:
        unittest.SkipTest: a person has to put something right first, as its factory says.
    """
    factory = trial.component.builder()
    if isinstance(factory, CheckingFactory):
        try:
            factory.check(trial.registry.parse_options(trial.component, trial.options))
        except HandboneError as error:
            raise unittest.SkipTest(str(error)) from error
    tried = TriedTracker(trial.build, trial.folder / "runs")
    tried.on(tried.run()).close()
    return tried


def check_tracker(build: Callable[[Any, TrackerContext], Tracker], options: Any = None) -> None:
    """A tracker does all that it must (handbone_cli.testing.conformance.trackers.CHECKS).

    Args:
        build: the factory that the plugin registers.
        options: what it is built with.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_all(CHECKS, TriedTracker(functools.partial(build, options), Path(folder)))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} stands in it")


def _open_files(run: Path) -> list[str]:
    """Files under a folder that this process holds open; [] where the system does not tell."""
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = link.readlink()
        except OSError:  # of the listing itself
            continue
        if target.is_relative_to(run.resolve()):
            found.append(target.name)
    return found
