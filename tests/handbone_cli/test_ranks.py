from __future__ import annotations

import pytest

from handbone_cli.ranks import NEEDED, is_main, rank, rank_count, share


@pytest.fixture
def second_of_three(monkeypatch):
    for key, value in zip(NEEDED, ("1", "3", "localhost", "1234"), strict=True):
        monkeypatch.setenv(key, value)


def test_a_process_by_itself(monkeypatch):
    for key in NEEDED:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some clusters say in every job
    assert (rank(), rank_count(), is_main(), list(share("abc"))) == (0, 1, True, list("abc"))


def test_one_of_several(second_of_three):
    assert (rank(), rank_count(), is_main(), list(share("abcde"))) == (1, 3, False, ["b", "e"])


def test_only_the_first_speaks(second_of_three, capsys):
    from handbone_cli.terminal.progress import progress, say

    say("hello")
    with progress("Counting") as report:
        report(1, 1)
    assert capsys.readouterr().err == ""
