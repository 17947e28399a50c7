"""Weights and thresholds for an ensemble: statistics, choice and cross-fitting against the source.

python benchmarks/decision.py [--images 160] [--models 3] [--source 50] [--people-out 40]
                              [--only compare|growth] [--plot FOLDER] [--folder DIR]

Stores of models that err in their own ways are made of generated hands' truth (2048 px, 29 bones):
in every bone's box the truth is shifted and blurred by what the model, the bone and the person
give, then stored as `hb predict` would. Making them is not timed;
reading them and the labels is, in both ways.

`ours` is `hb ensemble optimize --per-class --thresholds joint` with an empty cache and two
processes: statistics, the search, five-fold cross-fitting. `source` is the winners' procedure as
they describe it: full uint8 maps (29, H, W) of every model in memory, per image, class and model
the float sums of p x truth and of p, then a grid of 0.2 over the simplex and SciPy's Nelder-Mead
(1e-4) on soft Dice, once a class. Its images must all be in memory, so it gets fewer; it is
scored per image. Both are scored by hard Dice on the people they chose on, and on others
(`--people-out` images of other people).

Every case is a process of its own; peaks are of the whole process tree (PSS, sampled).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from handbone_cli.host.interfaces import DatasetContext
from handbone_cli.host.registry import installed
from handbone_cli.masks import EMPTY, PackedMask, grow_box
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.store import ImageEntry, Store, StoreWriter

MODEL_SHIFT, PERSON_SHIFT, BLUR = 2.0, 2.5, 3.0
"""Pixels at 2048: how far a model is off for a bone, and for a person; its border's width."""
STEP = 0.05


def main():
    options = parse()
    if options.case:
        print(json.dumps(CASES[options.case](options)))
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="decision-", dir=options.base))
    try:
        if options.only in {None, "compare"}:
            compare(options, folder)
        if options.only in {None, "growth"}:
            growth(options, folder)
    finally:
        if not options.folder:
            shutil.rmtree(folder)
    versions = ", ".join(f"{n} {version(n)}" for n in ("handbone", "numpy", "scipy"))
    print(f"\nload {os.getloadavg()[0]:.1f}; {versions}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=160, help="to choose on; two a person")
    parser.add_argument("--people-out", type=int, default=80, help="images of other people")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--source", type=int, default=50, help="images that the source's way gets")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=29)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=["compare", "growth"])
    parser.add_argument("--plot", type=Path, help="folder for SVGs of growth")
    parser.add_argument(
        "--folder", type=Path, help="keep stores here, and use those that are there"
    )
    parser.add_argument("--base", type=Path, help="where temporary stores are made")
    parser.add_argument("--case", choices=["ours", "source"], help=argparse.SUPPRESS)
    parser.add_argument("--stores", type=Path, nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


# The stores


def dataset(options, first=0):
    people = -(-(options.images + options.people_out) // 2) + first
    context = DatasetContext(None)
    given = {"people": people, "size": options.size}
    return installed().build("datasets", "generated", given, context)


def make_stores(options, folder):
    """One store a model of the people to choose on and of others, unless they are there."""
    data = dataset(options)
    samples = data.samples("train")
    parts = {"val": samples[: options.images], "out": samples[options.images :]}
    parts["out"] = parts["out"][: options.people_out]
    names = data.class_names[: options.classes]
    reference = {"dataset": "generated", "root": None, "options": data.options.model_dump()}
    paths = {}
    for part, chosen in parts.items():
        paths[part] = [folder / f"{part}{len(chosen)}_m{m}" for m in range(options.models)]
        missing = [m for m, path in enumerate(paths[part]) if not path.exists()]
        if not missing:
            continue
        writers = {
            m: StoreWriter(paths[part][m], names, {"model": m}, [s.image_id for s in chosen],
                           reference if len(names) == len(data.class_names) else None)
            for m in missing
        }  # fmt: skip
        for sample in chosen:
            truth = truth_of(sample, options)
            boxes = truth.boxes()
            for m, writer in writers.items():
                planes = [
                    predicted(truth, boxes[c], m, c, sample, options) for c in range(len(names))
                ]
                boxed = BoxedProbabilities.from_planes(
                    len(names), truth.size, lambda c, planes=planes: planes[c]
                )
                entry = ImageEntry(sample.person, *truth.size, None, sample.image_id, seen=False)
                writer.write(sample.image_id, boxed, entry)
        for writer in writers.values():
            writer.close()
    return paths


def truth_of(sample, options):
    labels = {c: rings for c, rings in sample.read_labels().items() if c < options.classes}
    return PackedMask.from_polygons(labels, (options.size, options.size), options.classes)


def predicted(truth, box, model, index, sample, options):
    """(q, box) of one bone: its truth moved, blurred and made uncertain, in its box."""
    if box == EMPTY:
        return np.zeros((0, 0), np.uint8), EMPTY
    scale = options.size / 2048
    place = grow_box(box, round(30 * scale), truth.size)
    mask = truth.crop(index, place).astype(np.float32)
    own = np.random.default_rng((model, index))
    person = np.random.default_rng((model, index, int(sample.image_id[5:])))
    strength = 0.4 + 1.2 * own.random()  # some models know some bones better
    dy, dx = strength * scale * (own.normal(0, MODEL_SHIFT, 2) + person.normal(0, PERSON_SHIFT, 2))
    moved = cv2.warpAffine(mask, np.float32([[1, 0, dx], [0, 1, dy]]), mask.shape[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), BLUR * scale)
    coarse = person.normal(0, 1, (mask.shape[0] // 16 + 2, mask.shape[1] // 16 + 2))
    noise = cv2.resize(coarse.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    level = own.normal(0, 0.25) + person.normal(0, 0.2)
    logit = 9 * (soft - 0.5) + 0.8 * strength * noise + level
    q = np.rint(255 / (1 + np.exp(-logit)))
    return np.where(soft > 0.01, q, 0).astype(np.uint8), place


# The two ways


def ours(options):
    from functools import partial

    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.data.processes import map_in_processes
    from handbone_cli.decision.ensemble import Settings, Workplace, optimize

    stores = [Store.open(path) for path in options.stores]
    labels = truth_source(stores, options, open_labels)
    with tempfile.TemporaryDirectory(dir=options.base) as cache:
        marks = {}
        map_jobs = partial(map_in_processes, workers=options.workers)

        @contextlib.contextmanager
        def mark(what, _unit):
            yield lambda *_: None
            marks[what] = time.perf_counter()

        place = Workplace(Path(cache), map_jobs, mark)
        started = time.perf_counter()
        settings = Settings("class", thresholds="joint")
        decision, appraisal = optimize(stores, labels, settings, place)
        took = time.perf_counter() - started
    return {
        "seconds": took,
        "counting": marks["Counting tuples"] - started,
        "images": decision.scores["images"],
        "weights": decision.weights.tolist(),
        "thresholds": decision.thresholds.tolist(),
        "kept": bool(appraisal.kept),
        "claim": decision.scores["cross_fitted"],
        "gain": [appraisal.overall.left_out, appraisal.overall.error],
    }


def truth_source(stores, options, open_labels):
    if stores[0].manifest["labels"]:
        return open_labels(None, stores, stores[0].class_names, installed())
    return FewerClasses(dataset(options).samples("train"), options)


class FewerClasses:
    """Truth of the first classes alone, for the figures of growth."""

    def __init__(self, samples, options):
        self.samples, self.options = {s.image_id: s for s in samples}, options

    def has(self, image_id):
        """As a LabelSource."""
        return image_id in self.samples

    def mask(self, image_id, size):  # noqa: ARG002  a LabelSource is asked so
        """As a LabelSource."""
        return truth_of(self.samples[image_id], self.options)


def source(options):
    from scipy.optimize import minimize

    from handbone_cli.commands.wiring.labels import open_labels

    stores = [Store.open(path) for path in options.stores]
    labels = truth_source(stores, options, open_labels)
    every = stores[0].image_ids
    rng = np.random.default_rng(0)
    chosen = sorted(rng.choice(len(every), min(options.source, len(every)), replace=False))
    started = time.perf_counter()
    maps, truths = [], []
    for place in chosen:  # what the source has in memory before its search begins
        boxed = [store.load(every[place]) for store in stores]
        whole = (0, boxed[0].size[0], 0, boxed[0].size[1])
        maps.append([np.stack([b.crop(c, whole) for c in range(options.classes)]) for b in boxed])
        truths.append(labels.mask(every[place], boxed[0].size))
    loaded = time.perf_counter() - started
    count = len(stores)
    inter = np.zeros((len(chosen), options.classes, count))
    total, known = np.zeros_like(inter), np.zeros((len(chosen), options.classes))
    for image, (members, truth) in enumerate(zip(maps, truths, strict=True)):
        dense = truth.dense()
        for c in range(options.classes):
            g = dense[c].astype(np.float32)
            known[image, c] = g.sum()
            for m, member in enumerate(members):
                p = member[c].astype(np.float32) / 255
                inter[image, c, m], total[image, c, m] = (p * g).sum(), p.sum()
    steps = [(a / 5, b / 5) for a in range(6) for b in range(6 - a)]
    grid = [np.array([*s, 1 - sum(s)]) for s in steps] if count == 3 else simplex(count)
    weights = []
    for c in range(options.classes):

        def loss(raw, c=c):
            w = np.clip(raw, 0, None)
            w = w / w.sum() if w.sum() > 0 else np.full(count, 1 / count)
            return -np.mean(2 * inter[:, c] @ w / (total[:, c] @ w + known[:, c] + 1e-7))

        start = min(grid, key=loss)
        found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
        w = np.clip(found.x, 0, None)
        weights.append((w / w.sum()).tolist())
    took = time.perf_counter() - started
    return {"seconds": took, "loading": loaded, "images": len(chosen), "weights": weights,
            "thresholds": [0.5] * options.classes,
            "chosen": [every[place] for place in chosen]}  # fmt: skip


def simplex(count):
    from handbone_cli.decision.weights import simplex as rows

    return list(rows(count, 5))


CASES = {"ours": ours, "source": source}


# Side by side


def compare(options, folder):
    paths = make_stores(options, folder)
    results = {way: in_own_process(way, paths["val"], options) for way in ("ours", "source")}
    uniform = {"weights": [[1 / options.models] * options.models] * options.classes,
               "thresholds": [0.5] * options.classes}  # fmt: skip
    print("| way | images | s | s an image | peak MiB | Dice, chosen on | Dice, other people |")
    print("|---|---|---|---|---|---|---|")
    for way, found in [("uniform", uniform), *results.items()]:
        inside = score(paths["val"], found, options, found.get("chosen"))
        outside = score(paths["out"], found, options)
        timed = (
            f"{found['images']} | {found['seconds']:.1f} | "
            f"{found['seconds'] / found['images']:.3f} | {found['peak'] / 2**20:.0f}"
            if "seconds" in found
            else " | | | "
        )
        print(f"| {way} | {timed} | {inside:.4f} | {outside:.4f} |")
    mine, theirs = results["ours"], results["source"]
    ratio = theirs["seconds"] / theirs["images"] / (mine["seconds"] / mine["images"])
    gain, error = mine["gain"]
    print(
        f"\nours: {ratio:.1f} times as fast an image; counting {mine['counting']:.1f} s; "
        f"claims {mine['claim']:.4f} (gain {gain:+.4f} +- {error:.4f}, kept: {mine['kept']})"
    )


def score(paths, found, options, only=None):
    """Mean hard Dice of a choice on some stores."""
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.decision.document import Decision
    from handbone_cli.scores import dice_per_class

    stores = [Store.open(path) for path in paths]
    labels = truth_source(stores, options, open_labels)
    weights, thresholds = np.array(found["weights"]), np.array(found["thresholds"])
    masks = DecidedMasks(Decision(stores[0].class_names, weights, thresholds, ()), stores)
    rows = []
    for name in only or masks.image_ids:
        mask = masks.mask(name)
        rows.append(dice_per_class(mask, labels.mask(name, mask.size)))
    return float(np.mean(rows)) if rows else float("nan")


def in_own_process(way, stores, options):
    given = [f"--{key}={getattr(options, key)}"
             for key in ("images", "people-out", "models", "source", "size", "classes", "workers")
             for key in [key.replace("-", "_")]]  # fmt: skip
    given = [each.replace("people_out", "people-out") for each in given]
    base = [f"--base={options.base}"] if options.base else []
    command = [
        sys.executable,
        __file__,
        *given,
        *base,
        f"--case={way}",
        "--stores",
        *map(str, stores),
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak = Peak(process.pid)
        out, _ = process.communicate()
        highest = peak.stop()
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{way}: {errors.read()}")
    return {**json.loads(out.splitlines()[-1]), "peak": highest}


class Peak:
    """The most memory that a process and its children had at a time (PSS), in bytes."""

    def __init__(self, pid):
        self.pid, self.highest, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        """Look until it is over."""
        while not self.over.wait(STEP):
            self.highest = max(self.highest, sum(map(pss, [self.pid, *children(self.pid)])))

    def stop(self):
        """The most there was."""
        self.over.set()
        self.thread.join()
        return self.highest


def children(pid):
    try:
        own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in own for each in [int(child), *children(int(child))]]


def pss(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


# Growth


def growth(options, folder):
    """Seconds and peak against images, models, classes; from a quarter of the whole up."""
    whole = {"images": options.images, "models": options.models, "classes": options.classes}
    series = {
        "images": [max(8, round(options.images * part)) for part in (0.25, 0.5, 1.0)],
        "models": [2, 3, 5, 8],
        "classes": [max(1, round(options.classes * part)) for part in (0.25, 0.5, 1.0)],
    }
    fixed = {"images": whole, "models": {**whole, "images": max(8, options.images // 4)},
             "classes": {**whole, "images": max(8, options.images // 4)}}  # fmt: skip
    print("\n| grows | to | s | peak MiB |\n|---|---|---|---|")
    for what, counts in series.items():
        points = []
        for count in counts:
            case = argparse.Namespace(**vars(options))
            vars(case).update({**fixed[what], what: count, "people_out": 0})
            own = folder / f"{case.images}x{case.models}x{case.classes}"
            found = in_own_process("ours", make_stores(case, own)["val"], case)
            points.append((count, found["seconds"], found["peak"] / 2**20))
            print(f"| {what} | {count} | {found['seconds']:.1f} | {found['peak'] / 2**20:.0f} |")
        if options.plot:
            plot(options.plot / f"decision_{what}.svg", what, points)


def plot(path, what, points):
    """A line of seconds over a count, with the straight line through zero and its last point."""
    from handbone_cli.files import write_text
    from handbone_cli.results.dataset_page import svg

    x = svg.Scale(0, points[-1][0] * 1.05, 70, 470)
    y = svg.Scale(0, max(s for _, s, _ in points) * 1.1, 250, 40)
    line = "M" + "L".join(f"{x(count):.1f} {y(seconds):.1f}" for count, seconds, _ in points)
    dots = "".join(svg.tag("circle", cx=x(c), cy=y(s), r=4.0, fill="#0b6bb0") for c, s, _ in points)
    drawn = svg.tag(
        "svg",
        "<style>svg{background:#fff} text{font:12px sans-serif} .grid{stroke:#ddd}</style>",
        svg.x_axis(x, 40, 250, what),
        svg.y_axis(y, 70, 470, "seconds: statistics, search, cross-fitting"),
        svg.line(x(0), y(0), x(points[-1][0]), y(points[-1][1]), "grid"),
        svg.tag("path", d=line, fill="none", stroke="#0b6bb0"),
        dots,
        xmlns="http://www.w3.org/2000/svg",
        viewBox="0 0 500 300",
        width=500.0,
        height=300.0,
    )
    write_text(path, drawn)


if __name__ == "__main__":
    main()
