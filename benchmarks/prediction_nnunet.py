"""From windows' logits to probabilities on disk: nnU-Net v2's own predictor and exporter, and ours.

python benchmarks/prediction_nnunet.py [--runs 3] [--size 2048]

The network is nnU-Net's plain U-Net, small (dynamic-network-architectures), for both; its weights
are not trained: it is called for its time, and the logits of a soft, wrong-edged truth of a
generated hand stand in for its own. Windows of 1024 px, stride 512, one at a time, no mirroring.

nnU-Net: predict_sliding_window_return_logits (a float16 cube of sums), then
export_prediction_from_logits with save_probabilities, in the same process, as
predict_from_files_sequential has it; 29 regions, no resampling (the shapes are equal). Ours: the
predictor and the store's file. Each run is a process of its own, in turns; the model's calls are
timed inside it and subtracted; peaks are of the whole process.

Needs nnunetv2 (tried with 2.8.1). What is read from PNG is the same and not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from prediction import CLASSES, STRIDE, WINDOW, Timed, corners, hand, standing_in

WAYS = ("ours", "nnunet")


def main():
    options = parse()
    if options.way:
        print(json.dumps(measure(options)))
        return
    runs = {way: [] for way in WAYS}
    for run in range(options.runs):
        for way in WAYS if run % 2 == 0 else reversed(WAYS):
            command = [sys.executable, __file__, f"--size={options.size}", f"--way={way}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{way}: {done.stderr}")
            runs[way].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{way}: {runs[way][-1]}", file=sys.stderr)
    report(runs)
    print(
        f"load {os.getloadavg()[0]:.1f}; torch {version('torch')}, nnunetv2 {version('nnunetv2')}"
    )


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


def report(runs):
    middle = {
        way: {key: statistics.median(run[key] for run in each) for key in each[0]}
        for way, each in runs.items()
    }
    print("\n| way | windows, s | export, s | model calls, s | files | peak |")
    print("|---|---|---|---|---|---|")
    for way, of in middle.items():
        print(f"| {way} | {of['windows']:.2f} | {of['export']:.2f} | {of['calls']:.1f} | "
              f"{of['bytes'] / 1e6:.2f} MB | {of['peak'] / 2**20:.0f} MiB |")  # fmt: skip
    ours, peer = middle["ours"], middle["nnunet"]
    both = (ours["windows"] + ours["export"]) / (peer["windows"] + peer["export"])
    print(f"\nours / nnU-Net: export {ours['export'] / peer['export']:.4f}, all beyond the model's "
          f"calls {both:.4f}\n")  # fmt: skip


def measure(options):
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    _, _, logits = hand(options.size, CLASSES)
    network = PlainConvUNet(
        1, 6, (8, 16, 32, 64, 64, 64), torch.nn.Conv2d, 3, (1, 2, 2, 2, 2, 2), 1, CLASSES, 1
    ).eval()
    standing = standing_in(network, logits, corners(options))
    image = torch.rand(1, options.size, options.size, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory(prefix="hb-benchmark-") as name, torch.inference_mode():
        folder, model = Path(name), Timed(standing)
        network(torch.zeros(1, 1, 64, 64))
        windows, export = {"ours": ours, "nnunet": nnunet}[options.way](image, model, folder)
        files = sum(file.stat().st_size for file in folder.iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"windows": windows - model.seconds, "export": export, "calls": model.seconds,
            "bytes": files, "peak": peak}  # fmt: skip


def ours(image, model, folder):
    """Boxes are made as the last rows are done, so they count as export with the file."""
    import torch

    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.prediction.seam import room
    from handbone_cli.prediction.sliding_window import Windows, stitch
    from handbone_cli.prediction.window_batch import WindowBatch
    from handbone_cli.store.boxes import BoxedProbabilities

    predictor = Predictor(model, CLASSES, lambda grey: grey, Windows(WINDOW, STRIDE, sigma=1 / 8))
    size = tuple(image.shape[1:])
    started = time.perf_counter()
    maps = room((CLASSES, *size), image.device, torch.uint8)
    stitch(image[None], predictor._views, predictor.windows, WindowBatch(1), maps)  # noqa: SLF001
    stitched = time.perf_counter()
    whole = maps.numpy()
    full = (0, size[0], 0, size[1])
    boxed = BoxedProbabilities.from_planes(CLASSES, size, lambda index: (whole[index], full))
    boxed.save(folder / "film.npz")
    return stitched - started, time.perf_counter() - stitched


def nnunet_predictor(model, size, device):
    """nnU-Net's predictor, plans, configuration, dataset and an image's properties."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    plans = PlansManager({
        "dataset_name": "hands", "plans_name": "plans", "image_reader_writer": "NaturalImage2DIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager", "original_median_spacing_after_transp": [999, 1, 1],
        "configurations": {"2d": {
            "patch_size": [WINDOW, WINDOW], "spacing": [1.0, 1.0], "architecture": {},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": resampling,
        }},
    })  # fmt: skip
    labels = {"background": 0, **{f"c{k}": [k + 1, CLASSES + 1] for k in range(CLASSES)}}
    dataset = {"labels": labels, "regions_class_order": list(range(1, CLASSES + 1)),
               "channel_names": {"0": "xray"}, "file_ending": ".png"}  # fmt: skip
    predictor = nnUNetPredictor(
        tile_step_size=STRIDE / WINDOW, use_gaussian=True, use_mirroring=False,
        perform_everything_on_device=device.type != "cpu", device=device, allow_tqdm=False,
    )  # fmt: skip
    two = plans.get_configuration("2d")
    predictor.manual_initialization(model, plans, two, None, dataset, "nnUNetTrainer", None)
    shape = (1, *size)
    properties = {
        "spacing": [999, 1, 1], "shape_before_cropping": shape,
        "shape_after_cropping_and_before_resampling": shape,
        "bbox_used_for_cropping": [[0, side] for side in shape],
    }  # fmt: skip
    return predictor, plans, two, dataset, properties


def nnunet(image, model, folder):
    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits

    predictor, plans, two, dataset, properties = nnunet_predictor(
        model.model, tuple(image.shape[1:]), torch.device("cpu")
    )
    predictor.network = Called(model)
    started = time.perf_counter()
    logits = predictor.predict_sliding_window_return_logits(image[:, None])
    stitched = time.perf_counter()
    export_prediction_from_logits(
        logits, properties, two, plans, dataset, str(folder / "film"), save_probabilities=True
    )
    return stitched - started, time.perf_counter() - stitched


class Called:
    """A timed model that answers to what nnU-Net asks of a module."""

    def __init__(self, model):
        self.model = model

    def __call__(self, images):
        """As the model."""
        return self.model(images)

    def to(self, _):
        """It is where it is."""
        return self

    def eval(self):
        """It is."""
        return self


if __name__ == "__main__":
    main()
