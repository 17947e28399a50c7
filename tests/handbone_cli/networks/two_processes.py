"""What one of two processes does for test_collectives.py; its findings go to a JSON file.

python two_processes.py FOLDER, with torchrun's variables set.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import torch

from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_loss, require_batch
from handbone_cli.networks.collectives import (
    OutOfMemoryElsewhereError,
    agree,
    any_rank,
    average_gradients,
    collect,
    gather,
    join_ranks,
    leave_ranks,
    mean_over_ranks,
    start_alike,
    sum_over_ranks,
    synchronise_batchnorm,
    tell_out_of_memory,
)
from handbone_cli.networks.sharding import shard_model, whole
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.ranks import rank, rank_count, share
from handbone_cli.recipe.load import to_table
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.loop import Training, train
from handbone_cli.training.trackers import Trackers

CLASSES, SIDE, BATCH = 3, 24, 4
LOSSES = [
    {"name": "bce"},
    {"name": "focal"},
    {"name": "dice"},
    {"name": "dice", "batch": False},
    {"name": "generalized_dice"},
    {"name": "jaccard"},
    {"name": "tversky"},
    {"name": "focal_tversky"},
    {"name": "lovasz", "batch": False},
    {"name": "pixel_weighted_bce", "sigma": 2.0},
    {"name": "boundary"},
    {"name": "overlap", "pairs": [["a", "b"], ["b", "c"]], "least_pixels": 10},
    {
        "name": "combined",
        "terms": [{"name": "dice", "weight": 1.0}, {"name": "bce", "weight": 2.0}],
    },
]


def recipe_of(loss, **train):
    return Recipe.model_validate(
        {"name": "r", "model": {"name": "m"}, "loss": loss, "train": {"batch_size": 2, **train}}
    )


def batch():
    """Logits and labels; what the images show differs much, so that sums and means differ too."""
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(BATCH, CLASSES, SIDE, SIDE, generator=draw)
    labels = torch.zeros(BATCH, SIDE, SIDE, 1, dtype=torch.uint8)
    labels[0, :4, :4] |= 1
    labels[1, :20, 3:22] |= 1
    labels[2, 5:9] |= 3
    labels[3, :12, :3] |= 6
    labels[3, 20:] |= 1
    return logits, labels


def value_and_gradient(loss, logits, labels):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    return value.detach(), leaf.grad


def losses_of_parts(own):
    """Each loss of this process's half, the mean over both, and the gradient as averaged."""
    logits, labels = batch()
    found = []
    for table in LOSSES:
        loss = build_loss(recipe_of(table), installed(), list("abc"))
        value, gradient = value_and_gradient(loss, logits[own], labels[own])
        halves = gather([(gradient / 2).tolist()])
        found.append({"value": mean_over_ranks(float(value)), "gradient": halves})
    return found


class Batches:
    """Four patches a batch at first, of which each process has its share."""

    def __init__(self, batch_size):
        self.share, self.batch_size = batch_size // rank_count(), batch_size

    def __len__(self):
        return 8 // self.batch_size

    def epoch(self, number, start=0):
        draw = torch.Generator().manual_seed(number)
        images = torch.rand(8, 1, 8, 8, generator=draw)
        for batch in range(start, len(self)):
            first = batch * self.batch_size + rank() * self.share
            own = images[first : first + self.share]
            yield own, (own[:, 0, ..., None] > 0.5).to(torch.uint8)


class Watcher:
    def __init__(self, stop=0):
        self.losses, self.images, self.notes, self.stop = [], [], [], stop

    def step(self, position, steps, loss, images):
        self.losses.append(loss)
        self.images.append(images)
        if len(self.losses) == self.stop and rank() == 1:  # the other one only hears of it
            signal.raise_signal(signal.SIGINT)

    def waited(self, share):
        pass

    def validating(self, done):
        raise AssertionError

    def epoch(self, values, dice):
        pass

    def note(self, line):
        self.notes.append(line)


def trained(folder, fails=lambda images: False, stop=0, resume=False, shard=False):
    """Two epochs; `fails` says of the images of a forward whether there is no memory for them."""
    recipe = recipe_of({"name": "bce"}, batch_size=4, epochs=2, save_minutes=0, shard=shard)
    loss = build_loss(recipe_of({"name": "bce"}), installed(), ["a"])

    def scarce(logits, labels):
        if fails(len(logits)):
            raise torch.OutOfMemoryError
        return loss(logits, labels)

    torch.manual_seed(1)
    core = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.Conv2d(3, 1, 1))
    watcher, model = Watcher(stop), Segmenter(core, 1, 1)
    if shard and rank_count() > 1:
        model = shard_model(model)
    job = Training(
        recipe=recipe, model=model, ema=None, loss=scarce, load=Batches,
        validate=None, device=torch.device("cpu"), precision=torch.float32,
        last=folder / "last.safetensors", best=folder / "best.safetensors",
        header={"recipe": to_table(recipe), "class_names": ["a"]}, observer=watcher,
        trackers=Trackers([], print),
    )  # fmt: skip
    at = train(job, resume=resume)
    weights = whole(core[0].weight).detach().tolist()
    return {**vars(watcher), "weights": weights, "batch": [at.batch_size, at.accumulate]}


def stopped_and_resumed(folder):
    """The same with the model spread over both: Ctrl-C in the second after three steps of four."""
    try:
        trained(folder, stop=3, shard=True)
    except InterruptedRunError:
        agree()  # the first one has written
        return trained(folder, shard=True, resume=True)
    return {}


def refused(task):
    try:
        task()
    except HandboneError as error:
        return str(error)
    return ""


def memory():
    """The second process is out of memory; both hear of it at the first one's next meeting."""
    if rank() == 1:
        tell_out_of_memory()
        return True
    try:
        sum_over_ranks(torch.ones(2))
    except OutOfMemoryElsewhereError:
        return True
    return False


def main(folder):
    join_ranks()
    (own_folder := Path(folder) / f"run{rank()}").mkdir()
    me = rank()
    own = slice(2 * me, 2 * me + 2)
    big = torch.nn.Parameter(torch.zeros(3, 5))
    unused = torch.nn.Parameter(torch.ones(2))
    big.grad = torch.full((3, 5), float(me + 1))
    if me == 0:
        unused.grad = torch.ones(2)
    average_gradients([big, unused])
    leaf = torch.tensor([1.0 + me], requires_grad=True)
    (sum_over_ranks(leaf) ** 2 * (me + 1)).sum().backward()
    net = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(net.weight, me)
    start_alike(net)
    wrapped = Segmenter(torch.nn.Conv2d(1, 1, 1), 1, 1)
    found = {
        "losses": losses_of_parts(own),
        "lovasz": refused(lambda: build_loss(recipe_of({"name": "lovasz"}), installed(), ["a"])),
        "uneven": refused(
            lambda: require_batch(recipe_of({"name": "bce"}, batch_size=3), wrapped, 9)
        ),
        "sync": refused(lambda: synchronise_batchnorm(wrapped, torch.device("cpu"))),
        "averaged": [big.grad.tolist(), unused.grad.tolist()],
        "slope": leaf.grad.tolist(),
        "alike": net.weight.tolist(),
        "any": any_rank(me == 1, False),
        "sum": agree([1.0, me]),
        "gathered": gather(list(share(range(5)))),
        "collected": collect(["b", "c"] if me else ["a"]),
        "memory": memory(),
        "after": agree([2.0]),
        "short": trained(own_folder, lambda images: me == 1 and images > 1),
        "spread": trained(own_folder, shard=True),
        "resumed": stopped_and_resumed(Path(folder)),
        "files": sorted(path.name for path in own_folder.iterdir()),
    }
    (Path(folder) / f"{me}.json").write_text(json.dumps(found))
    leave_ranks()


if __name__ == "__main__":
    main(sys.argv[1])
