"""Recall and precision of `hb data audit` on generated people with injected faults.

python benchmarks/audit.py [--people 200] [--seed 7] [--size 1024] [--workers 2]
python benchmarks/audit.py --hands FOLDER [--rounds 10] [--seed 7]

2 % of the labels are spoilt, in equal numbers of every kind, and 2 % of the images are mirrored. A
fault counts as found if a finding in its image names one of its bones, a finding as right if it
names a bone with a fault; "named" says that the finding (or its `also`) is of the fault's kind.
Limits were chosen on seed 7 and on 24 real hands; RESULTS.md reports seed 9. With --hands the
findings on a folder of real hands are listed, every one a false alarm if its labels are good; with
--rounds these hands are spoilt so many times instead of generated ones.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from handbone_cli.anatomy.hand import CARPALS, FINGERS, HAND_BONES
from handbone_cli.data.audit.audit import audit
from handbone_cli.host.interfaces import Sample
from handbone_cli.host.registry import installed
from handbone_cli.terminal.progress import progress
from handbone_datasets.generated import draw_hand, draw_image, draw_outlines, pixel_contours

SHARE = 0.02
SESAMOID_SHARE = 61 / 800  # of images, as in the competition
FOREARM = (27, 28)
SHAFTS = [HAND_BONES.index(name) for name in ("finger-2", "finger-6", "finger-10", "finger-14")]
NEXT = {
    HAND_BONES.index(bones[place]): HAND_BONES.index(bones[place + 1])
    for bones in FINGERS.values()
    for place in range(len(bones) - 1)
}
NAMED = {
    "swapped": {"swapped", "order"},
    "size": {"size", "partner"},
    "off_bone": {"off_bone", "misplaced"},
    "overlap": {"overlap"},
    "doubled": {"doubled"},
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with which bones of an image, and the chance that it was made with."""

    kind: str
    bones: tuple[int, ...]
    seed: int


def bones_for(kind, rng):
    """Bones (29 in order) that a fault of a kind is made on."""
    fingers = [[HAND_BONES.index(name) for name in bones] for bones in FINGERS.values()]
    if kind == "swapped":
        way = rng.integers(3)
        if way == 0:  # the same phalanx of two fingers
            one, other = rng.choice(4, 2, replace=False) + 1
            place = rng.integers(4)
            return fingers[one][place], fingers[other][place]
        if way == 1:
            pair = rng.choice(len(CARPALS), 2, replace=False) + HAND_BONES.index(CARPALS[0])
            return tuple(int(bone) for bone in pair)
        return tuple(int(bone) for bone in rng.choice(29, 2, replace=False))
    if kind == "order":
        finger = fingers[rng.integers(5)]
        start = rng.integers(len(finger) - 1)
        return tuple(finger[start : start + rng.integers(2, 4)])
    if kind == "doubled" and rng.random() < 0.5:
        return tuple(int(bone) for bone in rng.choice(29, 2, replace=False))
    if kind == "ring":
        return (int(rng.choice(SHAFTS)),)
    if kind == "overlap":
        return (int(rng.choice(list(NEXT))),)
    if kind == "outside" and rng.random() < 0.5:
        return (int(rng.choice(FOREARM)),)
    most = 27 if kind in {"size", "off_bone"} else 29
    return (int(rng.integers(most)),)


def mirrored(parts, rng, size):
    """Names from the wrong side, in one of two ways, or outlines turned over."""
    way = rng.integers(3)
    if way == 0:
        return {bone: [o * (-1, 1) + (size - 1, 0) for o in part] for bone, part in parts.items()}
    pairs = [
        *zip(range(3, 7), range(15, 19), strict=True),
        *zip(range(7, 11), range(11, 15), strict=True),
    ]
    if way == 1:  # the thumb's names on the little finger, 17 left where it is
        pairs = [(0, 15), (1, 17), (2, 18), *zip(range(3, 7), range(11, 15), strict=True)]
    pairs += [(27, 28)] if rng.random() < 0.5 else []
    names = {**dict(pairs), **{b: a for a, b in pairs}}
    return {names.get(bone, bone): part for bone, part in parts.items()}


def spoil(parts, fault, size):
    """The labels of an image with one fault more."""
    rng = np.random.default_rng(fault.seed)
    if fault.kind == "mirrored":
        return mirrored(parts, rng, size)
    if any(bone not in parts for bone in fault.bones):
        return parts
    parts, first = dict(parts), fault.bones[0]
    outline = parts[first][0].astype(np.float64)
    if fault.kind in {"swapped", "order"}:
        turned = (*fault.bones[1:], first)
        return {**parts, **{a: parts[b] for a, b in zip(fault.bones, turned, strict=True)}}
    if fault.kind == "missing":
        del parts[first]
        return parts
    if fault.kind == "extra":
        other = rng.choice([bone for bone in parts if bone != first])
        away = parts[other][0].mean(axis=0) - outline.mean(axis=0)
        return {**parts, first: [*parts[first], (outline + away).astype(np.float32)]}
    if fault.kind == "doubled":
        twin = (outline + rng.normal(0, 1, 2)).astype(np.float32)
        if len(fault.bones) == 2:
            return {**parts, fault.bones[1]: [twin]}
        return {**parts, first: [*parts[first], twin]}
    return {**parts, first: [CHANGES[fault.kind](outline, rng, size).astype(np.float32)]}


def crossing(outline, rng, _size):
    """Part of the outline runs backwards, as when vertices are dragged past each other."""
    corners = outline[:: max(1, len(outline) // 60)]
    start, length = (
        rng.integers(len(corners)),
        int(rng.integers(len(corners) // 10, len(corners) // 3)),
    )
    corners = np.roll(corners, -start, axis=0)
    corners[:length] = corners[:length][::-1].copy()
    return corners


def outside(outline, rng, size):
    """Vertices at the border carried on past it, or one vertex with a wrong digit."""
    last = outline[:, 1] > size - 3
    if last.any():
        outline[last, 1] += rng.uniform(0.005, 0.05) * size
        return outline
    outline[rng.integers(len(outline))] = (rng.uniform(0, size), size * rng.uniform(1.02, 2))
    return outline


def off_bone(outline, rng, _size):
    """Moved by a quarter to a half of its width."""
    (_, _), sides, _ = cv2.minAreaRect(outline.astype(np.float32))
    angle = rng.uniform(0, 2 * np.pi)
    return outline + rng.uniform(0.25, 0.5) * min(sides) * np.array([np.cos(angle), np.sin(angle)])


def resized(outline, rng, _size):
    """A quarter smaller or larger, in length."""
    middle = outline.mean(axis=0)
    return middle + (outline - middle) * rng.choice([0.75, 1.3])


def axis_of(outline):
    """Centre, unit vector along the longest extent, and the coordinate along it."""
    middle = outline.mean(axis=0)
    axis = np.linalg.svd(outline - middle, full_matrices=False)[2][0]
    return middle, axis, (outline - middle) @ axis


def stretched(outline, rng, _size):
    """Its end towards the wrist is drawn over the next bone."""
    middle, axis, along = axis_of(outline)
    axis = axis if axis[1] > 0 else -axis
    along = (outline - middle) @ axis
    far = np.maximum(along - 0.5 * along.max(), 0) / (0.5 * along.max())
    return outline + np.outer(far * rng.uniform(0.5, 0.8) * np.ptp(along), axis)


def ringed(outline, rng, _size):
    """A band across the shaft, as wide as the finger, belongs to the outline."""
    middle, axis, along = axis_of(outline)
    across = (outline - middle) @ np.array([-axis[1], axis[0]])
    place = along.min() + rng.uniform(0.35, 0.65) * np.ptp(along)
    half = rng.uniform(0.05, 0.1) * np.ptp(along)
    inside = np.abs(along - place) < half
    wide = rng.uniform(0.65, 0.95) * np.ptp(across)
    level = np.where(inside, np.sign(across) * np.maximum(np.abs(across), wide), across)
    return middle + np.outer(along, axis) + np.outer(level, np.array([-axis[1], axis[0]]))


CHANGES = {
    "crossing": crossing,
    "outside": outside,
    "off_bone": off_bone,
    "size": resized,
    "overlap": stretched,
    "ring": ringed,
}
KINDS = ("swapped", "order", "missing", "extra", "doubled", *CHANGES)


def without_sesamoid(place):
    """finger-3 of a generated hand, the points around the sesamoid left out."""
    outline = draw_hand(*place).outlines[2]
    clockwise = outline[::-1] if place[2] == 0 else outline  # left hands are turned over
    return pixel_contours(clockwise[7:91], place[3])[0]


def read_spoilt(read_labels, faults, size, bare):
    """The labels of a hand with its faults; `bare` is a generated hand to draw without sesamoid."""
    parts = dict(read_labels())
    if bare is not None:
        parts[2] = [without_sesamoid(bare)]
    for fault in faults:
        parts = spoil(parts, fault, size)
    return parts


def plan(images, rng):
    """Faults by image: as many of every kind, no two on one bone."""
    faults = {image: [] for image in images}
    turned = rng.choice(len(images), max(1, round(SHARE * len(images))), replace=False)
    for number in turned.tolist():
        faults[images[number]] = [Fault("mirrored", tuple(range(29)), int(rng.integers(2**31)))]
    spoilt, labels, count = 0, SHARE * 29 * len(images), 0
    while spoilt < labels:
        image, kind = images[rng.integers(len(images))], KINDS[count % len(KINDS)]
        fault = Fault(kind, bones_for(kind, rng), int(rng.integers(2**31)))
        taken = {bone for other in faults[image] for bone in other.bones}
        if not taken & set(fault.bones):
            faults[image].append(fault)
            spoilt, count = spoilt + len(fault.bones), count + 1
    return faults


def generated(people, seed, size):
    """Clean samples, and where each hand is drawn from."""
    places = {
        f"image{2 * person + side:06d}": (seed, person, side, size)
        for person in range(people)
        for side in (0, 1)
    }
    samples = [
        Sample(
            image_id=name,
            person=f"ID{place[1] + 1:03d}",
            read_image=functools.partial(draw_image, *place),
            read_labels=functools.partial(draw_outlines, *place),
        )
        for name, place in places.items()
    ]
    return samples, places


def repeated(folder, rounds):
    """Real hands, as many times over, each time as other people."""
    from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset

    samples = all_samples(open_named_dataset(str(folder), installed()))
    return [
        replace(sample, image_id=f"{sample.image_id}_{turn}", person=f"{sample.person}_{turn}")
        for turn in range(rounds)
        for sample in samples
    ]


def touches(finding, fault):
    """Whether a finding names a bone of a fault."""
    if fault.kind == "mirrored":
        return True
    return bool(set(finding.bones) & {HAND_BONES[bone] for bone in fault.bones})


def show(faults, report):
    """The table: a row a kind, and what was missed and wrongly found."""
    found, named, injected, right, reported = (Counter() for _ in range(5))
    for image, wrong in faults.items():
        here = [finding for finding in report.findings if finding.image_id == image]
        for fault in wrong:
            injected[fault.kind] += 1
            hits = [finding for finding in here if touches(finding, fault)]
            kinds = {kind for finding in hits for kind in (finding.kind, *finding.also)}
            found[fault.kind] += bool(hits)
            named[fault.kind] += bool(kinds & NAMED.get(fault.kind, {fault.kind}))
            if not hits:
                print("missed:", image, fault.kind, [HAND_BONES[b] for b in fault.bones][:3])
        for finding in here:
            reported[finding.kind] += 1
            ok = any(touches(finding, fault) for fault in wrong)
            right[finding.kind] += ok
            if not ok:
                print("false alarm:", image, finding.kind, f"{finding.score:.2f}", finding.says)
    print(
        f"{'kind':13}{'injected':>9}{'found':>7}{'named':>7}{'recall':>8}{'reported':>10}{'precision':>11}"
    )
    for kind in [*dict.fromkeys([*injected, *reported])]:
        row(kind, injected[kind], found[kind], named[kind], reported[kind], right[kind])
    row("all", *(sum(c.values()) for c in (injected, found, named, reported, right)))


def row(kind, injected, found, named, reported, right):
    recall = f"{found / injected:.3f}" if injected else "-"
    precision = f"{right / reported:.3f}" if reported else "-"
    print(f"{kind:13}{injected:9}{found:7}{named:7}{recall:>8}{reported:10}{precision:>11}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hands", type=Path, help="real hands instead of generated ones")
    parser.add_argument("--rounds", type=int, default=0, help="times that these are spoilt")
    given = parser.parse_args()
    if given.hands and not given.rounds:
        return false_alarms(given.hands, given.workers)
    rng = np.random.default_rng((given.seed, 0xFA))
    if given.hands:
        samples, places = repeated(given.hands, given.rounds), {}
    else:
        samples, places = generated(given.people, given.seed, given.size)
    faults = plan([sample.image_id for sample in samples], rng)
    clean = [name for name in places if not faults[name]]
    bare = rng.choice(clean, round(SESAMOID_SHARE * len(places)), replace=False) if clean else []
    truly = set(np.asarray(bare).tolist())
    size = 2048 if given.hands else given.size
    spoilt = [
        replace(
            sample,
            read_labels=functools.partial(
                read_spoilt,
                sample.read_labels,
                tuple(faults[sample.image_id]),
                size,
                places[sample.image_id] if sample.image_id in truly else None,
            ),
        )
        for sample in samples
    ]
    started = time.perf_counter()
    with progress("Auditing") as report:
        result = audit(spoilt, HAND_BONES, workers=given.workers, report=report)
    took = time.perf_counter() - started
    what = f"{given.hands}" if given.hands else "generated"
    print(f"{what}, seed {given.seed}: {len(spoilt)} images of {size} px in {took:.0f} s")
    show(faults, result)
    if truly:
        show_sesamoids(truly, result)
    return 0


def show_sesamoids(truly, result):
    """How well the remark lists the images without the sesamoid."""
    remarks = [remark for remark in result.remarks if remark.kind == "sesamoid"]
    listed = {name for remark in remarks for name in remark.image_ids}
    print(
        f"sesamoid left out of {len(truly)} images, listed {len(listed)}: "
        f"recall {len(listed & truly) / len(truly):.3f}, "
        f"precision {len(listed & truly) / max(len(listed), 1):.3f}"
    )


def false_alarms(folder, workers):
    """Findings on real hands, whose labels are taken to be good."""
    result = audit(repeated(folder, 1), HAND_BONES, workers=workers)
    print(f"{folder}: {result.images} images, {len(result.findings)} findings")
    for entry in (*result.findings, *result.remarks):
        print(entry.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
