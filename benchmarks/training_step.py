"""A step of our training loop against the shortest loop that PyTorch allows.

python benchmarks/training_step.py [--side 256] [--batch 2] [--steps 40] [--runs 3] [--model nnunet]

Both train the same network from the same weights with the same batches, loss, optimizer, clipping
and precision; the bare loop is what a tutorial has: forward, loss, backward, clip, step. Ours
watches besides: learning rates, a stream of random numbers a step, finite losses, Ctrl-C, a live
table's figures, resumable states (none falls due within the run). Ways alternate, each in a process
of its own; the first five steps are not counted; the peak is that of the whole process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM = 5
CLASSES = 29
LR, CLIP, DECAY = 8e-5, 1.0, 0.01


def main():
    options = parse()
    if options.way:
        print(json.dumps(measure(options)))
        return
    results = {"bare": [], "ours": []}
    for run in range(options.runs):
        for way in (("bare", "ours"), ("ours", "bare"))[run % 2]:
            results[way].append(in_own_process(way, options))
            print(f"{way}: {results[way][-1]}", file=sys.stderr)
    report(results, options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="nnunet")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--way", choices=["bare", "ours"], help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(way, options):
    keys = ("side", "batch", "steps", "model", "precision")
    given = [f"--{key}={getattr(options, key)}" for key in keys]
    command = [sys.executable, __file__, *given, f"--way={way}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options):
    import torch

    from handbone_cli.host.registry import installed
    from handbone_cli.networks.build import (
        build_loss,
        build_segmenter,
        choose_device,
        choose_precision,
    )
    from handbone_cli.recipe.schema import Recipe

    recipe = Recipe.model_validate({
        "name": "step",
        "data": {"patch": options.side},
        "model": {"name": options.model},
        "loss": {"name": "combined", "terms": [{"name": "focal"}, {"name": "dice"}]},
        "optimizer": {"lr": LR, "weight_decay": DECAY},
        "scheduler": {"name": "none"},
        "train": {"epochs": 1, "batch_size": options.batch, "clip_norm": CLIP, "early_stopping": 0,
                  "precision": options.precision},
    })  # fmt: skip
    device = choose_device()
    model = build_segmenter(recipe, installed(), CLASSES).to(device)
    loss = build_loss(recipe, installed(), [f"c{index}" for index in range(CLASSES)])
    precision = choose_precision(options.precision, device)
    batches = [batch(options, seed) for seed in range(4)]
    ways = {"bare": bare, "ours": ours}
    last, seconds = ways[options.way](recipe, model, loss, batches, device, precision, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    on_gpu = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {"seconds": statistics.median(seconds), "loss": last, "peak": peak, "gpu": on_gpu}


def batch(options, seed):
    import torch

    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(options.batch, 1, options.side, options.side, generator=draw)
    planes = (CLASSES + 7) // 8
    shape = (options.batch, options.side, options.side, planes)
    return images, torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)


def bare(_, model, loss, batches, device, precision, options):
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    model.train()
    ends = [time.perf_counter()]
    for step in range(options.steps):
        images, labels = (part.to(device, non_blocking=True) for part in batches[step % 4])
        with torch.autocast(device.type, dtype=precision, enabled=precision is not torch.float32):
            logits = model(images)
        value = loss(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        scaler.step(optimizer)
        scaler.update()
        last = value.item()
        ends.append(time.perf_counter())
    return last, intervals(ends)


def ours(recipe, model, loss, batches, device, precision, options):
    from handbone_cli.recipe.load import to_table
    from handbone_cli.terminal.training_table import TrainingTable
    from handbone_cli.training.loop import Training, train
    from handbone_cli.training.trackers import Trackers

    class Fixed:
        def __len__(self):
            return options.steps

        def epoch(self, _, start=0):
            for step in range(start, options.steps):
                yield batches[step % 4]

    class Timed(TrainingTable):
        def step(self, position, steps, loss, images):
            super().step(position, steps, loss, images)
            ends.append(time.perf_counter())
            losses.append(loss)

    names, ends, losses = [f"c{index}" for index in range(CLASSES)], [time.perf_counter()], []
    with tempfile.TemporaryDirectory() as folder, Timed("step", names, 1) as table:
        place = Path(folder)
        train(
            Training(
                recipe=recipe, model=model, ema=None, loss=loss, load=lambda _: Fixed(),
                validate=None, device=device, precision=precision, last=place / "last.safetensors",
                best=place / "best.safetensors", observer=table,
                header={"recipe": to_table(recipe), "class_names": names},
                trackers=Trackers([], print),
            )
        )  # fmt: skip
    return losses[-1], intervals(ends)


def intervals(ends):
    return [late - early for early, late in itertools.pairwise(ends[WARM:])]


def report(results, options):
    import torch

    rows = {}
    for way, runs in results.items():
        seconds, peak, gpu = (
            statistics.median(run[key] for run in runs) for key in ("seconds", "peak", "gpu")
        )
        rows[way] = (seconds, peak, gpu)
        print(f"{way}: {1000 * seconds:8.2f} ms a step, peak {peak / 2**20:.0f} MiB"
              + (f", GPU {gpu / 2**20:.0f} MiB" if gpu else ""))  # fmt: skip
    losses = {run["loss"] for runs in results.values() for run in runs}
    over = 100 * (rows["ours"][0] / rows["bare"][0] - 1)
    print(
        f"overhead {over:+.2f} %, memory {rows['ours'][1] / rows['bare'][1]:.3f} of the bare loop's"
    )
    print(f"last losses {sorted(losses)}")
    print(
        f"{options.model}, {options.batch} x {options.side} px, {CLASSES} classes, "
        f"{options.precision}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
