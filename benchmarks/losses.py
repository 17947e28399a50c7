"""Peak memory and time of losses, forward and backward, in copies of the logits.

python benchmarks/losses.py [--classes 29] [--side 512] [--batch 2] [--runs 3] [--dtype float32]

Peers: segmentation_models_pytorch and MONAI, and torch's own cross-entropy, as people call them.
A copy is the size of the logits; the logits and their gradient are counted, so that nothing can do
with less than 2.0. Every case is a process of its own. On a CPU the peak is the kernel's high-water
mark of resident memory (VmHWM, set back before the step) over what was resident before, with
tensors from 64 KiB in mappings of their own (MALLOC_MMAP_THRESHOLD_), so that none is kept when
freed; times are of another process, with the allocator as it is. With `--device cuda` the peak is
torch.cuda.max_memory_allocated. The peers are given their float or int64 targets ready made,
another 1 or 2 copies that are NOT counted; ours unpack theirs from packed labels, which is counted.

Needs `pip install monai` beside handbone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

PAIRS = [["c0", "c1"], ["c1", "c2"]]
COMBINED = {
    "dice + bce": ["dice", "bce"],
    "focal + dice": ["focal", "dice"],
    "focal + dice + overlap": ["focal", "dice", "overlap"],
}
OURS = [
    "bce",
    "focal",
    "dice",
    "generalized_dice",
    "jaccard",
    "tversky",
    "focal_tversky",
    "lovasz",
    "pixel_weighted_bce",
    "boundary",
    "overlap",
    *COMBINED,
]
PEERS = [
    "torch bce",
    "smp focal",
    "smp dice",
    "smp jaccard",
    "smp tversky",
    "smp lovasz",
    "smp dice + bce",
    "smp focal + dice",
    "monai focal",
    "monai dice",
    "monai generalized_dice",
    "monai tversky",
    "monai dice + bce",
    "monai focal + dice",
]


def main():
    options = parse()
    if options.case:
        print(json.dumps(measure(options.case, options)))
        return
    names = {f"ours {name}": name for name in OURS}
    cases = options.only or [*names, *PEERS]
    results = {}
    for case in cases:
        results[case] = in_own_process(case, options)
        print(f"{case:28} {results[case]['copies']:5.2f} copies", file=sys.stderr)
    report(results, options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=29)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", action="append", metavar="CASE")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--what", choices=["peak", "time"], default="peak", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(case, options):
    given = [f"--{key}={getattr(options, key)}" for key in ("classes", "side", "batch", "runs")]
    given += [f"--dtype={options.dtype}", f"--device={options.device}", f"--case={case}"]
    found = {}
    for what, threshold in (("peak", {"MALLOC_MMAP_THRESHOLD_": "65536"}), ("time", {})):
        command = [sys.executable, __file__, *given, f"--what={what}"]
        environment = {**os.environ, **threshold}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{case}: {done.stderr}")
        found.update(json.loads(done.stdout.splitlines()[-1]))
    return found


def measure(case, options):
    """The peak in copies of the logits and the value, or median seconds."""
    import torch

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    loss = ours(case[5:], options.classes) if case.startswith("ours ") else peer(case)
    step(loss, case, 32, options)
    steps = [step(loss, case, options.side, options) for _ in range(options.runs)]
    if options.what == "time":
        return {"seconds": statistics.median(seconds for _, seconds, _ in steps)}
    return {"copies": max(copies for copies, _, _ in steps), "value": steps[-1][2]}


def step(loss, case, side, options):
    """Forward and backward on hands-like squares: (peak in copies, seconds, value)."""
    import torch

    dtype = getattr(torch, options.dtype)
    labels = squares(options.batch, options.classes, side).to(options.device)
    shape = (options.batch, options.classes, side, side)
    logits = torch.randn(shape, device=options.device).to(dtype).requires_grad_()
    if not case.startswith("ours "):
        labels = as_peers_want(labels, case, options.classes)
    before = start_watching(options.device)
    started = time.perf_counter()
    value = loss(logits, labels)
    value.backward()
    took = time.perf_counter() - started
    copy = logits.numel() * logits.element_size()
    return 1 + (high_water(options.device) - before) / copy, took, float(value.detach())


def squares(batch, classes, side):
    """(N, h, w, P) packed labels of overlapping squares, a 50th of the image each."""
    import torch

    labels = torch.zeros(batch, side, side, (classes + 7) // 8, dtype=torch.uint8)
    edge = max(side // 7, 2)
    for index in range(classes):
        y, x = (index * 5) % 29 * (side - edge) // 29, index * (side - edge) // classes
        labels[:, y : y + edge, x : x + edge, index >> 3] |= 1 << (index & 7)
    labels[:, :edge, :edge, 0] |= 7  # the first three overlap
    return labels


def as_peers_want(labels, case, classes):
    import torch

    from handbone_cli import unpack_labels

    whole = case.split()[0] == "smp" and "bce" not in case
    return unpack_labels(labels, classes, torch.int64 if whole else torch.float32)


def ours(name, classes):
    from handbone_cli import LossContext
    from handbone_cli.host.registry import installed

    def build(loss, options):
        return installed().build("losses", loss, options, context)

    def options_of(loss):
        return {"pairs": PAIRS} if loss == "overlap" else {}

    context = LossContext(tuple(f"c{index}" for index in range(classes)), build)
    if name in COMBINED:
        terms = [{"name": each, **options_of(each)} for each in COMBINED[name]]
        return build("combined", {"terms": terms})
    return build(name, options_of(name))


def peer(case):
    import torch
    from monai import losses as monai
    from segmentation_models_pytorch import losses as smp

    bce = torch.nn.BCEWithLogitsLoss()
    batched = {"sigmoid": True, "batch": True}
    known = {
        "torch bce": lambda: bce,
        "smp focal": lambda: smp.FocalLoss("multilabel", alpha=0.5),
        "smp dice": lambda: smp.DiceLoss("multilabel", smooth=0.5),
        "smp jaccard": lambda: smp.JaccardLoss("multilabel", smooth=1.0),
        "smp tversky": lambda: smp.TverskyLoss("multilabel", smooth=1.0, alpha=0.3, beta=0.7),
        "smp lovasz": lambda: smp.LovaszLoss("multilabel"),
        "monai focal": lambda: monai.FocalLoss(alpha=0.5),
        "monai dice": lambda: monai.DiceLoss(**batched, smooth_nr=1.0, smooth_dr=1.0),
        "monai generalized_dice": lambda: monai.GeneralizedDiceLoss(**batched),
        "monai tversky": lambda: monai.TverskyLoss(
            **batched, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0
        ),
    }
    if case in known:
        return known[case]()
    library, first, second = case.replace(" + ", " ").split()
    parts = [bce if each == "bce" else known[f"{library} {each}"]() for each in (first, second)]
    return lambda logits, targets: parts[0](logits, targets) + parts[1](logits, targets)


def start_watching(device):
    """Set the high-water mark back; what is there now, in bytes."""
    if device != "cpu":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return status("VmRSS")


def high_water(device):
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    return status("VmHWM")


def status(field):
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this kernel tells no {field}")


def report(results, options):
    shape = f"{options.batch} x {options.classes} x {options.side} x {options.side}"
    size = 2 if options.dtype != "float32" else 4
    pixels = options.batch * options.classes * options.side**2
    print(
        f"\n{shape} {options.dtype} on {options.device}; a copy is {pixels * size / 2**20:.0f} MiB"
    )
    print("\n| loss | ours | torch | smp | MONAI |\n|---|---|---|---|---|")
    for name in OURS:
        cells = [cell(results.get(f"{who} {name}")) for who in ("ours", "torch", "smp", "monai")]
        print(f"| {name} | {' | '.join(cells)} |")
    names = ("torch", "segmentation-models-pytorch", "monai")
    print("\nCopies of the logits, then seconds (median).")
    print(f"Load {os.getloadavg()[0]:.1f}; " + ", ".join(f"{n} {version(n)}" for n in names))


def cell(result):
    return f"{result['copies']:.2f}, {result['seconds']:.2f} s" if result else "-"


if __name__ == "__main__":
    main()
