"""`hb data audit`: labels that look wrong, the worst first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.data.audit.kinds import KINDS

if TYPE_CHECKING:
    from handbone_cli.data.audit.finding import AuditReport, Finding

MOST_BONES = 3


@click.command(short_help="Find labels that look wrong, the worst first.")
@click.argument("source", metavar="FOLDER|RECIPE")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--store", type=Path, help="Out-of-fold predictions to compare with.")
@click.option(
    "--only", multiple=True, metavar="KIND", type=click.Choice(list(KINDS)), help="Only this kind."
)
@click.option("--json", "json_path", type=Path, help="Write all findings to this file.")
@click.option("-o", "--output", type=Path, help="Folder for a page of pictures.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Pictures on the page at most.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
def audit(
    source: str,
    overrides: tuple[str, ...],
    store: Path | None,
    only: tuple[str, ...],
    json_path: Path | None,
    output: Path | None,
    limit: int,
    workers: int | None,
) -> None:
    """Find labels that look wrong, without a model: by anatomy, image, partner and dataset.

    \b
    hb data audit my_data -o audit
    hb data audit my_data --store stores/oof --only disagreement --json findings.json

    \b
    KIND is one of: unreadable, mirrored, missing, extra, doubled, crossing, outside, swapped,
    order, misplaced, size, shape, ring, overlap, partner, off_bone, disagreement.
    """
    from handbone_cli.commands.wiring.audit import claim_page, require_ours, run_audit, write_page
    from handbone_cli.files import write_json
    from handbone_cli.host.registry import installed

    if "disagreement" in only and store is None:
        raise click.UsageError("--only disagreement needs --store: what is it to disagree with?")
    if json_path is not None:
        require_ours(json_path)
    if output is not None:
        claim_page(output)
    audited = run_audit(source, installed(), overrides, store, only, workers)
    report = audited.report
    if json_path is not None:
        write_json(json_path, report.summary())
    if output is not None:
        write_page(output, audited, limit)
    show(report)
    if output is not None:
        click.echo(f"{output / 'index.html'}: {min(limit, len(report.findings))} pictures")
    if report.findings:
        raise click.exceptions.Exit(1)


def show(report: AuditReport) -> None:
    """The table, what holds of the dataset, and the count."""
    from handbone_cli.terminal.tables import show_table

    if report.findings:
        headings = ("score", "image", "person", "kind", "bones", "what")
        show_table(headings, [_row(finding) for finding in report.findings])
    for remark in report.remarks:
        click.echo(f"{remark.kind}: {remark.says}")
        click.echo(f"  {' '.join(remark.image_ids)}")
    images = len({finding.image_id for finding in report.findings})
    where = f"{report.images} labelled images of {report.people} people"
    found = f"{len(report.findings)} findings in {images} of" if images else "no findings in"
    click.echo(f"{found} {where}")


def _row(finding: Finding) -> tuple[str, ...]:
    bones = list(finding.bones)
    shown = bones[:MOST_BONES] + (["..."] if len(bones) > MOST_BONES else [])
    score = f"{finding.score:.1f}"
    return score, finding.image_id, finding.person, finding.kind, " ".join(shown), finding.says
