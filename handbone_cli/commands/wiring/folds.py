"""From a named dataset to what a split is made of: its samples, its people, its duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handbone_cli.data.fold_file import FoldFile
    from handbone_cli.data.metadata import PersonRecord
    from handbone_cli.host.interfaces import Dataset, Sample
    from handbone_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class PartedPair:
    """Two images in different places, 'fold 3' or 'test', that are the same or nearly."""

    images: tuple[str, str]
    people: tuple[str, str]
    places: tuple[str, str]
    kind: str
    correlation: float


def open_recipe(source: str, overrides: tuple[str, ...]) -> Recipe | None:
    """The recipe that is named; None for a folder, which has nothing to override."""
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe

    if not Path(source).is_dir():
        return load_recipe(source, installed(), overrides)
    if overrides:
        raise HandboneError(f"--set overrides keys of a recipe, and {source} is a folder.")
    return None


def labelled_samples(source: str, dataset: Dataset, recipe: Recipe | None) -> list[Sample]:
    """What training takes: labelled, and not excluded by the recipe."""
    excluded = recipe.data.exclude if recipe else ()
    samples = [s for s in dataset.samples("train") if s.read_labels and s.image_id not in excluded]
    if not samples:
        raise HandboneError(f"{source}: there is no labelled image to train on, so none to split.")
    return samples


def read_people(
    root: Path | None, meta: Path | None, samples: Sequence[Sample]
) -> Mapping[str, PersonRecord]:
    """The table that is named, or that lies with the data; says on stderr whom it knows."""
    from handbone_cli.data.metadata import find_metadata, read_metadata, record_of

    path = meta or (find_metadata(root) if root else None)
    if path is None:
        click.echo("no table of people (meta_data.xlsx or .csv): sex and age unknown", err=True)
        return {}
    records = read_metadata(path)
    people = sorted({sample.person for sample in samples})
    known = sum(record_of(records, person) is not None for person in people)
    if meta and not known:
        strangers = f"{next(iter(records))} ..." if records else "no row at all"
        raise HandboneError(
            f"{path}: has nobody of the data ({people[0]} ...), but {strangers}; name the table "
            "of these people with --meta."
        )
    click.echo(f"{path}: has {known} of the {len(people)} people", err=True)
    return records


def note_changes(output: Path, split: FoldFile) -> None:
    """Tell that runs which name an older split would validate on other people."""
    from handbone_cli.data.fold_file import load_folds

    if not output.exists():
        return
    before = load_folds(output).people
    moved = sum(split.people.get(person, fold) != fold for person, fold in before.items())
    if moved:
        click.echo(
            f"{output}: replaced, and {moved} people change their fold: runs that name this file "
            "would now validate on people they were trained on",
            err=True,
        )


def find_parted_pairs(
    samples: Sequence[Sample], dataset: Dataset, split: FoldFile
) -> tuple[list[PartedPair], list[str]]:
    """Images nearly the same in different folds, or in training and test, the surest first.

    Gives what could not be read too, a sentence each.
    """
    from handbone_cli.data.duplicates import find_duplicates, read_fingerprints
    from handbone_cli.terminal.progress import progress

    tests = list(dataset.samples("test"))
    everything = [*samples, *tests]
    places = [f"fold {split.people[s.person]}" for s in samples] + ["test"] * len(tests)
    with progress("Reading images") as report:
        prints, faults = read_fingerprints([s.read_image for s in everything], report)
    there = sorted(prints)
    with progress("Comparing", "close pairs", after=1.0) as report:
        found = find_duplicates([prints[i] for i in there], [places[i] for i in there], report)
    pairs = []
    for each in sorted(found, key=lambda each: (each.kind != "identical", -each.correlation)):
        one, other = there[each.first], there[each.second]
        pairs.append(
            PartedPair(
                (everything[one].image_id, everything[other].image_id),
                (everything[one].person, everything[other].person),
                (places[one], places[other]),
                each.kind,
                each.correlation,
            )
        )
    return pairs, faults
