from __future__ import annotations

import re
from pathlib import Path

from handbone_cli.metrics.plan import METRICS
from handbone_cli.results.measures import KEYS
from handbone_cli.testing import hb

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")


def rows(heading):
    """First cells of the table below a heading."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [name for line in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", line)]  # fmt: skip


def test_every_metric_and_every_key_is_told_of():
    assert set(rows("The metrics")) == set(METRICS)
    assert set(rows("Break-downs")) == set(KEYS)


def test_every_option_that_is_told_of_exists():
    told = set(re.findall(r"^\| `(--?\w+)", PAGE, re.MULTILINE))
    said = hb("evaluate", "--help").out
    assert len(told) == 12
    assert all(re.search(rf"{option}\b", said) for option in told)
