"""`hb evaluate`: masks against labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource
    from handbone_cli.results.evaluation import Evaluation
    from handbone_cli.store.store import Store


@click.command(short_help="Score masks against labels.")
@click.argument("masks", type=Path)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the store's own]")
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--csv", "csv_path", type=Path, help="Write every image and bone to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    masks: Path, labels: str | None, on: tuple[Path, ...], csv_path: Path | None, as_json: bool
) -> None:
    """Score MASKS, a store, a decision (.toml) or a submission (.csv): hard Dice per bone.

    Beside all bones, where these labels have them: the quarter of them that is smallest, and what
    two bones share that overlap by a tenth (mean IoU) or more.

    \b
    hb evaluate stores/first_val
    hb evaluate ensemble.toml --on stores/a_test --on stores/b_test
    hb evaluate submission.csv --labels my_data
    """
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.results.evaluation import is_score_csv

    if csv_path is not None:
        refuse_foreign(csv_path, "a CSV of scores", is_score_csv)
    result = score(masks, labels, on, installed())
    if csv_path is not None:
        result.write_csv(csv_path)
    if as_json:
        click.echo(json.dumps(result.summary()))
    else:
        show(result, masks.name)


def score(masks: Path, labels: str | None, on: tuple[Path, ...], registry: Registry) -> Evaluation:
    """The evaluation of whatever kind of masks."""
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import is_csv, open_masks, open_submission
    from handbone_cli.results.evaluation import evaluate as run_evaluation
    from handbone_cli.terminal.progress import progress

    source: MaskSource
    if is_csv(masks):
        source, truth = open_submission(masks, labels, registry)
    else:
        source, stores = open_masks(masks, registry, on)
        truth = open_labels(labels, stores, source.class_names, registry)
        note_seen(masks, stores, truth)
    with progress("Evaluating") as report:
        return run_evaluation(source, truth, report)


def note_seen(masks: Path, stores: Sequence[Store], truth: LabelSource) -> None:
    """A line if a model has learnt some of the truth that it is scored by."""
    from handbone_cli.terminal.progress import say

    scored = {name for store in stores for name in store.images if truth.has(name)}
    seen = {name for name in scored for s in stores if name in s.images and s.images[name].seen}
    if seen:
        say(
            f"{masks}: a model was trained on the people of {len(seen)} of {len(scored)} images; "
            "their Dice does not tell how good it is on others"
        )


def show(result: Evaluation, name: str) -> None:
    """A table of the bones, worst first, and the line that matters."""
    from handbone_cli.terminal.tables import show_table

    per_class = result.per_class
    lowest = result.dice.min(axis=0)
    rows = [
        (result.class_names[i], f"{per_class[i]:.4f}", f"{lowest[i]:.4f}")
        for i in per_class.argsort(kind="stable")
    ]
    show_table(("bone", "mean Dice", "lowest"), rows, title=name)
    if not result.dice.any():
        click.echo("no bone of any image overlaps its label: none is worse than another")
    show_groups(result)
    error = result.standard_error
    people = len(set(result.persons))
    spread = f" +- {error:.4f} (standard error over {people} people)" if people > 1 else ""
    click.echo(f"mean Dice {result.mean:.4f}{spread}, {len(result.image_ids)} images")


def show_groups(result: Evaluation) -> None:
    """The overlaps, worst first, and the small bones; nothing of a group that is not there."""
    from handbone_cli.terminal.tables import show_table

    groups, names = result.groups, result.class_names
    if groups.pairs:
        both = [f"{result.per_class[list(pair)].mean():.4f}" for pair in groups.pairs]
        shared = [f"{dice:.4f}" for dice in result.per_overlap]
        rows = list(zip(groups.pair_names(names), shared, both, strict=True))
        order = result.per_overlap.argsort(kind="stable")
        show_table(("overlap", "its Dice", "both bones"), [rows[place] for place in order])
    if groups.small:
        small = result.per_class[list(groups.small)].mean()
        click.echo(f"small bones {small:.4f} ({', '.join(groups.small_names(names))})")
