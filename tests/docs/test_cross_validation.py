"""What docs/cross_validation.md shows is true: the keys of a continuation."""

from __future__ import annotations

import re
from pathlib import Path

from handbone_cli.commands.wiring.finetuning import continuation
from handbone_cli.host.registry import installed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cross_validation.md").read_text(encoding="utf-8")


def test_the_table_names_what_a_continuation_changes(trained_run):
    _, changes = continuation(trained_run.run, installed())
    shown = re.findall(r"^\| `([a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(change.split("=")[0] for change in changes)
