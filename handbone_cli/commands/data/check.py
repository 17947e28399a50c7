"""`hb data check`: what a dataset holds and what is wrong with its files."""

from __future__ import annotations

import click


@click.command(short_help="Report what is wrong with a dataset.")
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
        labelled = sum(sample.read_labels is not None for sample in samples)
        people = len({sample.person for sample in samples})
        click.echo(f"{split}: {len(samples)} images of {people} people, {labelled} with labels")
    problems = dataset.problems()
    for problem in problems:
        click.echo(problem)
    click.echo(f"{len(problems)} problems" if problems else "no problems")
    if problems:
        raise click.exceptions.Exit(1)
