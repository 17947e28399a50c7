"""What docs/cross_validation.md shows is true: its commands, and the keys of a continuation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from handbone_cli.cli import hb
from handbone_cli.commands.wiring.finetuning import continuation
from handbone_cli.host.registry import installed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cross_validation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"`(hb train [^`]*)`", PAGE.replace("\n", " "))
LINES = [*(line for block in BLOCKS for line in block.splitlines()), *INLINE]


@pytest.mark.parametrize("line", LINES)
def test_commands_and_options_exist(line):
    words = shlex.split(line, comments=True)[1:]
    command, context = hb, click.Context(hb, info_name="hb")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    numbered = ["0" if word == "K" else word for word in words]
    assert command.make_context("hb", numbered).params


def test_the_table_names_what_a_continuation_changes(trained_run):
    _, changes = continuation(trained_run.run, installed())
    shown = re.findall(r"^\| `([a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(change.split("=")[0] for change in changes)
