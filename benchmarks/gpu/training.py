"""Images a second of training on a GPU: our loop and nnU-Net v2's own trainer, the same networks.

python benchmarks/gpu/training.py [--models nnunet,hrnet_w48] [--patch 1024] [--batch 2]
                                  [--steps 60] [--runs 3] [--device cuda|cpu]

The network is built once by us for both, with random weights, and fed the same random batches from
pinned memory. Ours trains it in bf16 with AdamW through the whole loop (training/loop.py); theirs
is nnUNetTrainer.train_step as it is: fp16 with a scaler, SGD with Nesterov momentum, Dice + BCE as
for regions, gradients clipped at 12. Each with and without torch.compile, each way in a process of
its own, in turns; the first ten steps are not counted. Without nnunetv2 its ways are left out.
`--device cpu` is there to try the script where no GPU is; its figures claim nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM, CLASSES, DISTINCT = 10, 29, 4
OURS, THEIRS = "ours", "nnU-Net's trainer"


def main():
    options = parse()
    if options.way:
        print(json.dumps(measure(options)))
        return
    ways = [OURS] + [THEIRS] * bool(importlib.util.find_spec("nnunetv2"))
    for model in options.models.split(","):
        results = {}
        for _ in range(options.runs):
            for way in ways:
                for compiled in (False, True):
                    found = in_own_process(way, model, compiled, options)
                    results.setdefault((way, compiled), []).append(found)
        report(model, results, options)
    if THEIRS not in ways:
        print("nnunetv2 is not installed: `pip install nnunetv2` brings its trainer")


def parse():
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="nnunet,hrnet_w48")
    parser.add_argument("--patch", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--way", choices=[OURS, THEIRS], help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(way, model, compiled, options):
    keys = ("patch", "batch", "steps", "device")
    given = [f"--{key}={getattr(options, key)}" for key in keys]
    words = [f"--way={way}", f"--models={model}", *given, *(["--compile"] if compiled else [])]
    done = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{way}, {model}: {done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{model}, {way}{', compiled' if compiled else ''}: {found}", file=sys.stderr)
    return found


def measure(options):
    import torch

    from handbone_cli.host.registry import installed
    from handbone_cli.networks.build import build_segmenter
    from handbone_cli.recipe.schema import Recipe

    recipe = Recipe.model_validate({
        "name": "step", "model": {"name": options.models}, "data": {"patch": options.patch},
        "loss": {"name": "combined", "terms": [{"name": "dice"}, {"name": "bce"}]},
        "train": {"epochs": 1, "clip_norm": 12.0, "early_stopping": 0, "save_minutes": 0,
                  "compile": options.compile, "batch_size": options.batch},
    })  # fmt: skip
    device = torch.device(options.device)
    model = build_segmenter(recipe, installed(), CLASSES).to(device)
    ends = (ours if options.way == OURS else theirs)(recipe, model, device, options)
    took = [late - early for early, late in zip(ends[WARM:], ends[WARM + 1 :], strict=False)]
    on_gpu = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {"images/s": options.batch / statistics.median(took), "peak_gib": on_gpu / 2**30}


def images_of(options, seed):
    import torch

    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(options.batch, 1, options.patch, options.patch, generator=draw)
    return images.pin_memory() if options.device == "cuda" else images


def ours(recipe, model, device, options):
    import torch

    from handbone_cli.host.registry import installed
    from handbone_cli.networks.build import build_loss
    from handbone_cli.recipe.load import to_table
    from handbone_cli.terminal.training_table import TrainingTable
    from handbone_cli.training.loop import Training, train
    from handbone_cli.training.trackers import Trackers

    def batch(seed):
        draw = torch.Generator().manual_seed(seed)
        shape = (options.batch, options.patch, options.patch, (CLASSES + 7) // 8)
        labels = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
        pinned = labels.pin_memory() if options.device == "cuda" else labels
        return images_of(options, seed), pinned

    batches = [batch(seed) for seed in range(DISTINCT)]

    class Fixed:
        def __len__(self):
            return options.steps

        def epoch(self, _, start=0):
            for step in range(start, options.steps):
                yield batches[step % DISTINCT]

    class Timed(TrainingTable):
        def step(self, position, steps, loss, images):
            super().step(position, steps, loss, images)
            ends.append(time.perf_counter())

    names, ends = [f"c{index}" for index in range(CLASSES)], []
    with tempfile.TemporaryDirectory() as folder, Timed("step", names, 1) as table:
        place = Path(folder)
        train(
            Training(
                recipe=recipe, model=model, ema=None, loss=build_loss(recipe, installed(), names),
                load=lambda _: Fixed(), validate=None, device=device,
                precision=torch.bfloat16 if device.type == "cuda" else torch.float32,
                last=place / "last.safetensors", best=place / "best.safetensors", observer=table,
                header={"recipe": to_table(recipe), "class_names": names},
                trackers=Trackers([], print),
            )
        )  # fmt: skip
    return ends


def theirs(_recipe, model, device, options):
    import torch
    from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class Whole(torch.nn.Module):
        """Their trainer's loss wants a list of outputs."""

        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            found = self.model(images)
            return found if isinstance(found, list) else [found]

    dice = {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False}
    loss = DC_and_BCE_loss({}, dice, dice_class=MemoryEfficientSoftDiceLoss)
    trainer = nnUNetTrainer.__new__(nnUNetTrainer)  # without its folders of plans and data
    trainer.device = device
    trainer.network = torch.compile(Whole()) if options.compile else Whole()
    trainer.network.train()
    trainer.optimizer = torch.optim.SGD(
        model.parameters(), 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True
    )
    trainer.grad_scaler = torch.amp.GradScaler("cuda") if device.type == "cuda" else None
    trainer.loss = DeepSupervisionWrapper(loss, [1.0])

    def batch(seed):
        draw = torch.Generator().manual_seed(seed)
        shape = (options.batch, CLASSES, options.patch, options.patch)
        target = torch.randint(0, 2, shape, generator=draw, dtype=torch.bool)
        pinned = target.pin_memory() if options.device == "cuda" else target
        return {"data": images_of(options, seed), "target": [pinned]}

    batches, ends = [batch(seed) for seed in range(DISTINCT)], []
    for step in range(options.steps):
        trainer.train_step(dict(batches[step % DISTINCT]))  # ends in loss.cpu(), which waits
        ends.append(time.perf_counter())
    return ends


def report(model, results, options):
    import torch

    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{model}, {options.batch} x {options.patch} px, {CLASSES} classes, {where}, "
          f"torch {torch.__version__}")  # fmt: skip
    rates = {}
    for (way, compiled), runs in results.items():
        rates[way, compiled] = statistics.median(run["images/s"] for run in runs)
        peak = statistics.median(run["peak_gib"] for run in runs)
        name = f"{way}{', compiled' if compiled else ''}"
        print(f"  {name:28} {rates[way, compiled]:8.2f} images/s, peak {peak:.2f} GiB")
    for compiled in (False, True):
        if (THEIRS, compiled) in rates:
            ratio = rates[OURS, compiled] / rates[THEIRS, compiled]
            print(f"  ours / theirs{', compiled' if compiled else ''}: {ratio:.2f}")


if __name__ == "__main__":
    main()
