"""`hb store`: what is in a store, whether it is whole, and the ways in and out."""

from __future__ import annotations

import click

from handbone_cli.commands.store import exporting, importing, info, verify


@click.group()
def store() -> None:
    """Look into stores of probabilities; import and export them."""


for command in (info.info, verify.verify, importing.import_, exporting.export):
    store.add_command(command)
