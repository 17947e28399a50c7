"""Metrics of many images and bones: their summaries by bone, side, pose, sex and age."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from handbone_cli.anatomy.hand import CARPALS, FINGERS, FOREARM
from handbone_cli.errors import HandboneError, closest
from handbone_cli.files import write_json, write_text
from handbone_cli.metrics.plan import PAIR_METRIC, Column
from handbone_cli.scores import clustered_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.bone_groups import BoneGroups, Pair

Part: TypeAlias = "tuple[str, Sequence[int]]"
"""A label and the places of what has it."""
IMAGE_KEYS = ("side", "pose", "sex", "age")
BONE_KEYS = ("bone", "region", "group")
KEYS = (*BONE_KEYS, *IMAGE_KEYS)
UNKNOWN = "unknown"
REGIONS = {**FINGERS, "carpals": CARPALS, "forearm": FOREARM}
COLUMNS = (
    "by", *KEYS, "heading", "metric", "unit", "tolerance", "mean", "standard_error", "median",
    "lowest", "highest", "count", "left_out", "images", "people",
)  # fmt: skip
"""Of a table in CSV; in JSON every row has them as keys."""
VALUE_COLUMNS = ("image_id", "person", "bone", *IMAGE_KEYS)
"""What stands before the metrics of every image and bone."""
MARK = "handbone_metrics"
"""First key of a table in JSON."""
FREQUENT = 0.5
"""Of the labels with both bones: the share in which they overlap to be a frequent pair."""


@dataclass(frozen=True, eq=False)
class Block:
    """Figures of N images and of several items each: bones, or pairs of them.

    Attributes:
        names: of the I items.
        columns: of the M metrics.
        values: (N, I, M); nan where there is nothing to measure, inf where a bone is missing.
        sections: key of `BONE_KEYS` -> (label, places of its items), in order.
    """

    names: Sequence[str]
    columns: Sequence[Column]
    values: NDArray[np.float64]
    sections: Mapping[str, Sequence[Part]]


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of N images.

    Attributes:
        image_ids: N names.
        persons: whose they are.
        traits: key of `IMAGE_KEYS` -> N words, `UNKNOWN` where nobody knows.
        blocks: the bones, and the pairs that overlap if they were asked for.
    """

    image_ids: Sequence[str]
    persons: Sequence[str]
    traits: Mapping[str, Sequence[str]]
    blocks: Sequence[Block]

    def rows(self, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The summary by some keys crossed, a row a metric; over everything without keys.

        Endless distances and nan are left out of the figures: `left_out` counts the endless ones.
        The standard error is clustered by person.
        """
        found = []
        for block in self.blocks:
            for labels, images, items in self._groups(keys, block):
                part = block.values[np.ix_(images, items)]
                people = np.repeat(np.array(self.persons)[images], len(items))
                found += [
                    {**dict.fromkeys(COLUMNS), "by": "+".join(keys) or "all", **labels, **figures}
                    for figures in _summaries(part, block.columns, people, len(images))
                ]
        return found

    def _groups(
        self, keys: Sequence[str], block: Block
    ) -> Iterator[tuple[dict[str, str], NDArray[np.intp], NDArray[np.intp]]]:
        """The labels, the images and the items of every group that has some of both."""
        own = {**block.sections, **{key: self._images_by(key) for key in self.traits}}
        for parts in product(*(own[key] for key in keys)):
            labels = {key: label for key, (label, _) in zip(keys, parts, strict=True)}
            items, images = set(range(len(block.names))), set(range(len(self.image_ids)))
            for key, (_, places) in zip(keys, parts, strict=True):
                (images if key in IMAGE_KEYS else items).intersection_update(places)
            if items and images:
                yield labels, np.array(sorted(images)), np.array(sorted(items))

    def _images_by(self, key: str) -> list[Part]:
        """The places of the images that every word of a trait is said of, the unknown last."""
        words = self.traits[key]
        order = sorted(set(words))  # no trait has a word that comes after UNKNOWN
        return [(word, [n for n, each in enumerate(words) if each == word]) for word in order]

    def write_values(self, path: Path) -> None:
        """One row an image and bone (or pair): its names, its traits, then every metric.

        Nothing stands where there is nothing to measure; `inf` where one mask is empty.
        """
        columns = [column for block in self.blocks for column in block.columns]
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*VALUE_COLUMNS, *(_name(column) for column in columns)])
        for place, image_id in enumerate(self.image_ids):
            known = [self.traits[key][place] if key in self.traits else "" for key in IMAGE_KEYS]
            for block in self.blocks:
                for item, name in enumerate(block.names):
                    figures = dict(zip(block.columns, block.values[place, item], strict=True))
                    cells = [_cell(figures.get(column)) for column in columns]
                    rows.writerow([image_id, self.persons[place], name, *known, *cells])
        write_text(path, text.getvalue())


def parse_breakdowns(text: str) -> list[tuple[str, ...]]:
    """Keys from 'bone,bone+side': each is a table, those with + between them are crossed.

    Raises:
        HandboneError: an unknown key, or none.
    """
    found = [tuple(key.strip() for key in each.split("+")) for each in text.split(",")]
    for key in (key for keys in found for key in keys):
        if key not in KEYS:
            raise HandboneError(f"--by: nothing is called '{key}'. {closest(key, KEYS)}")
    return list(dict.fromkeys(tuple(dict.fromkeys(keys)) for keys in found))


def bone_sections(class_names: Sequence[str], groups: BoneGroups) -> dict[str, Sequence[Part]]:
    """The sections of bones: each alone, by region of the hand, and the groups of the labels."""
    numbered = list(enumerate(class_names))
    regions: list[Part] = [
        (name, [place for place, bone in numbered if bone in bones])
        for name, bones in REGIONS.items()
    ]
    overlapping = sorted({bone for pair in groups.pairs for bone in pair})
    plain = [place for place, _ in numbered if place not in {*groups.small, *overlapping}]
    return {
        "bone": [(name, [place]) for place, name in numbered],
        "region": regions,
        "group": [("small", groups.small), ("overlapping", overlapping), ("others", plain)],
    }


def frequent_pairs(
    shared: NDArray[np.int64], areas: NDArray[np.int64], pairs: Sequence[Pair]
) -> list[int]:
    """The places of the pairs that overlap in half of the labels that have both bones, or more.

    Args:
        shared: (N, P) pixels that the two bones of every pair share in the labels.
        areas: (N, C) pixels of every bone in the labels.
        pairs: P.
    """
    one, other = np.array(pairs, np.intp).reshape(-1, 2).T
    together = (areas[:, one] > 0) & (areas[:, other] > 0)
    share = (shared > 0).sum(axis=0) / np.maximum(together.sum(axis=0), 1)
    return [int(place) for place in np.flatnonzero(share >= FREQUENT)]


def pair_block(names: Sequence[str], values: NDArray[np.float64]) -> Block:
    """The Dice of overlaps (N, P) as a block whose items are the pairs."""
    everything = [("pairs", range(len(names)))]
    each = [(name, [place]) for place, name in enumerate(names)]
    sections: dict[str, Sequence[Part]] = {"bone": each, "region": everything, "group": everything}
    return Block(names, [Column(PAIR_METRIC)], values[:, :, None], sections)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `Measures.rows` as JSON or, of any other suffix, as CSV."""
    if path.suffix == ".json":
        write_json(path, {MARK: 1, "rows": rows})
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_cell(row[name]) for name in COLUMNS] for row in rows)
    write_text(path, text.getvalue())


def is_metric_table(head: bytes) -> bool:
    """Whether a file that begins so is one that `write_rows` wrote."""
    ours = head.lstrip(b"{ \n")
    return head.startswith(",".join(COLUMNS).encode()) or ours.startswith(json.dumps(MARK).encode())


def is_value_table(head: bytes) -> bool:
    """Whether a file that begins so is one that `write_values` wrote."""
    return head.startswith(",".join(VALUE_COLUMNS).encode())


def _summaries(
    part: NDArray[np.float64], columns: Sequence[Column], people: NDArray[np.str_], images: int
) -> Iterator[dict[str, Any]]:
    """The figures of every metric of a part (n, i, M); a metric with nothing to tell has None."""
    for place, column in enumerate(columns):
        values = part[:, :, place].ravel()
        there = np.isfinite(values)
        kept = values[there]
        error = clustered_error(kept, list(people[there])) if len(kept) else np.nan
        figures = (kept.mean(), error, np.median(kept), kept.min(), kept.max()) if len(kept) else ()
        said = [None if np.isnan(each) else float(each) for each in figures] or [None] * 5
        yield {
            "heading": column.heading,
            "metric": column.metric,
            "unit": column.unit,
            "tolerance": column.tolerance,
            **dict(zip(COLUMNS[COLUMNS.index("mean") :], said, strict=False)),
            "count": len(kept),
            "left_out": int(np.isinf(values).sum()),
            "images": images,
            "people": len(set(people)),
        }


def _name(column: Column) -> str:
    return column.heading.replace(" ", "_")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
