"""`hb data generate`: hands as files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Draw hands as radiographs, with outlines.")
@click.option("-o", "--output", type=Path, required=True, help="Folder to write.")
@click.option(
    "--people",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="People to train on, two hands each.",
)
@click.option(
    "--test-people",
    type=click.IntRange(0),
    default=4,
    show_default=True,
    help="People for the test part.",
)
@click.option(
    "--size",
    type=click.IntRange(64, 8192),
    default=2048,
    show_default=True,
    help="Side of the images, px.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="The same seed gives the same hands.",
)
@click.option(
    "--films",
    type=click.Choice(["study", "any"]),
    default="study",
    show_default=True,
    help="As in the competition, or whatever a user may bring: turned, cut, inverted, marked.",
)
def generate(output: Path, people: int, test_people: int, size: int, seed: int, films: str) -> None:
    """Draw hands as radiographs with their outlines, in the competition's layout.

    \b
    hb data generate -o my_data --people 40 --size 1024
    hb data generate -o any_films --people 20 --size 512 --films any
    """
    from handbone_cli.host.interfaces import DatasetContext, WritableDataset
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress

    options = {
        "people": people, "test_people": test_people, "size": size, "generator_seed": seed,
        "films": films,
    }  # fmt: skip
    dataset = installed().build("datasets", "generated", options, DatasetContext(None))
    assert isinstance(dataset, WritableDataset)
    with progress("Drawing", "hands") as report:
        dataset.write(output, report)
    click.echo(f"{output}: {people} people to train on, {test_people} to test")
