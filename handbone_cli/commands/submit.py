"""`hb submit`: masks to a CSV, checked by reading it back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handbone_cli.masks import PackedMask


@click.command(short_help="Write masks as a CSV and read it back.")
@click.argument("masks", type=Path)
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--suffix", default=".png", show_default=True, help="Of image names in the CSV.")
@click.option("-o", "--output", type=Path, required=True, help="CSV to write.")
def submit(masks: Path, on: tuple[Path, ...], suffix: str, output: Path) -> None:
    """Write the submission of MASKS, a store or a decision (.toml), and read it back.

    \b
    hb submit stores/first_test -o submission.csv
    hb submit ensemble.toml --on stores/a_test --on stores/b_test -o submission.csv
    """
    from handbone_cli.commands.wiring.masks import open_masks, require_complete
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.results.submission import verify_submission, write_submission
    from handbone_cli.results.submission_rows import is_submission
    from handbone_cli.terminal.progress import progress, say

    refuse_foreign(output, "a submission", is_submission)
    source, stores = open_masks(masks, installed(), on)
    require_complete(source, stores)
    if masks.suffix == ".toml" and not on:
        named = ", ".join(str(store.path) for store in stores)
        say(f"{masks}: no --on, so on the stores that its weights were chosen on: {named}")
    with progress("Writing") as report:
        write_submission(
            output, source.image_ids, source.class_names, source.mask, suffix=suffix, report=report
        )
    with progress("Reading back") as report:
        seen = itertools.count(1)

        def again(image_id: str) -> PackedMask:
            report(next(seen), len(source.image_ids))
            return source.mask(image_id)

        verify_submission(output, source.image_ids, source.class_names, again)
    rows = len(source.image_ids) * len(source.class_names)
    click.echo(f"{output}: {rows} rows of {len(source.image_ids)} images, read back and equal")
