"""Options of every command that chooses on people and is judged on people it did not choose on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OPTIONS = (
    click.option(
        "--labels", help="Recipe, folder or CSV with the truth.  [default: the stores' own]"
    ),
    click.option(
        "--allow-seen", is_flag=True, help="Also use images of people a model was trained on."
    ),
    click.option("--all-in", is_flag=True, help="Take the in-sample choice, whatever the verdict."),
    click.option(
        "--folds", type=click.IntRange(2), default=5, show_default=True, help="Groups of people."
    ),
    click.option("--seed", default=21, show_default=True, help="Of the groups of people."),
    click.option("--picture", type=Path, help="Draw the gains of every bone to this file (.svg)."),
    click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]"),
    click.option("-o", "--output", type=Path, required=True, help="Decision (.toml) to write."),
)


def judged(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them in this order, as decorators below one another would."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
