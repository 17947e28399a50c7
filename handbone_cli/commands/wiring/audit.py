"""An audit's inputs opened and its findings drawn: a picture each and a page of them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.data.audit.finding import AuditReport, Finding
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import Box

PAGE, FINDINGS, SHEET, PICTURES = "index.html", "findings.json", "contact_sheet.png", "pictures"
AROUND = 0.06  # of the image's longer side, shown around a finding
TILE, COLUMNS, SIDE = 360, 5, 720
FAULT = (255, 64, 64)
LETTERS, MOST_NAMED = 22, 8


@dataclass(frozen=True)
class Audited:
    """A report with what its findings are drawn from."""

    report: AuditReport
    samples: Mapping[str, Sample]
    class_names: tuple[str, ...]


def run_audit(
    source: str,
    registry: Registry,
    overrides: Sequence[str],
    store: Path | None,
    only: Sequence[str],
    workers: int | None,
) -> Audited:
    """Audit the labelled images of a dataset, train and test, with progress on stderr.

    Raises:
        HandboneError: no labels, or a store that proves nothing.
    """
    from handbone_cli.data.audit.audit import audit
    from handbone_cli.data.audit.disagreement import require_out_of_fold
    from handbone_cli.data.processes import default_workers
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import progress, say

    dataset = open_named_dataset(source, registry, overrides)
    samples = [sample for sample in all_samples(dataset) if sample.read_labels is not None]
    if not samples:
        raise HandboneError(f"{source}: no image has labels, so there is nothing to audit.")
    opened = Store.open(store) if store else None
    if opened is not None:
        require_out_of_fold(opened, dataset.class_names, {sample.image_id for sample in samples})
        shared = sum(sample.image_id in opened.images for sample in samples)
        say(f"{store}: has {shared} of the {len(samples)} labelled images; only they are compared")
    with progress("Auditing") as report:
        result = audit(
            samples,
            dataset.class_names,
            store=opened,
            only=only,
            workers=workers or default_workers(),
            report=report,
        )
    return Audited(result, {sample.image_id: sample for sample in samples}, dataset.class_names)


def require_ours(path: Path) -> None:
    """Refuse to overwrite a file that is no audit's JSON."""
    from handbone_cli.files import read_json

    if not path.exists():
        return
    try:
        content = read_json(path)
    except HandboneError:
        content = None
    if not isinstance(content, dict) or "findings" not in content:
        raise HandboneError(f"{path}: exists and is no audit's findings; choose another file.")


def claim_page(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier page."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FINDINGS).exists():
        raise HandboneError(f"{folder}: the folder is not empty; choose another -o.")


def write_page(folder: Path, audited: Audited, limit: int) -> None:
    """Write findings.json, a picture of each of the first findings, index.html and a sheet."""
    from handbone_cli.files import make_folder, write_json, write_text
    from handbone_cli.results.contact_sheet import contact_sheet
    from handbone_cli.results.pictures import write_png
    from handbone_cli.terminal.progress import progress

    report = audited.report
    write_json(folder / FINDINGS, report.summary())
    for old in make_folder(folder / PICTURES).glob("[0-9][0-9][0-9][0-9].png"):
        old.unlink()
    tiles, entries = [], []
    drawn = report.findings[:limit]
    with progress("Drawing", "findings") as show:
        for place, finding in enumerate(drawn, start=1):
            name = f"{PICTURES}/{place:04d}.png"
            if finding.kind != "unreadable":
                picture = draw_finding(
                    finding, audited.samples[finding.image_id], audited.class_names
                )
                write_png(folder / name, picture)
                caption = f"{finding.image_id} {finding.kind} {' '.join(finding.bones[:2])}"
                tiles.append((caption, picture))
            entries.append(_entry(finding, name))
            show(place, len(drawn))
    write_png(folder / SHEET, contact_sheet(tiles, COLUMNS, TILE))
    write_text(folder / PAGE, _page(report, entries))


def draw_finding(finding: Finding, sample: Sample, class_names: Sequence[str]) -> NDArray[np.uint8]:
    """The part of the image around a finding: (h, w, 3) RGB, all bones faint, its own in red."""
    import cv2
    import numpy as np

    from handbone_cli.data.preprocessing import to_uint8
    from handbone_cli.masks import PackedMask, as_polygons
    from handbone_cli.results.overlay import draw_bones
    from handbone_cli.results.pictures import Lettering

    assert sample.read_labels is not None
    grey, labels = to_uint8(sample.read_image()), sample.read_labels()
    size = grey.shape[0], grey.shape[1]
    y0, y1, x0, x1 = box = _around(finding.box, size)
    mask = PackedMask.from_labels(labels, size, len(class_names), box)
    crop = np.ascontiguousarray(grey[y0:y1, x0:x1])
    picture = draw_bones(crop, mask, class_names, alpha=0.12, max_side=SIDE)
    scale = max(picture.shape[:2]) / max(crop.shape)
    outlines = as_polygons(labels)
    for name in finding.bones:
        for outline in outlines.get(list(class_names).index(name), []):
            points = np.rint((outline + 0.5 - (x0, y0)) * scale).astype(np.int32)
            cv2.polylines(picture, [points], True, FAULT, 2, cv2.LINE_AA)
            if len(finding.bones) <= MOST_NAMED:
                x, y = points.mean(axis=0).astype(int).tolist()
                Lettering(LETTERS).draw_over(picture, name, (x, y))
    return picture


def _around(box: Box, size: tuple[int, int]) -> Box:
    from handbone_cli.masks import EMPTY, grow_box

    if box == EMPTY:
        return 0, size[0], 0, size[1]
    return grow_box(box, round(AROUND * max(size)), size)


def _entry(finding: Finding, name: str) -> str:
    title = f"{finding.score:.1f} {finding.kind}: {finding.image_id}, {finding.person}"
    picture = (
        "" if finding.kind == "unreadable" else f'<a href="{name}"><img src="{name}" alt=""></a>'
    )
    also = f" Also: {', '.join(finding.also)}." if finding.also else ""
    says = html.escape(finding.says + also)
    return (
        f"<figure>{picture}<figcaption><b>{html.escape(title)}</b><br>{says}</figcaption></figure>"
    )


STYLE = (
    "body{background:#16171a;color:#e2e4e8;font:15px sans-serif;margin:24px}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:18px}"
    "figure{margin:0;background:#222428;padding:10px}"
    "img{width:100%;height:320px;object-fit:contain}"
)


def _page(report: AuditReport, entries: Sequence[str]) -> str:
    """One HTML page without scripts; pictures beside it."""
    shown = f", the first {len(entries)} below" if len(entries) < len(report.findings) else ""
    head = f"{len(report.findings)} findings in {report.images} labelled images{shown}"
    remarks = "".join(
        f"<p>{html.escape(remark.says)}<br>"
        f"<small>{html.escape(' '.join(remark.image_ids))}</small></p>"
        for remark in report.remarks
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Audit</title>'
        f"<style>{STYLE}</style>\n<h1>{head}</h1>\n{remarks}\n<main>\n"
        + "\n".join(entries)
        + "\n</main></html>\n"
    )
