"""A click group that knows its commands by name and summary, and imports the one that is called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class Announced(click.Command):
    """What help and completion show of a command that is not imported yet.

    Args:
        home: the module that has the command, under its own name.
        name: of the command.
        summary: its line in the group's help.
    """

    def __init__(self, home: str, name: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self.home = home

    def load(self) -> click.Command:
        """The command itself."""
        command: click.Command = getattr(importlib.import_module(self.home), str(self.name))
        return command


class LazyGroup(click.Group):
    """A group of commands that are imported when they are called, and not to be listed.

    Args:
        package: where a module of each command's name has a command of that name.
        summaries: line in the group's help, by command.
    """

    def __init__(
        self, *arguments: Any, package: str, summaries: Mapping[str, str], **attributes: Any
    ) -> None:
        super().__init__(*arguments, **attributes)
        for name, summary in summaries.items():
            self.add_command(Announced(f"{package}.{name}", name, summary))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begins with, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Announced) else command, rest
