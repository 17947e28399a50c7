"""`hb plugins`: what is installed, what it takes, whether it works, and a new one."""

from __future__ import annotations

import click

from handbone_cli.commands.plugins import check, listing, new, show


@click.group()
def plugins() -> None:
    """List, explain, check and begin plugins."""


for command in (listing.list_, show.show, check.check, new.new):
    plugins.add_command(command)
