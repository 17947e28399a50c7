"""`hb compare`: two sets of masks against each other, paired by person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handbone_cli.commands.wiring.mask_members import KnownImages
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource
    from handbone_cli.results.compare import Comparison, Metric, Scores
    from handbone_cli.store.store import Store


@click.command(short_help="Say which of two is better, on which bones, or that they tie.")
@click.argument("a", type=Path)
@click.argument("b", type=Path)
@click.option(
    "--metric",
    default="dice",
    show_default=True,
    help="dice, iou, boundary_iou, nsd, hd, hd95, assd, centroid, missing or extra.",
)
@click.option("--tolerance", metavar="N", help="Of nsd.  [default: 2]")
@click.option("--spacing", metavar="MM", help="Distances in mm, by this spacing: 0.1 or 0.1,0.12.")
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the stores' own]")
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for the decisions.")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=288,
    show_default=True,
    help="Of a leaderboard, to say how much chance moves its scores.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1000, max=100_000),
    default=10_000,
    show_default=True,
    help="Draws of the bootstrap and, beyond 14 people, flips of the test.",
)
@click.option("--seed", default=21, show_default=True, help="Of the draws.")
@click.option("--plot", type=Path, metavar="SVG", help="Draw the bones' differences.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    a: Path, b: Path, metric: str, tolerance: str | None, spacing: str | None,
    labels: str | None, on: tuple[Path, ...], images: int, samples: int, seed: int,
    plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare A with B by hard Dice, or --metric: stores, decisions (.toml), submissions or labels.

    The answer is A, B or a tie: a test that flips whole people, an interval by the bootstrap over
    people, and the same for every bone; a star stands where a bone differs at 5 % after Holm's
    correction for all bones. Below is the smallest difference that these people could show.

    \b
    hb compare stores/a_val stores/b_val
    hb compare a.csv b.csv --labels my_data --plot forest.svg
    hb compare a.csv b.csv --labels my_data --metric hd95
    """
    from handbone_cli.commands.wiring.compared_metric import compared_metric
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign, write_text
    from handbone_cli.host.registry import installed
    from handbone_cli.results import compare as comparing
    from handbone_cli.results.forest_plot import draw_forest, is_forest

    if plot is not None:
        if plot.suffix != ".svg":
            raise HandboneError(f"{plot}: the plot is an .svg; give --plot such a name.")
        refuse_foreign(plot, "a forest plot", is_forest)
    if on and not {a.suffix, b.suffix} & {".toml"}:
        raise HandboneError("--on goes with a decision (.toml); neither of the two is one.")
    if a.resolve() == b.resolve():
        raise HandboneError(f"{a}: is named twice; compare it with another.")
    by = compared_metric(metric, tolerance, spacing)
    scores = score(a, b, labels, on, installed(), by)
    result = comparing.compare(scores, samples=samples, seed=seed)
    names = short_names(a, b)
    if plot is not None:
        write_text(plot, draw_forest(result, names))
    if as_json:
        click.echo(json.dumps(result.told(names, images)))
    else:
        show(result, names, images)


def score(
    a: Path, b: Path, labels: str | None, on: tuple[Path, ...], registry: Registry, metric: Metric
) -> Scores:
    """The scores of both on what they share, with a line on what does not count."""
    from handbone_cli.commands.evaluate import note_seen
    from handbone_cli.commands.wiring.mask_members import KnownImages, open_members
    from handbone_cli.results.compare import score_both
    from handbone_cli.terminal.progress import progress, say

    known = KnownImages()
    class_names = known.add_labels(labels, registry)
    sources, stores = open_members([a, b], registry, known, on, class_names)
    truth = open_truth(labels, sources[0], [*stores[0], *stores[1]], known, registry)
    for path, below in zip((a, b), stores, strict=True):
        note_seen(path, below, truth)
    with progress("Comparing") as report:
        scores = score_both(sources[0], sources[1], truth, report, metric)
    for path, source in zip((a, b), sources, strict=True):
        left_out = len(source.image_ids) - len(scores.image_ids)
        if left_out:
            say(f"{path}: {left_out} of {len(source.image_ids)} images are not compared, since the "
                "other has no masks of them or there are no labels")  # fmt: skip
    if not known.persons.keys() >= set(scores.image_ids):
        say("nobody says whose the images are, so each counts as a person; --labels with a recipe "
            "or folder says it")  # fmt: skip
    return scores


def open_truth(
    labels: str | None, first: MaskSource, stores: list[Store], known: KnownImages,
    registry: Registry,
) -> LabelSource:  # fmt: skip
    """The truth that --labels names, or the stores do; of CSVs alone it must be named."""
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import is_csv
    from handbone_cli.errors import HandboneError

    if labels is None and not stores:
        raise HandboneError("neither of the two says where its truth is; name it with --labels.")
    if labels is not None and is_csv(Path(labels)):
        known.reach(Path(labels))
    return open_labels(labels, stores, first.class_names, registry)


def short_names(a: Path, b: Path) -> tuple[str, str]:
    """The files' names where they differ, else their paths."""
    return (a.name, b.name) if a.name != b.name else (str(a), str(b))


def show(result: Comparison, names: tuple[str, str], images: int) -> None:
    """A table of the bones, those that A gains most on first, and the answer."""
    from handbone_cli.results.forest_plot import p_text, signed
    from handbone_cli.terminal.tables import show_table

    click.echo(f"a: {names[0]}\nb: {names[1]}")
    rows = []
    for place in result.order():
        bone = result.bones[place]
        name, star = result.scores.class_names[place], "*" if bone.certain else ""
        means = (f"{mean:.4f}" for mean in bone.means)
        low, high = bone.interval
        interval = f"{signed(low)} to {signed(high)}"
        rows.append((name, *means, signed(bone.difference), interval, p_text(bone.p), star))
    show_table(("bone", "a", "b", "a - b", "95 % interval", "p (Holm)", ""), rows)
    for line in sentences(result, names, images):
        click.echo(line)


def sentences(result: Comparison, names: tuple[str, str], images: int) -> list[str]:
    """What to take home."""
    from handbone_cli.results.compare import LEVEL
    from handbone_cli.results.forest_plot import p_text, signed

    overall, people = result.overall, result.people
    low, high = overall.interval
    interval = f"{signed(low)} to {signed(high)}"
    p = p_text(overall.p)
    stars = sum(bone.certain for bone in result.bones)
    differ = "1 bone differs" if stars == 1 else f"{stars or 'no'} bones differ"
    verdict = (
        f"a tie: two equally good ones are as far apart in {100 * overall.p:.0f} % of tests"
        if result.better is None
        else f"{names[result.better]} is better"
    )
    there, noise, difference_noise = result.at(images)
    a, b = overall.means
    of = f"({len(result.scores.image_ids)} images, {people} people)"
    mean = f"mean {result.scores.metric.name}: a {a:.4f}, b {b:.4f}"
    moved = f"{max(noise):.4f} and the difference of these two by +- {difference_noise:.4f}"
    lines = [
        f"{mean}, a - b {signed(overall.difference)} +- {result.error:.4f} {of}",
        f"95 % interval {interval}, p {p if p[0] == '<' else f'= {p}'}: {verdict}",
        f"{differ} after Holm's correction",
        f"smallest true difference that such tests show 4 times in 5: {result.smallest:.4f}",
        f"on a leaderboard of {images} images ({there} people) chance moves a score by +- {moved}",
    ]
    least = 2.0 ** (1 - people) if result.exact else 0.0
    if least >= LEVEL:
        lines.append(f"{people} people are too few: p cannot be below {least:.3g}")
    elif least * len(result.bones) >= LEVEL:
        lines.append(
            f"{people} people are too few to tell {len(result.bones)} bones apart one by one"
        )
    return lines
