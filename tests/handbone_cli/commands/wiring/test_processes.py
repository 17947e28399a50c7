from __future__ import annotations

import click
import pytest

from handbone_cli.commands.predict import predict
from handbone_cli.commands.wiring.processes import open_output, words_of
from handbone_cli.errors import HandboneError
from handbone_cli.networks import collectives

SAID = [
    ["runs/first", "-i", "val", "-o", "store"],
    ["--uniform", "-i", "-", "-ostore", "--devices", "2", "--", "-run-"],
    ["run", "-i", "a b", "-o", "s", "--tta", "hflip", "--tta=scale:factor=0.8", "--whole"],
    ["run", "-i", "x", "-o", "s", "--sliding", "--workers", "0", "--masks", "m", "--stride", "8"],
]


def parse(words):
    context = predict.make_context("predict", list(words))
    return context, {k: v for k, v in context.params.items() if k != "devices"}


@pytest.mark.parametrize("said", SAID)
def test_the_words_of_a_command_line_mean_the_same(said):
    context, meant = parse(said)
    name, *words = words_of(context, "devices")
    assert name == "predict"
    assert not [word for word in words if "devices" in word]
    assert parse(words)[1] == meant
    assert "--gaussian" not in words  # what was not said is left to the recipe


def test_flags_that_have_no_opposite():
    @click.command
    @click.argument("names", nargs=-1)
    @click.option("--loud", is_flag=True)
    @click.option("--times", default=1)
    def greet(names, loud, times):
        """Never called."""

    context = greet.make_context("greet", ["a", "--loud", "b"])
    assert words_of(context, "times") == ["greet", "--loud", "--", "a", "b"]


def test_processes_that_found_other_images_are_refused(tmp_path, monkeypatch):
    open_output(tmp_path / "ok", ["Radius"], {}, ["a"], None).close()
    monkeypatch.setattr(collectives, "collect", lambda found: [*found, "of another"])
    with pytest.raises(HandboneError, match=r"store: the processes of this prediction have found"):
        open_output(tmp_path / "store", ["Radius"], {}, ["a"], None)
    assert not (tmp_path / "store").exists()


def test_another_process_than_the_first_opens_no_store(tmp_path, monkeypatch):
    first = open_output(tmp_path / "store", ["Radius"], {}, ["a"], None)
    monkeypatch.setattr("handbone_cli.ranks.rank", lambda: 1)
    part = open_output(tmp_path / "store", ["Radius"], {}, ["a"], None)
    assert type(part).__name__ == "StorePart"
    assert (tmp_path / "store" / "writer.1.lock").exists()
    part.close()
    first.close()
    with pytest.raises(HandboneError, match="expected a store"):
        open_output(tmp_path / "none", ["Radius"], {}, ["a"], None)
