"""From stores on the command line to a decision file, a table and a picture of what it is worth."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.decision.appraisal import Appraisal
    from handbone_cli.decision.document import Decision
    from handbone_cli.decision.ensemble import Settings
    from handbone_cli.store.store import Store

IMAGES_A_WORKER = 8
"""Fewer are sooner done than a process has started."""


def decide(
    paths: Sequence[Path],
    labels: str | None,
    settings: Settings,
    output: Path,
    *,
    picture: Path | None = None,
    workers: int | None = None,
) -> None:
    """Choose, write the decision, and show what it is worth.

    Args:
        paths: of the stores.
        labels: what --labels names.
        settings: how to choose.
        output: the decision to write.
        picture: an SVG of the gains, if one is wanted.
        workers: processes; None: as many as there are cores, for few images this one alone.
    """
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.data.cache import cache_folder
    from handbone_cli.data.processes import default_workers, map_in_processes
    from handbone_cli.decision import document
    from handbone_cli.decision.ensemble import Workplace, optimize, refuse_idle
    from handbone_cli.files import make_folder
    from handbone_cli.host.registry import installed
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import progress

    refuse_places(output, picture)
    if len({path.resolve() for path in paths}) < len(paths):
        raise HandboneError("the same store is named twice.")
    stores = [Store.open(path) for path in paths]
    refuse_idle(stores, settings)
    settings.grid()
    truth = open_labels(labels, stores, stores[0].class_names, installed())
    cache = cache_folder(True)
    assert cache is not None
    few = len(stores[0].images) < 2 * IMAGES_A_WORKER
    count = workers or (1 if few else default_workers())
    map_jobs = functools.partial(map_in_processes, workers=count)
    place = Workplace(make_folder(cache / "statistics"), map_jobs, progress)
    decision, appraisal = optimize(stores, truth, settings, place)
    document.save(decision, output)
    note_rules(decision, stores)
    show(decision, appraisal)
    if picture is not None:
        draw(picture, decision, appraisal)
    click.echo(str(output))


def refuse_places(output: Path, picture: Path | None) -> None:
    """Refuse to write over what is not ours, before the work begins."""
    from handbone_cli.decision import document
    from handbone_cli.files import refuse_foreign
    from handbone_cli.results.gains import is_gains

    if output.suffix != ".toml":
        raise HandboneError(f"{output}: a decision is a .toml file; give -o such a name.")
    refuse_foreign(output, "a decision", document.is_decision)
    if picture is not None:
        if picture.suffix != ".svg":
            raise HandboneError(f"{picture}: the picture is an .svg file; give it such a name.")
        refuse_foreign(picture, "a picture of gains", is_gains)


def note_rules(decision: Decision, stores: Sequence[Store]) -> None:
    """A line where members' spatial rules differ."""
    from handbone_cli.terminal.progress import say

    if not decision.postprocess and any(s.manifest["settings"].get("postprocess") for s in stores):
        say("the members' post-processing differs, so none is applied")


def show(decision: Decision, appraisal: Appraisal) -> None:
    """The weights and what they are worth, bone by bone and in all."""
    from handbone_cli.terminal.tables import show_table

    search, overall = decision.search, appraisal.overall
    members = [path.name for path in decision.members] if len(decision.members) > 1 else []
    has_thresholds = search["thresholds"] != "half"
    rows = []
    every = zip(
        decision.class_names,
        decision.weights,
        decision.thresholds,
        appraisal.bones,
        appraisal.changed,
        strict=True,
    )
    for name, weights, threshold, gain, changed in every:
        shown = [f"{weight:.2f}" for weight in weights] if members else []
        shown += [f"{threshold:.3f}"] if has_thresholds else []
        verdict = "all in" if search["all_in"] else "kept" if changed and appraisal.kept else "-"
        rows.append((name, *shown, *_gain_columns(gain), verdict))
    blank = [""] * (len(members) + has_thresholds)
    rows.append(("all bones", *blank, *_gain_columns(overall), ""))
    headings = ("bone", *members, *(["threshold"] if has_thresholds else []))
    show_table((*headings, "in-sample", "left out", "+-", "optimism", "verdict"), rows)
    click.echo(
        f"mean Dice: {plain(decision)} {appraisal.default:.4f}, "
        f"in-sample {appraisal.default + overall.in_sample:.4f}, "
        f"cross-fitted {appraisal.cross_fitted:.4f}"
    )
    click.echo(
        f"gain on people left out {overall.left_out:+.4f} +- {overall.error:.4f}: "
        f"{verdict_of(decision, appraisal)}"
    )


def plain(decision: Decision) -> str:
    """What all is judged against."""
    return "uniform" if len(decision.members) > 1 else "at one half"


def verdict_of(decision: Decision, appraisal: Appraisal) -> str:
    """Kept, refused, or taken whatever the verdict."""
    if decision.search["all_in"]:
        return (
            f"--all-in takes the in-sample choice as it is; on people left out it gained "
            f"{appraisal.overall.searched:+.4f}"
        )
    if appraisal.kept:
        return "kept"
    return f"refused: {'uniform weights' if len(decision.members) > 1 else 'one half'} stay" + (
        "" if len(decision.members) > 1 else "s"
    )


def _gain_columns(gain: object) -> tuple[str, str, str, str]:
    from handbone_cli.decision.appraisal import Gain

    assert isinstance(gain, Gain)
    return (
        f"{gain.in_sample:+.4f}",
        f"{gain.left_out:+.4f}",
        f"{gain.error:.4f}",
        f"{gain.optimism:+.4f}",
    )


def draw(path: Path, decision: Decision, appraisal: Appraisal) -> None:
    """The picture of the gains."""
    from handbone_cli.files import write_text
    from handbone_cli.results.gains import GainBar, draw_gains

    def bar(name: str, gain: object, kept: bool) -> GainBar:
        from handbone_cli.decision.appraisal import Gain

        assert isinstance(gain, Gain)
        return GainBar(name, gain.in_sample, gain.left_out, gain.error, kept)

    bones = [
        bar(name, gain, changed and appraisal.kept)
        for name, gain, changed in zip(
            decision.class_names, appraisal.bones, appraisal.changed, strict=True
        )
    ]
    overall = bar("all bones", appraisal.overall, appraisal.kept)
    members = " + ".join(member.name for member in decision.members)
    told = f"{decision.scores['images']} images of {decision.scores['people']} people"
    write_text(path, draw_gains([overall, *bones], f"Gain in mean Dice: {members}", told))
    click.echo(str(path))
