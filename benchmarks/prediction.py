"""Stitching windows, the whole way from a film to its store, and memory against the class count.

python benchmarks/prediction.py [--only stitch|whole|classes] [--runs 3] [--size 2048] [--plot FILE]

Every case is a process of its own; ways alternate; the model calls are timed inside each run and
subtracted; peaks are of the whole process (ru_maxrss), less that of the process that does nothing
but call the same model with the same windows.

stitch: 29 classes, windows of 1024 px, stride 512, Gaussian of 0.3 windows, batches of 2, and a
1x1 convolution with a sigmoid as the model. A process stitches four images; its times are the
medians of the last three, for a new process waits for its memory. `monai` is
sliding_window_inference, which ends with float32 probabilities; `source` is the winners' way (all
windows' maps joined, a float32 cube of sums and one of weights, each with every window's Gaussian,
divided); ours ends with uint8.

whole: decode, CLAHE, windows, file. The network is `unet` with efficientnet-b0, whose weights are
not trained: it is called for its time, and the logits of a soft, wrong-edged truth of a generated
hand stand in for its own, which is timed with the call. The peer is MONAI's stitching and a
compressed float16 .npz. Dice is against the hand's truth.

classes: the peak of `stitch` at 29, 100 and 300 classes, with one window at a time, of ours and of
the process that only calls the model. `band` is what the method needs: float32 sums of the rows
that wait for a window.

Needs `pip install monai` beside handbone. nnU-Net's predictor: prediction_nnunet.py.
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

CLASSES, WINDOW, STRIDE, SIGMA = 29, 1024, 512, 0.3
IMAGES = 3
ROOMS = []
STITCH = ("model", "ours", "monai", "source")
WHOLE = ("ours", "monai")
COUNTS = (29, 100, 300)


def main():
    options = parse()
    if options.case:
        what, way, classes = options.case.split(",")
        measure = {"stitch": measure_stitch, "whole": measure_whole}[what]
        print(json.dumps(measure(way, int(classes), options)))
        return
    asked = [options.only] if options.only else ["stitch", "whole", "classes"]
    for what in asked:
        {"stitch": stitching, "whole": whole_way, "classes": class_counts}[what](options)
    names = ("handbone", "torch", "monai", "numpy")
    print(f"\nload {os.getloadavg()[0]:.1f}; " + ", ".join(f"{n} {version(n)}" for n in names))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["stitch", "whole", "classes"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="SVG of memory against the class count")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser.parse_args()


def runs_of(what, ways, options, classes=CLASSES):
    """Way -> its runs, in turns."""
    results = {way: [] for way in ways}
    for run in range(options.runs):
        for way in ways if run % 2 == 0 else reversed(ways):
            results[way].append(in_own_process(f"{what},{way},{classes}", options))
            print(f"{what} {way}: {results[way][-1]}", file=sys.stderr)
    return results


def in_own_process(case, options):
    given = [f"--{key}={getattr(options, key)}" for key in ("size", "batch")]
    command = [sys.executable, __file__, *given, f"--case={case}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def median(runs, key):
    return statistics.median(run[key] for run in runs)


class Timed:
    """A model, and the seconds spent in its calls."""

    def __init__(self, model):
        self.model, self.seconds = model, 0.0

    def __call__(self, images):
        """As the model."""
        started = time.perf_counter()
        made = self.model(images)
        self.seconds += time.perf_counter() - started
        return made


def outcome(total, model, **more):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"beyond": total - model.seconds, "calls": model.seconds, "peak": peak, **more}


def import_peer(way):
    """What is imported is not timed, and it stands in the peak of every process that needs it."""
    import handbone_cli.commands.wiring.prediction
    import handbone_cli.data.preprocessing
    import handbone_cli.prediction.predictor  # noqa: F401

    if way == "monai":
        import monai.inferers  # noqa: F401


# ---- stitch


def measure_stitch(way, classes, options):
    import torch

    import_peer(way)
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, options.size, options.size, generator=draw)
    convolution = torch.nn.Conv2d(1, classes, 1)
    torch.nn.init.uniform_(convolution.weight, -4, 4, generator=draw)
    torch.nn.init.zeros_(convolution.bias)
    with torch.inference_mode():
        convolution(image[..., :64, :64])
        results = []
        for _ in range(1 + IMAGES):  # the first one is not counted
            made = None  # not beside the next
            model = Timed(lambda images: convolution(images).sigmoid_())
            started = time.perf_counter()
            made = WAYS[way](image, model, classes, options)
            results.append(outcome(time.perf_counter() - started, model))
        result = {key: median(results[1:], key) for key in results[0]}
        result["peak"] = results[-1]["peak"]
    if made is not None:
        scale = 255 if made.dtype == torch.uint8 else 1
        result["mean"] = sum(float(plane.double().mean()) for plane in made) / len(made) / scale
    return result


def corners(options):
    from handbone_cli.prediction.sliding_window import starts

    places = starts(options.size, WINDOW, STRIDE)
    return [(y, x) for y in places for x in places]


def chunks(image, options):
    import torch

    places = corners(options)
    for first in range(0, len(places), options.batch):
        chunk = places[first : first + options.batch]
        yield chunk, torch.cat([image[..., y : y + WINDOW, x : x + WINDOW] for y, x in chunk])


def only_model(image, model, _, options):
    for _, crops in chunks(image, options):
        model(crops)


def ours(image, model, classes, options):
    import torch

    from handbone_cli.prediction.seam import Rooms, room
    from handbone_cli.prediction.sliding_window import Windows, stitch
    from handbone_cli.prediction.window_batch import WindowBatch

    out = room((classes, options.size, options.size), image.device, torch.uint8)
    if not ROOMS:
        ROOMS.append(Rooms())  # as a predictor keeps them
    windows = Windows(WINDOW, STRIDE, gaussian=True, sigma=SIGMA)
    return stitch(image, model, windows, WindowBatch(options.batch), out, rooms=ROOMS[0])


def monai(image, model, _, options):
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(
        image, WINDOW, options.batch, model, overlap=1 - STRIDE / WINDOW, mode="gaussian",
        sigma_scale=SIGMA,
    )[0]  # fmt: skip


def source(image, model, classes, options):
    import torch

    axis = torch.arange(WINDOW) - (WINDOW - 1) / 2
    line = torch.exp(-0.5 * (axis / (SIGMA * WINDOW)) ** 2)
    gaussian = line[:, None] * line
    maps = torch.cat([model(crops) for _, crops in chunks(image, options)])
    total = torch.zeros(classes, options.size, options.size)
    weights = torch.zeros_like(total)
    for (y, x), each in zip(corners(options), maps, strict=True):
        total[:, y : y + WINDOW, x : x + WINDOW] += each * gaussian
        weights[:, y : y + WINDOW, x : x + WINDOW] += gaussian
    return total / weights


WAYS = {"model": only_model, "ours": ours, "monai": monai, "source": source}


def stitching(options):
    results = runs_of("stitch", STITCH, options)
    base, peer = median(results["model"], "peak"), results["monai"]
    beyond, room = median(peer, "beyond"), median(peer, "peak") - base
    print(f"\nStitching {CLASSES} x {options.size}^2, window {WINDOW}, stride {STRIDE}\n")
    print("| way | beyond the model calls, s (range) | of MONAI's | peak beyond the model's "
          "| of MONAI's |\n|---|---|---|---|---|")  # fmt: skip
    for way in STITCH[1:]:
        seconds = [run["beyond"] for run in results[way]]
        middle, peak = statistics.median(seconds), median(results[way], "peak") - base
        print(
            f"| {way} | {middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | "
            f"{middle / beyond:.2f} | {peak / 2**20:.0f} MiB | {peak / room:.2f} |"
        )
    means = {way: results[way][0]["mean"] for way in STITCH[1:]}
    if max(means.values()) - min(means.values()) > 0.1 / 255:
        raise SystemExit(f"the ways do not agree: mean probabilities {means}")
    print(f"\nmodel calls {median(results['model'], 'calls'):.2f} s, the process that only calls "
          f"it {base / 2**20:.0f} MiB; batches of {options.batch}")  # fmt: skip


# ---- whole


def measure_whole(way, classes, options):
    """One film from its PNG to a file; what is in that file."""
    import torch

    from handbone_cli.host.registry import installed
    from handbone_cli.networks.build import build_segmenter
    from handbone_cli.recipe.schema import Recipe

    recipe = Recipe.model_validate({
        "name": "whole", "data": {"patch": WINDOW},
        "model": {"name": "unet", "encoder": "efficientnet-b0", "pretrained": False},
        "loss": {"name": "bce"}, "train": {"precision": "fp32"},
        "predict": {"window": WINDOW, "stride": STRIDE, "sigma": SIGMA,
                    "batch_size": options.batch},
    })  # fmt: skip
    import_peer(way)
    film, truth, logits = hand(options.size, classes)
    network = build_segmenter(recipe, installed(), classes).eval()
    standing = standing_in(network, logits, corners(options))
    with tempfile.TemporaryDirectory(prefix="hb-benchmark-") as folder, torch.inference_mode():
        path = Path(folder) / "film.png"
        path.write_bytes(film)
        network(torch.zeros(1, 1, 64, 64))
        model = Timed(standing)
        finish = {"ours": our_way, "monai": their_way}[way]
        started = time.perf_counter()
        file, look = finish(path, Path(folder), model, recipe)
        result = outcome(time.perf_counter() - started, model)
        return {**result, "bytes": file.stat().st_size, **look(truth)}


def standing_in(network, logits, places):
    """A model that takes the network's time and gives other logits, window by window."""
    import torch

    class Standing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.calls = network, 0

        def forward(self, images):
            network(images)
            parts = []
            for _ in images:
                y, x = places[self.calls % len(places)]
                parts.append(logits[:, y : y + WINDOW, x : x + WINDOW])
                self.calls += 1
            return torch.stack(parts).float()

    return Standing()


def hand(size, classes):
    """A generated hand: PNG bytes, truth (C, H, W) bool and logits (C, H, W) float16."""
    import cv2
    import numpy as np
    import torch

    from handbone_cli.host.interfaces import DatasetContext
    from handbone_cli.host.registry import installed
    from handbone_cli.masks import PackedMask

    given = {"people": 1, "size": size}
    dataset = installed().build("datasets", "generated", given, DatasetContext(None))
    sample = dataset.samples("train")[0]
    truth = PackedMask.from_labels(sample.read_labels(), (size, size), classes).dense()
    rng = np.random.default_rng(0)
    logits = torch.empty((classes, size, size), dtype=torch.float16)
    for index, mask in enumerate(truth):
        inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
        outside = cv2.distanceTransform(1 - mask.astype(np.uint8), cv2.DIST_L2, 3)
        wrong = cv2.resize(rng.normal(0, 3, (32, 32)).astype(np.float32), (size, size),
                           interpolation=cv2.INTER_CUBIC)  # fmt: skip
        logits[index] = torch.from_numpy(np.clip((inside - outside + wrong) / 2, -12, 12))
    return cv2.imencode(".png", sample.read_image())[1].tobytes(), truth, logits


def our_way(path, folder, model, recipe):
    import cv2
    import numpy as np

    from handbone_cli.commands.wiring.prediction import build_predictor
    from handbone_cli.host.registry import installed
    from handbone_cli.store.boxes import BoxedProbabilities

    names = [f"c{index}" for index in range(CLASSES)]
    predictor = build_predictor(model.model, recipe, installed(), names, tta=(), mirror_pairs=())
    object.__setattr__(predictor, "model", model)  # frozen; the timed one is no module
    file = folder / "film.npz"
    predictor.predict(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).save(file)

    def look(truth):
        full = (0, truth.shape[1], 0, truth.shape[2])
        one = fastest(lambda: BoxedProbabilities.load(file, [CLASSES // 2]))
        every = fastest(lambda: BoxedProbabilities.load(file))
        boxed = BoxedProbabilities.load(file)
        masks = (boxed.crop(index, full) > 127 for index in range(len(truth)))
        score = np.mean([dice(mask, each) for mask, each in zip(masks, truth, strict=True)])
        return {"one": one, "every": every, "dice": float(score)}

    return file, look


def their_way(path, folder, model, recipe):
    import cv2
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference

    from handbone_cli.commands.wiring.prediction import for_network
    from handbone_cli.data.preprocessing import Preprocessing
    from handbone_cli.host.registry import installed

    grey = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    image = for_network(Preprocessing.of(recipe, installed())(grey)).image
    maps = sliding_window_inference(
        torch.from_numpy(image)[None], WINDOW, recipe.predict.batch_size,
        lambda images: model(images).sigmoid_(), overlap=1 - STRIDE / WINDOW, mode="gaussian",
        sigma_scale=SIGMA,
    )[0].numpy()  # fmt: skip
    file = folder / "film.npz"
    np.savez_compressed(file, probabilities=maps.astype(np.float16))

    def look(truth):
        scores = [dice(each > 0.5, mask) for each, mask in zip(maps, truth, strict=True)]
        return {"dice": float(np.mean(scores))}

    return file, look


def dice(mask, truth):
    both = mask.sum() + truth.sum()
    return 2 * (mask & truth).sum() / both if both else 1.0


def fastest(read):
    """The median of 20, in seconds, of a file that has just been written."""
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def whole_way(options):
    results = runs_of("whole", WHOLE, options)
    print(f"\nFrom a PNG of {options.size}^2 to its file, {CLASSES} classes\n")
    print("| way | beyond the model calls, s (range) | model calls, s | file | peak | mean Dice |")
    print("|---|---|---|---|---|---|")
    for way, runs in results.items():
        seconds = [run["beyond"] for run in runs]
        print(
            f"| {way} | {statistics.median(seconds):.2f} ({min(seconds):.2f} to "
            f"{max(seconds):.2f}) | {median(runs, 'calls'):.1f} | "
            f"{median(runs, 'bytes') / 1e6:.3f} MB | {median(runs, 'peak') / 2**20:.0f} MiB | "
            f"{runs[0]['dice']:.6f} |"
        )
    mine, peer = results["ours"], results["monai"]
    cube = CLASSES * options.size**2 * 2
    print(
        f"\nours / MONAI with float16: {median(mine, 'beyond') / median(peer, 'beyond'):.3f} "
        f"of the time; the file 1/{cube / median(mine, 'bytes'):.0f} of float16, "
        f"1/{median(peer, 'bytes') / median(mine, 'bytes'):.1f} of it compressed; one bone "
        f"{1000 * median(mine, 'one'):.2f} ms, all {1000 * median(mine, 'every'):.1f} ms; Dice "
        f"differs by {abs(mine[0]['dice'] - peer[0]['dice']):.2e}"
    )


# ---- classes


def class_counts(options):
    single = argparse.Namespace(**{**vars(options), "batch": 1})
    rows = []
    for classes in COUNTS:
        results = runs_of("stitch", ("model", "ours"), single, classes)
        room = median(results["ours"], "peak") - median(results["model"], "peak")
        open_rows = (WINDOW - STRIDE) * (options.size + WINDOW - STRIDE)
        rows.append((classes, room, 4 * classes * open_rows, classes * options.size**2))
    print("\n| classes | peak beyond the model's process | band | uint8 result | rest |")
    print("|---|---|---|---|---|")
    for classes, *sizes in rows:
        rest = sizes[0] - sum(sizes[1:])
        cells = " | ".join(f"{size / 2**20:.0f} MiB" for size in (*sizes, rest))
        print(f"| {classes} | {cells} |")
    if options.plot:
        options.plot.write_text(plot(rows), encoding="utf-8")


def plot(rows):
    """Memory in MiB against the class count, as SVG: all of it, and what is not sums or result."""
    most = max(row[1] for row in rows)

    def line(values, colour, label, at):
        points = " ".join(f"{60 + 1.1 * c:.0f},{260 - 220 * v / most:.0f}" for c, v in values)
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="70" y="{at}" fill="{colour}">{label}</text>'
        )

    whole = [(classes, room) for classes, room, _, _ in rows]
    rest = [(classes, max(room - band - maps, 0)) for classes, room, band, maps in rows]
    ticks = "".join(f'<text x="{55 + 1.1 * c:.0f}" y="280">{c}</text>' for c in COUNTS)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="440" height="310" font-size="12" '
        'font-family="sans-serif"><rect width="440" height="310" fill="white"/>'
        '<path d="M60 20V260H420" fill="none" stroke="#888"/>'
        f'{ticks}<text x="200" y="300">classes</text>'
        f'<text x="5" y="44">{most / 2**20:.0f}</text><text x="5" y="60">MiB</text>'
        f'<text x="40" y="264">0</text>'
        + line(whole, "#1f5fa8", "peak beyond the model&#8217;s process", 40)
        + line(rest, "#b5482a", "less the band and the uint8 result", 58)
        + "</svg>\n"
    )


if __name__ == "__main__":
    main()
