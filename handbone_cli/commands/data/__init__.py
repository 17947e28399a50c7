"""`hb data`: make, check and measure data."""

from __future__ import annotations

import click

from handbone_cli.commands.data import audit, check, folds, generate, prepare, stats


@click.group()
def data() -> None:
    """Generate hands; check, prepare, split and measure a dataset."""


for command in (
    generate.generate,
    check.check,
    audit.audit,
    prepare.prepare,
    stats.stats,
    folds.folds,
):
    data.add_command(command)
