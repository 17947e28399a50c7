"""HD95 and NSD of 29 bones against MONAI, and that both find the same.

python benchmarks/metrics.py [--images 3] [--size 2048] [--rounds 3] [--only ours|monai]

Generated hands, their outlines jittered and moved by some pixels for a prediction. Both ways run in
one run on the same masks and one thread, in turn; each one's peak of memory is that of a process of
its own that does nothing else. MONAI gets dense boolean tensors, ours packed masks: neither pays
for making them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from handbone_cli.host.interfaces import DatasetContext
from handbone_cli.host.registry import installed
from handbone_cli.masks import PackedMask
from handbone_cli.metrics.bones import measure
from handbone_cli.metrics.plan import METRICS, Plan

TOLERANCE = 2.0
ASKED = Plan(("hd95", "nsd"), (TOLERANCE,))
MIB = 2**10  # in KiB


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=sorted(WAYS), help="one way, for its peak of memory")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    cv2.setNumThreads(1)
    if asked.only:
        WAYS[asked.only](next(hands(1, asked.size)))
        print(own_peak())
        return
    seconds, difference = times(asked.images, asked.size, asked.rounds)
    print(
        f"29 bones at {asked.size} px, {asked.images} images, {asked.rounds} rounds, one thread\n"
    )
    print("| what | s an image, median (range) | ratio | peak, MiB |\n|---|---|---|---|")
    ours = statistics.median(seconds["ours"])
    for name, found in seconds.items():
        middle = statistics.median(found)
        peak = f"{peak_of(name, asked.size):.0f}" if name in WAYS else "-"
        spread = f"{middle:.3f} ({min(found):.3f} to {max(found):.3f})"
        print(f"| {NAMES[name]} | {spread} | {middle / ours:.1f} | {peak} |")
    print(
        f"\nlargest difference: HD95 {difference[0]:.1e} px (relative {difference[2]:.1e}), ",
        end="",
    )
    print(f"NSD {difference[1]:.1e}; load {os.getloadavg()[0]:.1f}")


def hands(count, size):
    """Predictions and labels of hands, packed."""
    options = {"people": 1, "size": size, "endless": True}
    dataset = installed().build("datasets", "generated", options, DatasetContext(None))
    rng = np.random.default_rng(0)
    for number in range(count):
        labels = dataset.draw(number).read_labels()
        moved = {bone: [jittered(part, rng) for part in parts] for bone, parts in labels.items()}
        yield tuple(PackedMask.from_labels(each, (size, size), 29) for each in (moved, labels))


def jittered(outline, rng):
    """Every vertex by about two pixels, all of them by about three."""
    return (outline + rng.normal(0, 2, outline.shape) + rng.normal(0, 3, 2)).astype(np.float32)


def run_ours(pair):
    return measure(*pair, ASKED).T


def run_monai(pair):
    return dense_monai(tensors(pair))


def tensors(pair):
    import torch

    torch.set_num_threads(1)
    return [torch.from_numpy(each.dense())[None] for each in pair]


def dense_monai(both):
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    far = compute_hausdorff_distance(*both, include_background=True, percentile=95)
    near = compute_surface_dice(*both, [TOLERANCE] * both[0].shape[1], include_background=True)
    return np.stack([far[0].numpy(), near[0].numpy()])


WAYS = {"ours": run_ours, "monai": run_monai}
NAMES = {
    "ours": "HD95 and NSD, ours",
    "monai": "HD95 and NSD, MONAI",
    "all": "all metrics of a bone, ours",
    "contour": "HD95 and NSD of contours, ours",
}


def times(images, size, rounds):
    """Seconds of every way over images and rounds, and the largest differences."""
    everything, contours = Plan(METRICS), Plan(ASKED.metrics, ASKED.tolerances, borders="contour")
    seconds = {name: [] for name in NAMES}
    apart = np.zeros(3)
    for pair in hands(images, size):
        dense = tensors(pair)
        for _ in range(rounds):
            ours = clocked(seconds["ours"], lambda pair=pair: run_ours(pair))
            theirs = clocked(seconds["monai"], lambda dense=dense: dense_monai(dense))
            clocked(seconds["all"], lambda pair=pair: measure(*pair, everything))
            clocked(seconds["contour"], lambda pair=pair: measure(*pair, contours))
            off = np.abs(ours - theirs)
            relative = (off[0] / np.maximum(theirs[0], 1)).max()
            apart = np.maximum(apart, [off[0].max(), off[1].max(), relative])
    return seconds, apart


def clocked(kept, work):
    started = time.perf_counter()
    result = work()
    kept.append(time.perf_counter() - started)
    return result


def own_peak():
    """KiB; getrusage would give that of the process which started this one, where it is larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def peak_of(name, size):
    """MiB at the peak of a process that measures one image one way."""
    command = [sys.executable, __file__, "--only", name, "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / MIB


if __name__ == "__main__":
    main()
