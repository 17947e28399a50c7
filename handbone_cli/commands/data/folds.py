"""`hb data folds`: who is in which fold, as a file that recipes name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.folds import PartedPair
    from handbone_cli.data.fold_file import FoldFile
    from handbone_cli.data.traits import FoldSummary, PersonTraits

FOLDS, SEED = 5, 21
SHOWN = 20
"""Pairs in the text; JSON has all."""


@click.command(short_help="Split people into balanced folds.")
@click.argument("source", metavar="FOLDER|RECIPE")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--folds", "count", type=click.IntRange(2), help="[default: the recipe's, or 5]")
@click.option("--seed", type=click.IntRange(0), help="[default: the recipe's, or 21]")
@click.option(
    "--meta",
    type=Path,
    metavar="FILE",
    help="Table (.xlsx, .csv) of the people.  [default: meta_data.xlsx or .csv of the data]",
)
@click.option(
    "--duplicates/--no-duplicates",
    default=True,
    show_default=True,
    help="Read all images and report those that are nearly the same in two folds, or in training "
    "and test.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-o", "--output", type=Path, required=True, help="Split (.toml) to write.")
def folds(
    source: str,
    overrides: tuple[str, ...],
    count: int | None,
    seed: int | None,
    meta: Path | None,
    duplicates: bool,
    as_json: bool,
    output: Path,
) -> None:
    """Split people into folds that are alike: bent wrists, sides, sexes and ages.

    Images of one person never part. Poses and sides are read off the labels, sexes and ages from
    a table; what nobody knows is left out. Recipes name the file: data.folds_file = "folds.toml".

    \b
    hb data folds my_data -o folds.toml
    """
    from handbone_cli.commands.wiring import folds as wiring
    from handbone_cli.commands.wiring.datasets import open_named_dataset
    from handbone_cli.data.fold_file import FoldFile, refuse_other_files, save_folds
    from handbone_cli.data.folds import balance
    from handbone_cli.data.traits import known_traits, observe
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress

    refuse_other_files(output)
    dataset = open_named_dataset(source, installed(), overrides)
    recipe = wiring.open_recipe(source, overrides)
    samples = wiring.labelled_samples(source, dataset, recipe)
    records = wiring.read_people(recipe.data.root if recipe else Path(source), meta, samples)
    with progress("Reading labels") as report:
        people = observe(samples, dataset.class_names, records, report)
    count = count or (recipe.data.folds if recipe else FOLDS)
    seed = seed if seed is not None else recipe.seed if recipe else SEED
    split = FoldFile(count, seed, known_traits(people), balance(people, count, seed))
    wiring.note_changes(output, split)
    save_folds(output, split)
    if not as_json:
        show(output, split, people)
    pairs, faults = wiring.find_parted_pairs(samples, dataset, split) if duplicates else ([], [])
    for fault in faults:
        click.echo(f"not compared: {fault}", err=True)
    if as_json:
        found = [asdict(pair) for pair in pairs] if duplicates else None
        click.echo(json.dumps(document(output, split, people) | {"duplicates": found}))
    elif duplicates:
        show_pairs(pairs)


def document(output: Path, split: FoldFile, people: Sequence[PersonTraits]) -> dict[str, object]:
    """What the table says, for scripts: shares are 0 to 1."""
    return {
        "file": str(output),
        "folds": split.folds,
        "seed": split.seed,
        "balanced": split.balanced,
        "summary": {name: asdict(each) for name, each in summaries(split, people).items()},
    }


def summaries(split: FoldFile, people: Sequence[PersonTraits]) -> dict[str, FoldSummary]:
    """Each fold by its number, and 'all'."""
    from handbone_cli.data.traits import summarise, summarise_folds

    each = summarise_folds(people, split.people)
    return {**{str(fold): summary for fold, summary in each.items()}, "all": summarise(people)}


def show(output: Path, split: FoldFile, people: Sequence[PersonTraits]) -> None:
    """A row a fold, what was balanced, and the file."""
    from handbone_cli.terminal.tables import show_table

    headings = ("fold", "people", "images", "bent %", "left %", "female %", "mean age")
    rows = []
    for name, each in summaries(split, people).items():
        shares = (each.bent, each.left, each.female)
        percent = ["-" if share is None else f"{100 * share:.1f}" for share in shares]
        age = "-" if each.age is None else f"{each.age:.1f}"
        rows.append((name, each.people, each.images, *percent, age))
    show_table(headings, rows)
    if split.balanced:
        click.echo(f"balanced: {', '.join(split.balanced)}")
    else:
        click.echo("neither pose, side, sex nor age is known: dealt at random")
    click.echo(f"{output}: {len(split.people)} people in {split.folds} folds")


def show_pairs(pairs: Sequence[PartedPair]) -> None:
    """Nearly the same images, the surest first."""
    click.echo(
        f"{len(pairs) or 'no'} near-duplicates in different folds, or in training and test"
        + (":" if pairs else "")
    )
    for pair in pairs[:SHOWN]:
        one, other = (
            f"{image} ({person}, {place})"
            for image, person, place in zip(pair.images, pair.people, pair.places, strict=True)
        )
        click.echo(f"  {one} and {other}: {pair.kind}, correlation {pair.correlation:.2f}")
    if len(pairs) > SHOWN:
        click.echo(f"  and {len(pairs) - SHOWN} more; --json prints all")
