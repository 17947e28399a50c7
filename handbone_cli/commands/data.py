"""`hb data`: make and check data."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def data() -> None:
    """Generate hands, and check what a dataset holds."""


@data.command(short_help="Draw hands as radiographs, with outlines.")
@click.option("-o", "--output", type=Path, required=True, help="Folder to write.")
@click.option("--people", default=20, show_default=True, help="People to train on, two hands each.")
@click.option("--test-people", default=4, show_default=True, help="People for the test part.")
@click.option("--size", default=2048, show_default=True, help="Side of the images, px.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same hands.")
def generate(output: Path, people: int, test_people: int, size: int, seed: int) -> None:
    """Draw hands as radiographs with their outlines, in the competition's layout.

    \b
    hb data generate -o my_data --people 40 --size 1024
    """
    from handbone_cli.host.interfaces import DatasetContext, WritableDataset
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress

    options = {"people": people, "test_people": test_people, "size": size, "generator_seed": seed}
    dataset = installed().build("datasets", "generated", options, DatasetContext(None))
    assert isinstance(dataset, WritableDataset)
    with progress("Drawing", "hands") as report:
        dataset.write(output, report)
    click.echo(f"{output}: {people} people to train on, {test_people} to test")


@data.command(short_help="Report what is wrong with a dataset.")
@click.argument("source", metavar="FOLDER|RECIPE")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
def check(source: str, overrides: tuple[str, ...]) -> None:
    """Report what is wrong with a dataset: images without labels, unknown or missing bones ...

    \b
    hb data check my_data
    """
    from handbone_cli.commands.wiring.datasets import open_named_dataset
    from handbone_cli.host.registry import installed

    dataset = open_named_dataset(source, installed(), overrides)
    for split in ("train", "test"):
        samples = dataset.samples(split)
        labelled = sum(sample.read_polygons is not None for sample in samples)
        people = len({sample.person for sample in samples})
        click.echo(f"{split}: {len(samples)} images of {people} people, {labelled} with labels")
    problems = dataset.problems()
    for problem in problems:
        click.echo(problem)
    click.echo(f"{len(problems)} problems" if problems else "no problems")
    if problems:
        raise click.exceptions.Exit(1)
