"""From the words of `hb ensemble vote` to a ballot: weights, shares, bones by name or group."""

from __future__ import annotations

import csv
import gzip
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from handbone_cli.decision.vote import Ballot

ONE = Fraction(1)
TABLES = ("share", "weights")
"""What a file of exceptions holds: a table each, with bones or groups as keys."""


def make_ballot(
    class_names: Sequence[str],
    weights: Sequence[Fraction],
    share: Fraction,
    exceptions: Path | None = None,
    replaced: Sequence[Sequence[str]] = (),
) -> Ballot:
    """The ballot of members that vote and, behind them, of those that replace bones.

    Args:
        class_names: C names.
        weights: of the M members that vote.
        share: of the votes, of which a bone needs more.
        exceptions: a TOML with other weights and shares for some bones.
        replaced: the bones of every member that replaces some; there it votes alone.

    Raises:
        HandboneError: one sentence on the bone, weight or share that is wrong.
    """
    from handbone_cli.decision.vote import cast

    rows = {name: list(weights) for name in class_names}
    shares = dict.fromkeys(class_names, share)
    if exceptions is not None:
        tables = _tables(exceptions)
        rows.update(_rows(exceptions, tables.get("weights", {}), class_names, len(weights)))
        shares.update(_shares(exceptions, tables.get("share", {}), class_names))
    zero = Fraction(0)
    rows = {name: [*row, *(zero for _ in replaced)] for name, row in rows.items()}
    for place, bones in enumerate(replaced, start=len(weights)):
        for name in bones:
            rows[name] = [ONE if member == place else zero for member in range(len(rows[name]))]
    return cast(list(rows.values()), list(shares.values()))


def parse_weights(text: str, members: int) -> list[Fraction]:
    """'2,1,1': a weight a member, or the sentence that says what is wrong."""
    words = text.split(",")
    if len(words) != members:
        raise HandboneError(
            f"--weights {text}: {len(words)} weights; expected {members}, one for each file."
        )
    return [_fraction(word.strip(), f"--weights {text}") for word in words]


def parse_share(text: str) -> Fraction:
    """'0.5', also '2/3': a share from 0 to below 1."""
    return _fraction(text, f"--share {text}")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """'2048x1600', or '2048' for a square: rows x columns."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?", text)
    if not found:
        raise HandboneError(f"--size {text}: expected ROWSxCOLUMNS, as 2048x1600.")
    return int(found[1]), int(found[2] or found[1])


def parse_replacement(text: str) -> tuple[list[str], Path]:
    """'Triquetrum,carpals=b.csv': bones or groups, and where they are from."""
    bones, equals, path = text.partition("=")
    words = [word.strip() for word in bones.split(",")]
    if not equals or not path or not all(words):
        raise HandboneError(f"--replace {text}: expected BONES=FILE, as Triquetrum,Pisiform=b.csv.")
    return words, Path(path)


def named_bones(words: Sequence[str], class_names: Sequence[str], where: str) -> list[str]:
    """The classes that names of bones and groups (carpals, thumb) stand for.

    Raises:
        HandboneError: a name is neither, or a group of which no bone is among the classes.
    """
    groups, found = bone_groups(), list[str]()
    for word in words:
        bones = [word] if word in class_names else groups.get(word, ())
        there = [bone for bone in bones if bone in class_names]
        if not there:
            hint = closest(word, [*class_names, *groups])
            raise HandboneError(f"{where}: no bone or group is called '{word}'. {hint}")
        found += there
    return list(dict.fromkeys(found))


def bone_groups() -> dict[str, tuple[str, ...]]:
    """The groups that have a name: each finger's ray, all of them, carpals, forearm."""
    from handbone_cli.anatomy.hand import CARPALS, FINGERS, FOREARM

    rays = tuple(bone for ray in FINGERS.values() for bone in ray)
    return {**FINGERS, "fingers": rays, "carpals": CARPALS, "forearm": FOREARM}


def image_suffix(path: Path) -> str:
    """What the first image name of a submission has after the image id: '.png', or nothing."""
    from handbone_cli.results.submission_rows import GZIP_MAGIC, image_id_of

    with path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    opener = gzip.open if packed else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
        name = next(csv.DictReader(text))["image_name"]
    return name[len(image_id_of(name)) :]


def _tables(path: Path) -> dict[str, Any]:
    from handbone_cli.files import require
    from handbone_cli.recipe.load import parse_toml

    tables = parse_toml(require(path, "a TOML with tables [share] and [weights]"))
    for key, value in tables.items():
        if key not in TABLES:
            raise HandboneError(f"{path}: no table is called '{key}'. {closest(key, TABLES)}")
        if not isinstance(value, dict):
            raise HandboneError(f"{path}: {key} is no table; expected [{key}] with bones below it.")
    return tables


def _rows(
    path: Path, table: Mapping[str, Any], class_names: Sequence[str], members: int
) -> Iterator[tuple[str, list[Fraction]]]:
    for key, bones in _by_bone(path, "weights", table, class_names):
        value, where = table[key], f"{path}: weights.{key}"
        if not isinstance(value, list) or len(value) != members:
            raise HandboneError(f"{where}: expected a list of {members} weights, one a file.")
        row = [_fraction(each, where) for each in value]
        yield from ((bone, row) for bone in bones)


def _shares(
    path: Path, table: Mapping[str, Any], class_names: Sequence[str]
) -> Iterator[tuple[str, Fraction]]:
    for key, bones in _by_bone(path, "share", table, class_names):
        value = _fraction(table[key], f"{path}: share.{key}")
        yield from ((bone, value) for bone in bones)


def _by_bone(
    path: Path, name: str, table: Mapping[str, Any], class_names: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """The keys with their bones; groups first, so that a bone's own name overrules its group."""
    found = [(key, named_bones([key], class_names, f"{path}: {name}.{key}")) for key in table]
    return sorted(found, key=lambda each: each[0] in class_names)


def _fraction(value: object, where: str) -> Fraction:
    """A number as it was written: 0.1 is one tenth, not its nearest binary."""
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        pass
    raise HandboneError(f"{where}: '{value}' is no number.")
