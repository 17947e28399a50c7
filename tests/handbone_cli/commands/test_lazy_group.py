import sys

import click
import pytest

from handbone_cli.commands.lazy_group import LazyGroup


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A group of two commands, of which `broken` cannot be imported."""
    package = tmp_path / "lazily"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "broken.py").write_text("raise RuntimeError('imported')\n")
    (package / "say.py").write_text(
        "import click\n\n@click.command()\n@click.argument('what')\n"
        "def say(what):\n    click.echo(what)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield LazyGroup("group", package="lazily", summaries={"broken": "Fail.", "say": "Speak."})
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazily"]:
        del sys.modules[name]


def test_a_command_is_imported_when_it_is_called(group, capsys):
    group.main(["say", "hello"], standalone_mode=False)
    assert capsys.readouterr().out == "hello\n"
    assert "lazily.say" in sys.modules
    with pytest.raises(RuntimeError, match="imported"):
        group.main(["broken"], standalone_mode=False)


def test_help_imports_none(group):
    text = group.get_help(click.Context(group))
    assert text.endswith("Commands:\n  broken  Fail.\n  say     Speak.")
    assert [name for name in sys.modules if name.startswith("lazily")] == []


def test_a_command_that_is_imported_can_stand_beside(group, capsys):
    group.add_command(click.Command("now", callback=lambda: click.echo("now")))
    group.main(["now"], standalone_mode=False)
    assert capsys.readouterr().out == "now\n"


def test_an_unknown_command_is_a_mistake_of_usage(group):
    with pytest.raises(click.UsageError, match="No such command 'sing'"):
        group.main(["sing"], standalone_mode=False)
