"""`hb evaluate`: masks against labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource
    from handbone_cli.results.evaluation import Evaluation
    from handbone_cli.store.store import Store


@click.command(short_help="Score masks against labels.")
@click.argument("masks", type=Path)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the store's own]")
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--csv", "csv_path", type=Path, help="Write every image and bone to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--metrics",
    metavar="NAME,...",
    help="dice, iou, boundary_iou, nsd, hd, hd95, assd, centroid, missing, extra, overlap_dice, or "
    "all.  [default with the options below: dice,hd95,nsd]",
)
@click.option("--tolerance", metavar="N,...", help="Of nsd; one figure for each.  [default: 2]")
@click.option("--mm", is_flag=True, help="Distances in mm, by the pixel spacing of the images.")
@click.option("--spacing", metavar="MM", help="Distances in mm, by this spacing: 0.1 or 0.1,0.12.")
@click.option(
    "--borders",
    type=click.Choice(["pixels", "contour"]),
    help="Count a border's pixels, as MONAI does, or weigh its length, as surface-distance does.  "
    "[default: pixels]",
)
@click.option(
    "--boundary",
    type=click.FloatRange(0, 1, min_open=True),
    help="Width for boundary_iou, as a share of the image's diagonal.  [default: 0.005]",
)
@click.option(
    "--by",
    metavar="KEY,...",
    help="A table for each of bone, region, group, side, pose, sex, age; crossed with +, as in "
    "bone+side.  [default: bone]",
)
@click.option("--meta", type=Path, metavar="FILE", help="Table (.xlsx, .csv) of ages and sexes.")
@click.option(
    "--penalise", is_flag=True, help="A missing bone is the image's diagonal away, not left out."
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, 8 most]")
@click.option("-o", "--output", type=Path, help="Write the tables (.csv, .json) to this file.")
def evaluate(
    masks: Path,
    labels: str | None,
    on: tuple[Path, ...],
    csv_path: Path | None,
    as_json: bool,
    output: Path | None,
    **measuring: Any,
) -> None:
    """Score MASKS, a store, a decision (.toml) or a submission (.csv): hard Dice per bone.

    Beside all bones, where these labels have them: the quarter of them that is smallest, and what
    two bones share that overlap by a tenth (mean IoU) or more. Any option from --metrics on asks
    for other figures: overlaps, and distances of borders.

    \b
    hb evaluate stores/first_val
    hb evaluate stores/first_val --metrics dice,hd95,nsd --tolerance 2,5 --by bone,side
    hb evaluate ensemble.toml --on stores/a_test --on stores/b_test
    hb evaluate submission.csv --labels my_data
    """
    if output is not None or any(measuring.values()):
        evaluate_metrics(masks, labels, on, measuring, csv_path, output, as_json=as_json)
        return
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


def evaluate_metrics(
    masks: Path,
    labels: str | None,
    on: tuple[Path, ...],
    measuring: Mapping[str, Any],
    csv_path: Path | None,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure, write what is to be written, and print a table a breakdown."""
    from handbone_cli.commands.wiring.metrics import measure_all, open_sources, parse_question
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.results.measures import is_metric_table, is_value_table, write_rows
    from handbone_cli.terminal.metric_table import show_metrics

    question, breakdowns = parse_question(masks, labels, on, measuring)
    if csv_path is not None:
        refuse_foreign(csv_path, "a CSV of metrics", is_value_table)
    if output is not None:
        refuse_foreign(output, "a table of metrics", is_metric_table)
    sources = open_sources(masks, labels, on, installed())
    note_seen(masks, sources.stores, sources.truth)
    keys = {key for keys in breakdowns for key in keys}
    found = measure_all(question, sources, measuring["meta"], keys, measuring["workers"])
    tables = [found.rows(keys) for keys in breakdowns]
    rows = [row for table in (*tables, found.rows()) for row in table]
    if csv_path is not None:
        found.write_values(csv_path)
    if output is not None:
        write_rows(output, rows)
    if as_json:
        click.echo(json.dumps(rows))
    else:
        show_metrics(tables, found.rows(), masks.name)


def score(masks: Path, labels: str | None, on: tuple[Path, ...], registry: Registry) -> Evaluation:
    """The evaluation of whatever kind of masks."""
    from handbone_cli.commands.wiring.metrics import open_sources
    from handbone_cli.results.evaluation import evaluate as run_evaluation
    from handbone_cli.terminal.progress import progress

    sources = open_sources(masks, labels, on, registry)
    note_seen(masks, sources.stores, sources.truth)
    with progress("Evaluating") as report:
        return run_evaluation(sources.masks, sources.truth, report)


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
