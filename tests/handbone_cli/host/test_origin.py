from __future__ import annotations

import sys

import pytest

from handbone_cli.host.origin import declared_in_source, deepest, home_of, place_of

INNER = """import json

def outer():
    inner()

def inner():
    json.loads('{')
"""
BOTH = """
def inner():
    raise ValueError("deep")

def outer():
    try:
        inner()
    except ValueError as error:
        raise RuntimeError("outer") from error
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in [each for each in sys.modules if each.startswith("origin_")]:
        del sys.modules[name]


def raised(call, *arguments):
    with pytest.raises(Exception) as caught:
        call(*arguments)
    return caught.value


def test_the_deepest_line_of_the_plugin(files):
    files("origin_pkg/__init__.py", "from origin_pkg.inner import outer\n")
    files("origin_pkg/inner.py", INNER)
    import origin_pkg

    error = raised(origin_pkg.outer)
    assert place_of(error, "origin_pkg.inner") == "origin_pkg/inner.py:7"
    assert place_of(error, "json").startswith("json/decoder.py:")
    assert place_of(error, "textwrap") == ""
    assert place_of(error, "no_such_module") == ""


def test_a_cause_counts(files):
    files("origin_cause.py", "def fail():\n    raise ValueError('deep')\n")
    import origin_cause

    def wrap():
        try:
            origin_cause.fail()
        except ValueError as error:
            raise RuntimeError("outer") from error

    assert place_of(raised(wrap), "origin_cause") == "origin_cause.py:2"
    files("origin_both.py", BOTH)
    import origin_both

    assert place_of(raised(origin_both.outer), "origin_both") == "origin_both.py:3"


def test_a_syntax_error_is_where_it_stands(files):
    path = files("origin_syntax.py", "x = 1\ny = (\n")
    error = raised(compile, path.read_text(), str(path), "exec")
    assert place_of(error, "origin_syntax") == "origin_syntax.py:2"


def test_homes(files):
    package = files("origin_home/__init__.py", "")
    single = files("origin_single.py", "")
    assert home_of("origin_home") == home_of("origin_home.deeper") == package.parent
    assert home_of("origin_single") == single
    assert home_of("no_such_module") is home_of("") is None
    lines = [(str(single), 1), (str(package), 2), ("<string>", 3), (str(single), None)]
    assert deepest(lines, package.parent) == "origin_home/__init__.py:2"
    assert deepest(lines, single) == "origin_single.py:None"
    assert deepest(lines, None) == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("HANDBONE_API = 3\n", 3),
        ("import torch\nHANDBONE_API: int = 12  # why\n", 12),
        ("HANDBONE_API = API_VERSION\n", None),
        ("# HANDBONE_API = 3\n", None),
        ("x = 'HANDBONE_API = 3'\n", None),
        ("HANDBONE_API_2 = 3\n", None),
        ("", None),
    ],
)
def test_what_a_text_declares(files, text, version):
    files("origin_text.py", text)
    assert declared_in_source("origin_text") == version


def test_a_text_that_cannot_be_read_declares_nothing(files):
    files("origin_bytes.py", "").write_bytes(b"\xff\xfe")
    assert declared_in_source("origin_bytes") is None
    assert declared_in_source("no_such_module") is None
    files("origin_raising/__init__.py", "1 / 0\n")
    files("origin_raising/plugin.py", "HANDBONE_API = 3\n")
    assert declared_in_source("origin_raising.plugin") is None
