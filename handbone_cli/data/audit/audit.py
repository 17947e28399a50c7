"""The audit of a dataset: every image by itself, in processes, then all of them together."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.data.audit.anatomy_checks import HandCheck, check_hand
from handbone_cli.data.audit.disagreement import disagreement_findings, disagreements
from handbone_cli.data.audit.edges import edge_findings, edge_fits
from handbone_cli.data.audit.finding import AuditReport, Finding
from handbone_cli.data.audit.geometry import geometry_findings
from handbone_cli.data.audit.labelled_image import LabelledImage
from handbone_cli.data.audit.overlaps import overlap_findings, overlaps_of, usual_overlaps
from handbone_cli.data.audit.partners import partner_findings
from handbone_cli.data.audit.population import area_findings, missing_findings, sesamoid_remarks
from handbone_cli.data.audit.ranking import ranked
from handbone_cli.data.preprocessing import to_uint8
from handbone_cli.data.processes import map_in_processes
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.data.audit.overlaps import Pair
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.store.store import Store

IN_ONE_PROCESS = 8  # images up to which starting others takes longer than the work


@dataclass(frozen=True, eq=False)
class ImageAudit:
    """What one image says by itself.

    Attributes:
        sample_id: the image.
        image: its labels; None where they or the image cannot be read.
        findings: of geometry, anatomy and edges.
        hand: against the shape model, where enough bones are labelled.
        overlaps: of pairs of bones.
        losses: (C,) 1 - Dice with the store's prediction, where it has one.
    """

    sample_id: str
    image: LabelledImage | None
    findings: tuple[Finding, ...]
    hand: HandCheck | None = None
    overlaps: dict[Pair, float] | None = None
    losses: NDArray[np.float64] | None = None


def audit(
    samples: Sequence[Sample],
    class_names: Sequence[str],
    *,
    store: Store | None = None,
    only: Iterable[str] = (),
    workers: int = 1,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> AuditReport:
    """Look for bad labels among the labelled samples.

    Args:
        samples: of the dataset; those without labels are left out.
        class_names: C names; the anatomy checks run where they hold enough bones of a hand.
        store: out-of-fold predictions (`require_out_of_fold`).
        only: kinds to report; all by default.
        workers: processes.
        report: called with images done and all.

    Raises:
        HandboneError: a prediction cannot be read or is of another size.
    """
    labelled = [sample for sample in samples if sample.read_labels is not None]
    work = functools.partial(audit_image, class_names=tuple(class_names), store=store)
    few = len(labelled) <= IN_ONE_PROCESS
    audits = []
    for done in map_in_processes(work, labelled, 1 if few else workers):
        audits.append(done)
        report(len(audits), len(labelled))
    return combine(audits, {sample.image_id: sample.side for sample in labelled}, only)


def audit_image(sample: Sample, class_names: tuple[str, ...], store: Store | None) -> ImageAudit:
    """Everything that one image says by itself; picklable either way."""
    assert sample.read_labels is not None
    try:
        labels, grey = sample.read_labels(), to_uint8(sample.read_image())
        size = (int(grey.shape[0]), int(grey.shape[1]))
        image = LabelledImage.from_labels(sample, labels, size, class_names)
    except (HandboneError, ValueError) as error:
        fault = Finding(sample.image_id, sample.person, "unreadable", (), 10.0, str(error))
        return ImageAudit(sample.image_id, None, (fault,))
    hand = check_hand(image)
    findings = [_blamed(finding, hand) for finding in geometry_findings(image)]
    findings += hand.findings if hand else ()
    if image.parts:
        edges = edge_fits(grey, image.main)
        findings += edge_findings(image, edges, hand)
    losses = None
    if store is not None and sample.image_id in store.images:
        losses = disagreements(image, store.load(sample.image_id))
    return ImageAudit(
        sample.image_id,
        image,
        tuple(findings),
        hand,
        overlaps_of(hand.image if hand else image),
        losses,
    )


def _blamed(finding: Finding, hand: HandCheck | None) -> Finding:
    """Of two bones with one outline, name the one first that lies where it should not."""
    bones = [HAND_BONES.index(name) for name in finding.bones if name in HAND_BONES]
    if hand is None or finding.kind != "doubled" or len(bones) != 2:
        return finding
    right, wrong = sorted(bones, key=hand.place_sds)
    says = f"{HAND_BONES[wrong]} has the outline of {HAND_BONES[right]}."
    return replace(finding, bones=(HAND_BONES[wrong], HAND_BONES[right]), says=says)


def combine(
    audits: Sequence[ImageAudit], sides: dict[str, str | None], only: Iterable[str] = ()
) -> AuditReport:
    """What images say about each other, joined with what each says by itself."""
    images = {done.sample_id: done.image for done in audits if done.image is not None}
    hands = {done.sample_id: done.hand for done in audits if done.hand is not None}
    findings = [finding for done in audits for finding in done.findings]
    missing, remarks = missing_findings(list(images.values()), _renamed_to(hands))
    findings += missing
    mirrored = {finding.image_id for finding in findings if finding.kind == "mirrored"}
    partners, one_sided = partner_findings(hands, sides, mirrored)
    findings += partners
    findings += area_findings([images[name] for name in images if name not in hands])
    every = [done for done in audits if done.overlaps is not None]
    usual = usual_overlaps((done.overlaps or {} for done in every), hand=bool(hands))
    for done in every:
        named = done.hand.image if done.hand else images[done.sample_id]
        findings += overlap_findings(named, done.overlaps or {}, usual)
    losses = {done.sample_id: done.losses for done in audits if done.losses is not None}
    findings += disagreement_findings(images, losses)
    sesamoids = sesamoid_remarks((name, hand.sesamoid) for name, hand in hands.items())
    people = len({image.person for image in images.values()})
    return AuditReport(
        len(images), people, tuple(ranked(findings, only)), (*remarks, *one_sided, *sesamoids)
    )


def _renamed_to(hands: dict[str, HandCheck]) -> set[tuple[str, str]]:
    """(image, class) without outline that a bone under another name looks like."""
    return {
        (name, hand.image.class_names[index])
        for name, hand in hands.items()
        for index in hand.image.parts
    }
