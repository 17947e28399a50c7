"""CONTRIBUTING.md: what it names is there. Its pages on plugins: tests/docs/test_plugins.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handbone_cli.host.hookspecs import KINDS, singular

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page(kind):
    assert f"(docs/plugins/{singular(kind)}.md)" in TEXT


def test_the_files_that_it_names_are_there():
    code = re.findall(r"`([\w./]+/[\w./]+)`", TEXT)
    assert len(code) > 10
    missing = [path for path in code if not (ROOT / path).exists() and not path.startswith("data")]
    assert not missing
