"""Patches a second: 2048 px radiographs to augmented, CLAHE'd 1024 px batches with 29 classes.

python benchmarks/loading.py [--runs 3] [--patches 20] [--workers 2] [--people 12]

Peers: the winners' way on a CPU (albumentations on 29 planes, FIELD.md tells the procedure) and
MONAI's dictionary transforms, both as people write them. All ways read the same generated hands,
draw 1024 px patches with the same augmentation (shift, scale .025, rotation 10 degrees, CLAHE 2.0
on 8 x 8 tiles, ImageNet normalising), and give float32 images and labels through a torch DataLoader
of as many workers. Ours gives packed labels; `ours, unpacked` also unpacks them to 29 float planes
as the peers do, which a run does on the device. Every way is a process tree of its own, in turns;
its peak is the largest sum of proportional set sizes (PSS) over the tree, sampled every 20 ms.

Needs `pip install albumentations==2.0.8 monai` beside handbone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

SIDE = 1024
BATCH = 2
WAYS = {
    "source": "winners' way (albumentations)",
    "monai": "MONAI dictionary transforms",
    "first": "ours, first epoch (no cache)",
    "unpacked": "ours, first epoch, unpacked",
    "building": "ours, epoch that builds the cache",
    "cached": "ours, second epoch (cache)",
}


def main():
    options = parse()
    if total_batches(options) * BATCH > 2 * options.people:
        raise SystemExit("an epoch that builds the cache needs an image a patch: raise --people")
    if options.way:
        run_way(options)
        return
    with tempfile.TemporaryDirectory(prefix="hb-loading-") as folder:
        root = Path(folder) / "hands"
        generate(root, options.people)
        results = {way: [] for way in WAYS}
        for turn in range(options.runs):
            for way, name in WAYS.items():
                results[way].append(measure(way, root, Path(folder), options))
                rate, peak = results[way][-1]
                print(f"run {turn + 1}: {name}: {rate:.2f} patches/s, {peak:.0f} MiB")
    report(results, options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--patches", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--cache", type=Path)
    return parser.parse_args()


def generate(root, people):
    from handbone_cli.host.interfaces import DatasetContext
    from handbone_cli.host.registry import installed

    options = {"people": people, "size": 2048}
    dataset = installed().build("datasets", "generated", options, DatasetContext(None))
    dataset.write(root, lambda *_: None)


def measure(way, root, folder, options):
    """Patches a second and peak MiB of one way, a process tree of its own."""
    cache = folder / "cache"
    if way == "building":
        cache = folder / f"cache-{time.time_ns()}"
    command = [
        sys.executable, __file__, "--way", way, "--root", str(root), "--cache", str(cache),
        "--patches", str(options.patches), "--workers", str(options.workers),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_set, tree(process.pid))))
        time.sleep(0.02)
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{way} failed")
    return json.loads(output.splitlines()[-1])["rate"], peak / 1024


def tree(pid):
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    except OSError:
        pass
    return found


def proportional_set(pid):
    """KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def run_way(options):
    """Draw a warm-up batch for every worker, then time the rest; prints one line of JSON."""
    build = {"source": source_loader, "monai": monai_loader}.get(options.way, our_loader)
    batches = build(options)
    warm = max(options.workers, 1)
    for _ in range(warm):
        next(batches)
    started, count = time.perf_counter(), 0
    for images, labels in batches:
        assert images.shape[-2:] == (SIDE, SIDE)
        assert len(images) == len(labels) == BATCH
        count += len(images)
    print(json.dumps({"rate": count / (time.perf_counter() - started)}))


def total_batches(options):
    return options.patches // BATCH + max(options.workers, 1)


def files(root):
    images = sorted((root / "train" / "DCM").rglob("*.png"))
    return [
        (path, root / "train" / "outputs_json" / path.parent.name / f"{path.stem}.json")
        for path in images
    ]


def dense_planes(labels, height, width):
    """The winners' way: a plane for every outline, copied into its class."""
    import cv2
    import numpy as np

    from handbone_cli import HAND_BONES

    planes = np.zeros((height, width, len(HAND_BONES)), np.uint8)
    for annotation in json.loads(labels.read_bytes())["annotations"]:
        plane = np.zeros((height, width), np.uint8)
        cv2.fillPoly(plane, [np.array(annotation["points"], np.int32)], 1)
        planes[..., HAND_BONES.index(annotation["label"])] = plane
    return planes


def source_loader(options):
    import albumentations
    import cv2
    import torch
    from torch.utils.data import DataLoader, Dataset

    cv2.setNumThreads(0)
    pairs = files(options.root)
    transform = albumentations.Compose([
        albumentations.CLAHE(clip_limit=(2.0, 2.0), tile_grid_size=(8, 8), p=1.0),
        albumentations.Affine(
            translate_percent=(-0.025, 0.025), scale=(0.975, 1.025), rotate=(-10, 10), p=1.0
        ),
        albumentations.RandomCrop(SIDE, SIDE),
        albumentations.Normalize(),
    ])  # fmt: skip

    class Films(Dataset):
        def __len__(self):
            return total_batches(options) * BATCH

        def __getitem__(self, index):
            path, labels = pairs[index % len(pairs)]
            image = cv2.imread(str(path))
            drawn = transform(image=image, mask=dense_planes(labels, *image.shape[:2]))
            image = torch.from_numpy(drawn["image"].transpose(2, 0, 1)).float()
            return image, torch.from_numpy(drawn["mask"].transpose(2, 0, 1)).float()

    return iter(DataLoader(Films(), batch_size=BATCH, num_workers=options.workers))


def monai_loader(options):
    import cv2
    import numpy as np
    import torch
    from monai import transforms
    from monai.data import DataLoader, Dataset

    cv2.setNumThreads(0)
    half_turn = np.pi / 18

    def read(pair):
        grey = cv2.imread(str(pair["image"]), cv2.IMREAD_GRAYSCALE)
        grey = cv2.createCLAHE(2.0, (8, 8)).apply(grey)
        planes = dense_planes(pair["label"], *grey.shape)
        return {"image": grey[None], "label": planes.transpose(2, 0, 1)}

    reach = (SIDE / 2 + 0.025 * 2048,) * 2
    transform = transforms.Compose([
        read,
        # one resampling, of the patch alone: the fastest way that MONAI has
        transforms.RandAffined(
            ["image", "label"], prob=1.0, rotate_range=(half_turn,), translate_range=reach,
            scale_range=(0.025, 0.025), spatial_size=(SIDE, SIDE), mode=("bilinear", "nearest"),
            padding_mode="zeros",
        ),
        transforms.NormalizeIntensityd("image", subtrahend=255 * 0.449, divisor=255 * 0.226),
        transforms.ToTensord(["image", "label"], dtype=torch.float32),
    ])  # fmt: skip
    pairs = [{"image": image, "label": label} for image, label in files(options.root)]
    repeated = [pairs[index % len(pairs)] for index in range(total_batches(options) * BATCH)]
    loader = DataLoader(Dataset(repeated, transform), batch_size=BATCH, num_workers=options.workers)
    return iter((batch["image"], batch["label"]) for batch in loader)


def our_loader(options):
    from handbone_cli.commands.wiring.loading import build_loader, build_source
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.host.registry import installed
    from handbone_cli.networks.labels import unpack_labels
    from handbone_cli.recipe.load import load_recipe

    on_disk = options.way in {"building", "cached"}
    overrides = [
        f"data.root={options.root}", f"data.patch={SIDE}", "data.loader=torch", "data.cache_mb=0",
        f"data.workers={options.workers}", f"train.batch_size={BATCH}",
        "augment.shift=0.025", "augment.scale=0.025", "augment.rotate=10",
        f"data.cache={json.dumps(str(options.cache)) if on_disk else 'false'}",
    ]  # fmt: skip
    registry = installed()
    recipe = load_recipe("nnunet", registry, overrides)
    dataset = open_dataset(recipe, registry)
    samples = list(dataset.samples("train"))
    images = PreparedImages.of(recipe, registry)
    if options.way == "cached":
        for sample in samples:
            images.image(sample), images.labels(sample)
        images = PreparedImages.of(recipe, registry)
    source = build_source(recipe, dataset, samples, images)
    loader = build_loader(recipe, source, registry, "cpu", print, recipe.train.batch_size)

    def batches():
        epoch = drawn = 0
        while True:
            for image, labels in loader.epoch(epoch):
                if options.way == "unpacked":
                    labels = unpack_labels(labels, len(dataset.class_names))  # noqa: PLW2901
                yield image, labels
                drawn += 1
                if drawn == total_batches(options):
                    return
            epoch += 1

    return batches()


def report(results, options):
    print()
    print("| way | patches/s, median (range) | against the winners' | against MONAI | peak |")
    print("|---|---|---|---|---|")
    medians = {way: statistics.median(rate for rate, _ in runs) for way, runs in results.items()}
    for way, runs in results.items():
        rates = [rate for rate, _ in runs]
        peak = statistics.median(peak for _, peak in runs)
        print(
            f"| {WAYS[way]} | {medians[way]:.2f} ({min(rates):.2f} to {max(rates):.2f}) "
            f"| {medians[way] / medians['source']:.1f} | {medians[way] / medians['monai']:.1f} "
            f"| {peak:.0f} MiB |"
        )
    names = ("handbone", "albumentations", "monai", "torch", "opencv-python-headless", "numpy")
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.workers} workers; ")
    print(", ".join(f"{name} {version(name)}" for name in names))


if __name__ == "__main__":
    main()
