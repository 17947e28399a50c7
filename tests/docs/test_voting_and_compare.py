"""What docs/voting.md and docs/compare.md show is true: the TOML, numbers of people."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from handbone_cli.anatomy.hand import CARPALS, HAND_BONES
from handbone_cli.commands.wiring.voting import bone_groups, make_ballot

ROOT = Path(__file__).parents[2]
VOTING, COMPARE = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("voting", "compare")
)


def test_the_file_of_exceptions(tmp_path):
    path = tmp_path / "votes.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", VOTING, re.DOTALL)[1])
    ballot = make_ballot(HAND_BONES, [Fraction(1)] * 3, Fraction(1, 2), path)
    shares = dict(zip(HAND_BONES, ballot.shares, strict=True))
    assert shares["Pisiform"] == Fraction(3, 5)
    assert {shares[name] for name in CARPALS if name != "Pisiform"} == {Fraction(17, 50)}
    assert shares["Radius"] == Fraction(1, 2)
    assert ballot.votes[HAND_BONES.index("Triquetrum")].tolist() == [1, 1, 3]


def test_the_groups_are_all_named():
    said = re.search(r"Groups are (.*?)\.\n", VOTING, re.DOTALL)[1]
    assert set(re.findall(r"`(\w+)`", said)) == set(bone_groups())


def test_how_many_people_it_takes():
    """The least p of G people is 2 of 2^G flips."""
    least = {people: 2.0 ** (1 - people) for people in range(2, 15)}
    assert min(g for g, p in least.items() if p < 0.05) == 6
    assert min(g for g, p in least.items() if 29 * p < 0.05) == 11
