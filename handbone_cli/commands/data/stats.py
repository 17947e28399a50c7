"""`hb data stats`: what a dataset is, in one table and one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from handbone_cli.dataset_figures import DatasetFigures


@click.command(short_help="Measure a dataset: one table, one page.")
@click.argument("source", metavar="FOLDER|RECIPE")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option(
    "--meta",
    type=Path,
    metavar="FILE",
    help="Table (.xlsx, .csv) of the people.  [default: meta_data.xlsx or .csv of the data]",
)
@click.option("--json", "json_path", type=Path, metavar="FILE", help="Write every figure as JSON.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes.  [default: one a core, 8 at most]"
)
@click.option(
    "-o", "--output", type=Path, default=Path("stats.html"), show_default=True, help="The page."
)
def stats(
    source: str,
    overrides: tuple[str, ...],
    meta: Path | None,
    json_path: Path | None,
    workers: int | None,
    output: Path,
) -> None:
    """Measure the labels of a dataset: areas, places, overlaps, grey values, poses, outliers.

    Prints a row a bone and writes one HTML page that needs no network. Images and labels that
    cannot be read are listed and left out.

    \b
    hb data stats my_data -o stats.html
    """
    from handbone_cli.commands.wiring.dataset_figures import draw_outliers, find_records
    from handbone_cli.commands.wiring.datasets import open_named_dataset
    from handbone_cli.data.measurements.dataset import measure_dataset
    from handbone_cli.data.processes import default_workers
    from handbone_cli.files import write_json, write_text
    from handbone_cli.host.registry import installed
    from handbone_cli.results.dataset_page.page import GENERATOR, dataset_page
    from handbone_cli.results.dataset_summary import MARK, as_json
    from handbone_cli.terminal.progress import progress

    registry = installed()
    refuse_in_the_way(output, "a page of dataset figures", GENERATOR)
    if json_path is not None:
        if json_path.resolve() == output.resolve():
            raise HandboneError(f"{output}: named for the page and for --json; name two files.")
        refuse_in_the_way(json_path, "a file of dataset figures", MARK)
    dataset = open_named_dataset(source, registry, overrides)
    records = find_records(source, meta, overrides, registry)
    with progress("Measuring") as report:
        figures = measure_dataset(
            source, dataset, records, default_workers() if workers is None else workers, report
        )
    show(figures)
    if json_path is not None:
        write_json(json_path, as_json(figures))
        click.echo(f"{json_path}: written")
    write_text(output, dataset_page(figures, draw_outliers(figures, dataset)))
    click.echo(f"{output}: written")


def show(figures: DatasetFigures) -> None:
    """A row a bone, then what the whole is, then what could not be read."""
    from handbone_cli.results.dataset_summary import HEADINGS, bone_rows, lines
    from handbone_cli.terminal.tables import show_table

    show_table(HEADINGS, bone_rows(figures), title=figures.name)
    for line in lines(figures):
        click.echo(line)
    if figures.problems:
        click.echo(f"left out, {len(figures.problems)}:")
    for problem in figures.problems:
        click.echo(f"  {problem}")


def refuse_in_the_way(path: Path, what: str, mark: str) -> None:
    """Before any work: what is in the way is replaced only if an earlier run of ours made it.

    Raises:
        HandboneError: it is someone else's, or a folder.
    """
    from handbone_cli.files import refuse_foreign

    if path.is_dir():
        raise HandboneError(f"{path}: a folder of that name is in the way; choose another file.")
    refuse_foreign(path, what, lambda head: mark.encode() in head)
