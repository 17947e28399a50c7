"""Every `hb` command that README.md and a page of docs/ show: it exists, and takes its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from handbone_cli.cli import hb
from handbone_cli.recipe.load import find_recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BREAKS = {"|", "&&", ";", "do", "then", "&"}
NUMBERS = {"K": "0", "N": "2"}
"""What stands for a number on a page."""


def shown(page):
    """The words of each command in the page's shell blocks, pipes and loops taken apart."""
    text = page.read_text(encoding="utf-8")
    for language, block in re.findall(
        r"^```(sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    ):
        for line in block.replace("\\\n", " ").splitlines():
            if language == "console" and not line.startswith("$ "):
                continue
            said: list[str] = []
            for word in [*shlex.split(line.removeprefix("$ "), comments=True), ";"]:
                cut = word in BREAKS or word.endswith(";")
                said += [] if word in BREAKS else [word.removesuffix(";")]
                if cut:
                    if said[:1] == ["hb"]:
                        yield said[1:]
                    said = []


COMMANDS = [(page.relative_to(ROOT), words) for page in PAGES for words in shown(page)]


def parse(words):
    """Resolve a command as `hb` would, and parse its options; nothing is run."""
    command, path = hb, "hb"
    context = click.Context(hb, info_name="hb")
    words = [NUMBERS.get(word, word) for word in words]
    while isinstance(command, click.Group):
        if not words:
            return context
        name, command, words = command.resolve_command(context, words)
        path = f"{path} {name}"
        context = click.Context(command, info_name=name, parent=context)
    return command.make_context(path, list(words))


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS]
)
def test_a_command_and_its_options_exist(page, words):
    if "--help" not in words and "--version" not in words:  # which end the program
        parse(words)


def test_recipes_named_in_the_text_are_shipped():
    readme = [words for page, words in COMMANDS if page.name == "README.md"]
    named = {context.params.get("recipe") for context in map(parse, readme)} - {None}
    flat = {each for name in named for each in ([name] if isinstance(name, str) else name)}
    shipped = {name for name in flat if not name.endswith(".toml")}
    assert {"nnunet", "hrnet_w48", "quickstart", "ensembles/winners"} <= shipped
    for name in shipped:
        assert find_recipe(name).is_file()


def test_pages_with_commands():
    """No page lost all of its commands to a block of another language."""
    names = {page.name for page, _ in COMMANDS}
    assert len(COMMANDS) > 100
    assert names >= {"README.md", "pretrained.md", "store.md", "tta.md", "voting.md", "compare.md"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hb train quickstart --no-such-option 1", "No such option"),
        ("hb ensemble optimise a b -o c.toml", "No such command"),
        ("hb predict runs/first -o store", "Missing option"),
        ("hb evaluate", "Missing argument"),
    ],
)
def test_the_check_sees_what_is_wrong(line, expected):
    with pytest.raises(click.UsageError) as raised:
        parse(shlex.split(line)[1:])
    assert expected in raised.value.format_message()
