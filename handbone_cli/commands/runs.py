"""`hb runs`: what became of runs, what they said, and how one is stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from handbone_cli.runs.overview import RunState

PATIENCE = 60.0
"""Seconds that `stop` waits for a run to save itself."""
FOLLOW_EVERY = 0.5


@click.group(short_help="List, show, draw, follow and stop runs.")
def runs() -> None:
    """List, show, draw, follow and stop runs."""


@runs.command("list")
@click.argument("folder", type=Path, default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(folder: Path, as_json: bool) -> None:
    """Every run in FOLDER (runs/ by default): state, epoch, best mean Dice, when it last wrote."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.overview import find_runs, state_of
    from handbone_cli.terminal.tables import show_table

    if not folder.is_dir():
        raise HandboneError(f"{folder}: there is no such folder; name the one that holds runs.")
    states = [state_of(run) for run in find_runs(folder)]
    if as_json:
        click.echo(json.dumps([{**vars(each), "path": str(each.path)} for each in states]))
        return
    if not states:
        click.echo(f"{folder}: no run")
        return
    rows = [
        (
            each.path,
            each.state,
            progress_of(each),
            f"{each.dice:.4f}" if each.dice is not None and each.dice >= 0 else "-",
            each.changed,
        )
        for each in states
    ]
    show_table(("run", "state", "epoch", "mean Dice", "last written (UTC)"), rows)
    for each in states:
        if each.said:
            click.echo(f"{each.path}: {each.said}")


def progress_of(state: RunState) -> str:
    """How many epochs or folds of how many; nothing is known of a run that only starts."""
    if not state.epochs:
        return "-"
    return f"{state.epoch}/{state.epochs}" + (" folds" if state.counted == "folds" else "")


@runs.command()
@click.argument("run", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(run: Path, as_json: bool) -> None:
    """What RUN was told to do, what became of it, and which files it has."""
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.runs.overview import metrics, state_of
    from handbone_cli.terminal.tables import show_table

    directory = open_run(run)
    facts, state = directory.facts(), state_of(directory)
    files = {path.name: path.stat().st_size for path in sorted(run.iterdir()) if path.is_file()}
    if as_json:
        lines = metrics(directory)
        click.echo(
            json.dumps({"state": state.state, "facts": facts, "files": files, "epochs": lines})
        )
        return
    recipe = facts.get("recipe", {})
    dice = "-" if state.dice is None else f"{state.dice:.4f} (epoch {state.best_epoch})"
    process = facts.get("process", {})
    rows = [
        ("state", state.state),
        ("epoch", f"{state.epoch} of {state.epochs}"),
        ("best mean Dice", dice),
        *group_rows(facts, metrics(directory), state.best_epoch),
        ("recipe", recipe.get("name", "?")),
        ("model", recipe.get("model", {}).get("name", "?")),
        ("data", recipe.get("data", {}).get("root", recipe.get("data", {}).get("dataset", "?"))),
        ("classes", len(facts["class_names"])),
        ("people trained on", len(facts.get("trained_persons", []))),
        ("process", f"{process['pid']} on {process['host']}" if process else "unknown"),
        *((key, value) for key, value in facts.get("versions", {}).items()),
        *((name, f"{size / 2**20:.1f} MiB") for name, size in files.items()),
    ]
    show_table(("what", "value"), rows)
    if state.said:
        click.echo(state.said)


def group_rows(
    facts: dict[str, Any], epochs: list[dict[str, Any]], best_epoch: int
) -> list[tuple[str, str]]:
    """What the best epoch scored on small bones and on overlaps, where the data has such."""
    none: dict[str, Any] = {}
    best = next((line for line in reversed(epochs) if line.get("epoch") == best_epoch), none)
    rows = [
        (f"overlap {pair}", f"{dice:.4f}") for pair, dice in best.get("overlap_pairs", {}).items()
    ]
    if "small_bones" in best:
        names = ", ".join(facts.get("small_bone_names", []))
        rows.insert(0, ("small bones", f"{best['small_bones']:.4f} ({names})"))
    return rows


@runs.command()
@click.argument("run", type=Path)
@click.option("-o", "--output", type=Path, help="The SVG.  [default: RUN/curves.svg]")
def curves(run: Path, output: Path | None) -> None:
    """Draw loss, Dice with the worst bones, and learning rate of RUN over its epochs."""
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign, write_text
    from handbone_cli.results.curves import draw_curves, is_curves
    from handbone_cli.runs.overview import metrics

    directory = open_run(run)
    directory.facts()
    epochs, path = metrics(directory), output or run / "curves.svg"
    if not epochs:
        raise HandboneError(f"{run}: no epoch is over yet, so there is nothing to draw.")
    refuse_foreign(path, "curves", is_curves)
    write_text(path, draw_curves(epochs, run.resolve().name))
    click.echo(f"{path}: {len(epochs)} epoch{'s' if len(epochs) > 1 else ''}")


@runs.command()
@click.argument("run", type=Path)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends, or Ctrl-C.")
def logs(run: Path, follow: bool) -> None:
    """What RUN has said; it must have been started with --bg."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import require
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.runs.overview import state_of

    folds = CrossValidation(run)
    directory = (
        folds
        if folds.facts_file.exists()
        else RunDirectory(require(run, "a run directory (what `hb train` writes)"))
    )
    if not directory.log.exists():
        state = f"hb runs {'list' if isinstance(directory, CrossValidation) else 'show'} {run}"
        raise HandboneError(
            f"{run}: has no log, it was not started with --bg; `{state}` has its state."
        )
    with directory.log.open(encoding="utf-8", errors="replace") as file:
        while True:
            over = not follow or state_of(directory).state not in {"running", "starting"}
            click.echo(file.read(), nl=False)
            if over:
                return
            time.sleep(FOLLOW_EVERY)


@runs.command()
@click.argument("run", type=Path)
def stop(run: Path) -> None:
    """Let RUN save itself and stop, as Ctrl-C does; `hb train --resume RUN` goes on with it."""
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.overview import word_of
    from handbone_cli.runs.process import stop as stop_process

    folds = CrossValidation(run)
    facts = folds.facts() if folds.facts_file.exists() else open_run(run).facts()
    if facts.get("status") != "running":  # its process may live on and do other things
        raise HandboneError(f"{run}: does not run ({word_of(facts)}).")
    stop_process(facts.get("process"), str(run), PATIENCE)
    devices = facts.get("versions", {}).get("devices", 1)
    more = f" --devices {devices}" if devices > 1 else ""
    click.echo(f"{run}: stopped; go on with `hb train --resume {run}{more}`")
