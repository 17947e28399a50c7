from __future__ import annotations

import json

import pytest

from handbone_cli.commands.plugins import check
from handbone_cli.testing import hb

MODULE = '''"""Views."""
{imports}
from handbone_cli import Options, hookimpl

{api}

class ShiftOptions(Options):
    pixels: int = 1
    {described}

class Shift:
    def __init__(self, pixels):
        self.pixels = pixels

    def augment(self, images):
        return images.roll(self.pixels, -1)

    def restore(self, maps, size):
        {restore}

def build(options, context):
    return Shift(options.pixels)

@hookimpl
def handbone_tta(register):
    register("shift", build, options=ShiftOptions, summary="moved along")
'''
GOOD = {
    "imports": "",
    "api": "HANDBONE_API = 1",
    "described": '"""Pixels to the right."""',
    "restore": "return maps.roll(-self.pixels, -1)",
}


@pytest.fixture
def plugin(tmp_path):
    def write(**spoilt):
        (tmp_path / "acme_shift.py").write_text(MODULE.format(**{**GOOD, **spoilt}))
        (tmp_path / "pyproject.toml").write_text(
            '[project]\nname = "acme-shift"\nversion = "2.1"\n'
            '[project.entry-points.handbone]\nshift = "acme_shift"\n'
        )
        return tmp_path

    return write


def failures(done):
    """The lines of what is wrong, without the first."""
    assert done.err.count("hb: ") == 1
    return done.err.partition("hb: ")[2].splitlines()[1:]


def test_a_sound_plugin_is_told_check_by_check(plugin):
    done = hb("plugins", "check", plugin())
    lines = [line.split() for line in done.out.splitlines()]
    assert done.code == 0, done.err
    assert lines[0] == ["kind", "name", "check", "result", "what"]
    assert [tuple(words[:4]) for words in lines[1:-2]] == [
        ("module", "acme_shift", "loads", "passed"),
        ("module", "acme_shift", "api", "passed"),
        ("module", "acme_shift", "light", "passed"),
        ("tta", "shift", "summary", "passed"),
        ("tta", "shift", "options", "passed"),
        ("tta", "shift", "builds", "passed"),
        ("tta", "shift", "shapes", "passed"),
        ("tta", "shift", "inverse", "passed"),
        ("tta", "shift", "whole", "passed"),
        ("tta", "shift", "mirrored", "passed"),
        ("tta", "shift", "inputs", "passed"),
        ("tta", "shift", "batch", "passed"),
    ]
    assert lines[-2][:3] == ["tta", "shift", "gpu"]
    assert done.out.splitlines()[-1].startswith("acme-shift 2.1: 1")
    assert "It says in one line what it is, for `hb plugins list`." in done.out


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        (
            {"imports": "import torch"},
            (
                "  module 'acme_shift', light: importing it loads torch (acme_shift.py:2): "
                "move that import into the function that needs it, or register by path"
            ),
        ),
        (
            {"described": ""},
            (
                "  TTA transform 'shift', options: option 'pixels' is not described: write a "
                "docstring below it, or Field(description=...); `hb plugins show shift` prints it"
            ),
        ),
        (
            {"restore": "return maps.roll(self.pixels, -1)"},
            "  TTA transform 'shift', inverse: (48, 80): maps do not come back as they went",
        ),
        (
            {"restore": "return maps.rol(self.pixels)"},
            (
                "  TTA transform 'shift', shapes, inverse, whole, inputs, batch: AttributeError: "
                "'Tensor' object has no attribute 'rol' (acme_shift.py:19)"
            ),
        ),
        (
            {"api": "HANDBONE_API = 99"},
            (
                "  module 'acme_shift', loads: acme_shift cannot be loaded: it asks for version 99 "
                "of handbone's plugin interface and this handbone has 1; upgrade handbone, or "
                "install an older acme-shift"
            ),
        ),
        (
            {"api": ""},
            (
                "  module 'acme_shift', api: no HANDBONE_API: write `HANDBONE_API = 1` into the "
                "module, so that a handbone that cannot work with it says so"
            ),
        ),
        (
            {"restore": "__import__('os')._exit(0)"},
            (
                "  TTA transform 'shift', shapes, inverse, whole, inputs, batch: SystemExit: "
                "os._exit(0) (acme_shift.py:19)"
            ),
        ),
        (
            {"imports": "import os; os._exit(0)"},
            (
                "  module 'acme_shift', loads: acme_shift cannot be loaded: SystemExit: "
                "os._exit(0) (acme_shift.py:2)"
            ),
        ),
        (
            {"imports": "1 / 0"},
            (
                "  module 'acme_shift', loads: acme_shift cannot be loaded: ZeroDivisionError: "
                "division by zero (acme_shift.py:2)"
            ),
        ),
    ],
)
def test_what_is_wrong_is_one_line(plugin, spoilt, sentence):
    done = hb("plugins", "check", plugin(**spoilt))
    assert done.code == 1
    assert failures(done) == [sentence]
    assert "Traceback" not in done.err
    assert " failed" in done.out


def test_json(plugin):
    done = hb("plugins", "check", plugin(imports="print('hello')"), "--kind", "tta", "--json")
    rows = json.loads(done.out)
    assert done.code == 0
    assert [row["check"] for row in rows][:3] == ["summary", "options", "builds"]
    assert rows[0] == {
        "kind": "tta",
        "name": "shift",
        "check": "summary",
        "outcome": "passed",
        "reason": "",
        "promise": "It says in one line what it is, for `hb plugins list`.",
    }
    assert "acme-shift 2.1: " in done.err
    spoilt = hb("plugins", "check", plugin(restore="return maps"), "--name", "shift", "--json")
    found = {row["check"]: row["outcome"] for row in json.loads(spoilt.out)}
    assert (spoilt.code, found["inverse"], found["shapes"]) == (1, "failed", "passed")


def test_marks_in_a_terminal(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "handbone_cli.terminal.tables.show_table", lambda headings, rows: shown.extend(rows)
    )
    results = [
        (case("one"), check_result("passed")),
        (case("two"), check_result("failed", "no good")),
        (case("three"), check_result("skipped", "no GPU here")),
    ]
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Terminal())
        check.show(results)
    assert [row[3:] for row in shown] == [
        ("✓", "It is one."),
        ("✗", "no good"),
        ("-", "no GPU here"),
    ]


class Terminal:
    def isatty(self):
        return True


def case(name):
    from handbone_cli.testing.cases import Case

    def promise(tried):
        pass

    promise.__name__, promise.__doc__ = name, f"It is {name}."
    return Case("tta", "shift", promise, lambda: None, "acme_shift")


def check_result(*words):
    from handbone_cli.testing.cases import Result

    return Result(*words)


def test_wrong_words(plugin):
    unknown = hb("plugins", "check", "handbonne")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith(
        "hb: no distribution, module or folder is called 'handbonne'. Did you mean 'handbone'?"
    )
    kind = hb("plugins", "check", plugin(), "--kind", "modle")
    assert kind.err.startswith("hb: no kind of plugin is called 'modle'. Did you mean 'models'?")
    assert hb("plugins", "check", plugin(), "--kind", "model").err == (
        "hb: acme-shift has no model.\n"
    )
    assert hb("plugins", "check", plugin(), "--name", "shfit").err == (
        "hb: acme-shift has no component called 'shfit'. Did you mean 'shift'? Known: shift.\n"
    )
