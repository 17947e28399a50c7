import os

import click
import pytest
from click.shell_completion import ShellComplete

from handbone_cli.cli import COMMANDS, hb, main
from handbone_cli.testing import hb as run


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_a_command_what_the_command_says(name):
    _, command, rest = hb.resolve_command(click.Context(hb), [name, "--help"])
    assert (command.name, rest, command.hidden) == (name, ["--help"], False)
    assert command.get_short_help_str(limit=100) == COMMANDS[name]


def test_help_lists_every_command():
    shown = run("--help").out.split("Commands:\n")[1].splitlines()
    width = max(map(len, COMMANDS))
    assert shown == [f"  {name:{width}}  {says}" for name, says in COMMANDS.items()]


def test_a_typo_names_the_command_that_is_meant():
    outcome = run("trian")
    assert outcome.code == 2
    assert "No such command 'trian'" in outcome.err


def test_a_shell_completes_commands_and_their_options():
    shell = ShellComplete(hb, {}, "hb", "_HB_COMPLETE")
    found = shell.get_completions([], "s")
    assert [(each.value, each.help) for each in found] == [
        (name, COMMANDS[name]) for name in ("schedule", "store", "submit")
    ]
    assert [each.value for each in shell.get_completions(["data"], "s")] == ["stats"]
    assert [each.value for each in shell.get_completions(["train"], "--fi")] == ["--finetune"]


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_torch_is_told_of_huge_pages_unless_the_user_says(monkeypatch, before, after):
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    if before is not None:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", before)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == after
