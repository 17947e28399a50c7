"""Images a second on a GPU, from PNG to file: ours, MONAI's stitching, nnU-Net's, the bare model.

python benchmarks/gpu/prediction.py [--images 16] [--size 2048] [--batch 4] [--runs 3]
                                    [--device cuda|cpu]

The network is `nnunet` with random weights in bf16, called for its time; the logits of a soft,
wrong-edged truth of a generated hand, on the device, stand in for its own. Windows of 1024 px,
stride 512, Gaussian. Each way is a process of its own, in turns; the first two images are not
counted. All read and preprocess ahead with two threads.

bare: the model's calls on the windows of an image that lies on the device, and nothing else.
ours: `hb predict`'s own loop into a store. monai: sliding_window_inference on the device, then a
compressed float16 .npz. nnunet: nnUNetPredictor's windows on the device and its exporter with
probabilities, where nnunetv2 is installed.

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from prediction import CLASSES, SIGMA, STRIDE, WINDOW, corners, hand, standing_in

WARM = 2


def main():
    options = parse()
    if options.way:
        print(json.dumps(measure(options)))
        return
    ways = ["bare", "ours"]
    ways += [way for way, module in (("monai", "monai"), ("nnunet", "nnunetv2"))
             if importlib.util.find_spec(module)]  # fmt: skip
    runs = {way: [] for way in ways}
    for run in range(options.runs):
        for way in ways if run % 2 == 0 else reversed(ways):
            runs[way].append(in_own_process(way, options))
            print(f"{way}: {runs[way][-1]}", file=sys.stderr)
    bare = statistics.median(run["seconds"] for run in runs["bare"])
    print("\n| way | images/s (range) | of the bare calls' time | peak on the device |")
    print("|---|---|---|---|")
    for way, each in runs.items():
        seconds = [run["seconds"] for run in each]
        middle, peak = statistics.median(seconds), max(run["peak"] for run in each)
        print(f"| {way} | {1 / middle:.2f} ({1 / max(seconds):.2f} to {1 / min(seconds):.2f}) | "
              f"{middle / bare:.2f} | {peak / 2**20:.0f} MiB |")  # fmt: skip


def parse():
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(way, options):
    given = [f"--{key}={getattr(options, key)}" for key in ("images", "size", "batch", "device")]
    command = [sys.executable, __file__, *given, f"--way={way}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options):
    import torch

    from handbone_cli.host.registry import installed
    from handbone_cli.networks.build import build_segmenter
    from handbone_cli.recipe.schema import Recipe

    recipe = Recipe.model_validate({
        "name": "gpu", "data": {"patch": WINDOW}, "model": {"name": "nnunet"},
        "loss": {"name": "bce"},
        "train": {"precision": "bf16" if options.device == "cuda" else "fp32"},
        "predict": {"window": WINDOW, "stride": STRIDE, "sigma": SIGMA,
                    "batch_size": options.batch},
    })  # fmt: skip
    film, _, logits = hand(options.size, CLASSES)
    device = torch.device(options.device)
    network = build_segmenter(recipe, installed(), CLASSES).eval().to(device)
    standing = standing_in(network, logits.to(device), corners(options)).eval()
    with tempfile.TemporaryDirectory(prefix="hb-benchmark-") as name, torch.inference_mode():
        folder = Path(name)
        films = folder / "films"
        films.mkdir()
        for index in range(WARM + options.images):
            (films / f"{index:03}.png").write_bytes(film)
        seconds = WAYS[options.way](standing, films, folder / "out", recipe, options, device)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {"seconds": seconds, "peak": peak}


def clock(device):
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def prepared_films(films, recipe):
    """Every film as the network sees it, two threads ahead."""
    import cv2

    from handbone_cli.commands.wiring.prediction import for_network
    from handbone_cli.data.preprocessing import Preprocessing
    from handbone_cli.host.registry import installed

    preprocessing = Preprocessing.of(recipe, installed())

    def read(path):
        return for_network(preprocessing(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))).image

    waiting, paths = [], sorted(films.iterdir())
    with ThreadPoolExecutor(2) as pool:
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) > 2:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


def autocast(device):
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def bare(model, films, _, recipe, options, device):
    import torch

    image = torch.from_numpy(next(prepared_films(films, recipe)))[None].to(device)
    places = corners(options)

    def once():
        for first in range(0, len(places), options.batch):
            chunk = places[first : first + options.batch]
            crops = [image[..., y : y + WINDOW, x : x + WINDOW] for y, x in chunk]
            with autocast(device):
                model(torch.cat(crops))

    for _ in range(WARM):
        once()
    started = clock(device)
    for _ in range(options.images):
        once()
    return (clock(device) - started) / options.images


def ours(model, films, out, recipe, options, device):
    from handbone_cli.commands.wiring.datasets import find_samples
    from handbone_cli.commands.wiring.filling import write_all
    from handbone_cli.commands.wiring.prediction import build_predictor
    from handbone_cli.host.registry import installed
    from handbone_cli.store.store import StoreWriter

    names = [f"c{index}" for index in range(CLASSES)]
    predictor = build_predictor(model, recipe, installed(), names, tta=(), mirror_pairs=())
    samples = find_samples(str(films), recipe, installed())
    started = 0.0

    def jobs():
        nonlocal started
        for index, sample in enumerate(samples):
            if index == WARM + 2:  # two are read ahead
                started = clock(device)
            yield sample, predictor, False

    order = [sample.image_id for sample in samples]
    store = StoreWriter(out, names, {}, order, None)
    write_all(store, jobs(), len(order), 2)
    return (clock(device) - started) / options.images


def monai(model, films, out, recipe, options, device):
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference

    out.mkdir()

    def called(images):
        with autocast(device):
            return model(images).sigmoid_()

    for index, image in enumerate(prepared_films(films, recipe)):
        if index == WARM:
            started = clock(device)
        maps = sliding_window_inference(
            torch.from_numpy(image)[None].to(device), WINDOW, options.batch, called,
            overlap=1 - STRIDE / WINDOW, mode="gaussian", sigma_scale=SIGMA,
        )[0]  # fmt: skip
        np.savez_compressed(out / f"{index}.npz", probabilities=maps.half().cpu().numpy())
    return (clock(device) - started) / options.images


def nnunet(model, films, out, recipe, options, device):
    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from prediction_nnunet import nnunet_predictor

    out.mkdir()
    predictor, plans, two, dataset, properties = nnunet_predictor(
        model, (options.size, options.size), device
    )
    for index, image in enumerate(prepared_films(films, recipe)):
        if index == WARM:
            started = clock(device)
        logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(image)[:, None])
        export_prediction_from_logits(
            logits.cpu(), properties, two, plans, dataset, str(out / str(index)),
            save_probabilities=True,
        )  # fmt: skip
    return (clock(device) - started) / options.images


WAYS = {"bare": bare, "ours": ours, "monai": monai, "nnunet": nnunet}

if __name__ == "__main__":
    main()
