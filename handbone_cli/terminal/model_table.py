"""Models and what they cost: a table of many, the figures of one, what the figures mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handbone_cli.terminal.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GIB = 2**30
OURS = "handbone"
MISSING = "-"
HEADINGS = ("model", "params", "GMACs", "GiB", "pretrained", "arXiv")
MEANING = """
GMACs of a forward pass, GiB of a training step at its peak, both of one image
of 1024 x 1024 px and 29 classes. The step is in float32 with AdamW: weights,
gradients, two moments, what backward keeps, temporaries, a cross-entropy.
CUDA itself and the work space of its convolutions come on top."""


def show_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of models, what its figures mean, and why some are missing.

    Args:
        rows: objects as `hb models list --json` prints them.
    """
    show_table(HEADINGS, [_cells(row) for row in rows])
    print(MEANING)
    batches = sorted({row["batch"] for row in rows if row["memory_bytes"] and row["batch"] > 1})
    if batches:
        fewest = " or ".join(str(each) for each in batches)
        print(f"* of {fewest} images, the fewest that the model trains on.")
    foreign = [row for row in rows if row["distribution"] != OURS]
    for origin in sorted({f"{row['distribution']} {row['version']}" for row in foreign}):
        theirs = [r["name"] for r in foreign if f"{r['distribution']} {r['version']}" == origin]
        print(f"from {origin}: {', '.join(theirs)}")
    for row in rows:
        if row["reason"]:
            print(f"{row['name']}: {row['reason']}")


def show_figures(row: Mapping[str, Any]) -> None:
    """Print one model's figures, a line each."""
    _, million, macs, memory, weights, _ = (cell.strip(" *") for cell in _cells(row))
    batch = row["batch"]
    images = "1 image" if batch == 1 else f"{batch} images, the fewest that it trains on"
    figures = {
        "parameters": f"{row['parameters']:,} ({million})",
        "forward pass": macs if macs == MISSING else f"{macs} GMACs, 1 image",
        "training step": memory if memory == MISSING else f"{memory} GiB, {images}, float32, AdamW",
        "image": "1024 x 1024 px, 1 channel, 29 classes",
        "divisor": f"{row['divisor']} px; height and width are padded to its multiples",
        "minimum": f"{row['minimum']} px a side",
        "minimum_batch": batch,
        "pretrained": weights,
        "paper": row["paper"] or MISSING,
    }
    show_table(("figure", "value"), list(figures.items()))
    if row["reason"]:
        print(row["reason"])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    parameters, macs, memory = row["parameters"], row["macs"], row["memory_bytes"]
    return (
        row["name"],
        MISSING if parameters is None else f"{parameters / 1e6:5.1f} M",
        MISSING if macs is None else f"{macs / 1e9:6.1f}",
        MISSING if memory is None else f"{memory / GIB:4.1f}{'*' if row['batch'] > 1 else ''}",
        "yes" if row["pretrained"] else "no",
        _number(row["paper"]),
    )


def _number(paper: str) -> str:
    """A paper's number at arXiv; of another just what it is, since a DOI is longer than a cell."""
    where, _, number = paper.partition(":")
    return number if where == "arXiv" else where or MISSING
