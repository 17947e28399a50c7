"""What became of runs, alone or all folds': found, with their state, place and best score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.processes import is_alive
from handbone_cli.runs.cross_validation import CrossValidation
from handbone_cli.runs.directory import RunDirectory

if TYPE_CHECKING:
    from pathlib import Path

DEPTH = 3
"""Folders below the one asked for that may hold runs."""


@dataclass(frozen=True)
class RunState:
    """A run at a glance.

    Attributes:
        path: its folder.
        state: starting, not started, running, running on HOST, stopped, failed, died, finished.
        epoch: epochs that are done; of a cross-validation folds.
        epochs: epochs of the recipe, or its folds.
        dice: the best mean Dice so far, or None; of a cross-validation out of fold.
        best_epoch: when that was, from 1; 0 for never.
        changed: when its newest file was written, UTC, to the minute.
        said: why it failed, or ''.
        counted: what epoch and epochs count: epochs or folds.
    """

    path: Path
    state: str
    epoch: int
    epochs: int
    dice: float | None
    best_epoch: int
    changed: str
    said: str = ""
    counted: str = "epochs"


def find_runs(folder: Path) -> list[RunDirectory | CrossValidation]:
    """The runs in a folder and those a little below it, by name; before its folds, their whole."""
    found: list[RunDirectory | CrossValidation] = []
    waiting = [(folder, 0)]
    while waiting:
        path, depth = waiting.pop()
        run, folds = RunDirectory(path), CrossValidation(path)
        if folds.facts_file.exists():
            found.append(folds)
            waiting += [(below, DEPTH) for below in path.iterdir() if below.is_dir()]
        elif run.facts_file.exists() or run.log.exists():
            found.append(run)
        elif depth < DEPTH:
            waiting += [(below, depth + 1) for below in path.iterdir() if below.is_dir()]
    return sorted(found, key=lambda run: run.path)


def state_of(run: RunDirectory | CrossValidation) -> RunState:
    """What became of a run; never fails for a broken one, so that a list shows the others."""
    if isinstance(run, CrossValidation):
        return _state_of_folds(run)
    try:
        facts = run.facts()
    except HandboneError:
        said = last_line(run.log)
        state = "not started" if said else "starting"
        return RunState(run.path, state, 0, 0, None, 0, changed(run), said)
    lines = metrics(run)
    scores = {line["mean_dice"]: line["epoch"] for line in lines if line.get("mean_dice")}
    dice = facts.get("best_dice", max(scores, default=None))
    return RunState(
        run.path,
        word_of(facts),
        int(facts.get("epochs", lines[-1]["epoch"] if lines else 0)),
        int(facts.get("recipe", {}).get("train", {}).get("epochs", 0)),
        dice,
        int(facts.get("best_epoch", scores.get(dice, 0))),
        changed(run),
        str(facts.get("said", "")),
    )


def _state_of_folds(folds: CrossValidation) -> RunState:
    try:
        facts = folds.facts()
    except HandboneError as error:
        return RunState(
            folds.path, "unknown", 0, 0, None, 0, changed(folds), str(error), counted="folds"
        )
    return RunState(
        folds.path,
        word_of(facts),
        sum(state_of(run).state == "finished" for run in folds.runs() if run.path.is_dir()),
        facts["folds"],
        facts.get("mean_dice"),
        0,
        changed(folds),
        str(facts.get("said", "")),
        counted="folds",
    )


def word_of(facts: dict[str, Any]) -> str:
    """The state of a run in a word, by what it said last and by whether its process lives."""
    said = str(facts.get("status", "unknown"))
    if said != "running":
        return said
    alive = is_alive(facts.get("process"))
    if alive is None:
        return f"running on {facts['process']['host']}" if facts.get("process") else "unknown"
    return "running" if alive else "died"


def metrics(run: RunDirectory) -> list[dict[str, Any]]:
    """The epochs that a run's metrics.jsonl tells of; a line that is cut off is left out."""
    lines: list[dict[str, Any]] = []
    if run.metrics.exists():
        for text in run.metrics.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and line.get("event") == "epoch":
                lines.append(line)
    return lines


def last_line(path: Path) -> str:
    """The last line of a text that is not empty."""
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def changed(run: RunDirectory | CrossValidation) -> str:
    """When the newest file of a run was written."""
    newest = max((file.stat().st_mtime for file in run.path.iterdir()), default=0.0)
    return datetime.fromtimestamp(newest, timezone.utc).strftime("%Y-%m-%d %H:%M")
