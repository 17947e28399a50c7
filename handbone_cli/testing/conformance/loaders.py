"""What every loader must do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from handbone_cli.data.patches import TrainingPatches
from handbone_cli.data.prepared import PreparedImages
from handbone_cli.data.preprocessing import Preprocessing
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.host.interfaces import LoaderContext, Sample
from handbone_cli.recipe.schema import Recipe
from handbone_cli.testing.conformance.requirements import gpu_or_skip, require, run_all
from handbone_cli.testing.tiny import BONES, draw_tiny_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Loader, Patch
    from handbone_cli.testing.trial import Trial

SIDE = 32
IMAGES = 6
BATCH = 4
"""Three batches of the twelve patches of an epoch."""
MEAN_LEVELS = 0.25
"""Grey levels that a loader's own decoding and warping may be off by in the mean ..."""
FAR_LEVELS, FAR_SHARE = 2.0, 0.005
"""... and the share of pixels that may be off by more than so many."""
Batches = list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class TriedLoader:
    """A loader, still to be built over whatever patches a check makes.

    Attributes:
        build: what makes it, options included.
    """

    build: Callable[[LoaderContext], Loader]

    def over(self, source: TrainingPatches, **changes: Any) -> Loader:
        """A loader of batches of 4 without workers, with changes of the context."""
        given = {"batch_size": BATCH, "workers": 0, "seed": 1, "note": _keep_quiet, **changes}
        return self.build(LoaderContext(source, **given))


def draw_source(images: int = IMAGES, bad: Iterable[int] = ()) -> TrainingPatches:
    """Two patches each of tiny hands, some of which cannot be read."""
    recipe = Recipe.model_validate(
        {
            "name": "check",
            "seed": 5,
            "data": {"patch": SIDE, "clahe": False, "cache": False},
            "model": {"name": "any"},
            "loss": {"name": "any"},
            "augment": {"shift": 0.1, "scale": 0.1, "rotate": 20},
            "train": {"patches_per_image": 2},
        }
    )
    samples = [_sample(person, sound=person not in set(bad)) for person in range(images)]
    prepared = PreparedImages(Preprocessing(recipe.data), cache_mb=8)
    return TrainingPatches(samples, prepared, recipe, BONES)


def shapes(tried: TriedLoader) -> None:
    """Batches are (N, 1, h, w) float32 and (N, h, w, P) uint8, as many as it says."""
    loader = tried.over(draw_source())
    batches = list(loader.epoch(0))
    require(len(loader) == 3, f"12 patches in batches of 4 are 3 batches, it says {len(loader)}")
    require(len(batches) == len(loader), f"it says {len(loader)} batches and gave {len(batches)}")
    for images, labels in batches:
        for what, tensor, shape, dtype in (
            ("images", images, (BATCH, 1, SIDE, SIDE), torch.float32),
            ("labels", labels, (BATCH, SIDE, SIDE, 1), torch.uint8),
        ):
            require(
                tuple(tensor.shape) == shape and tensor.dtype is dtype,
                f"{what} are {shape} {dtype}, got {tuple(tensor.shape)} {tensor.dtype}",
            )


def patches(tried: TriedLoader) -> None:
    """An epoch has each patch of the source once, with its own labels and, nearly, its pixels."""
    for number in range(2):
        found = _places(list(tried.over(draw_source()).epoch(number)), draw_source(), number)
        once = sorted(set(found)) == list(range(2 * IMAGES))
        require(once, f"epoch {number} had the patches {sorted(found)}, each is to come once")


def epochs(tried: TriedLoader) -> None:
    """The next epoch brings other patches."""
    loader = tried.over(draw_source())
    first, second = (torch.cat([images for images, _ in loader.epoch(n)]) for n in range(2))
    require(not torch.equal(first, second), "epoch 1 is epoch 0 again; pass its number to patch()")


def repeats(tried: TriedLoader) -> None:
    """The same epoch is the same from another loader, with worker processes or without."""
    first = list(tried.over(draw_source()).epoch(1))
    for workers in (0, 2):
        again = list(tried.over(draw_source(), workers=workers).epoch(1))
        require(_same(first, again), f"another loader, of {workers} workers, gave other batches")


def resumes(tried: TriedLoader) -> None:
    """An epoch taken up at `start` goes on as it would have, also after one that was left."""
    source = draw_source()
    whole = list(tried.over(source).epoch(0))
    for start in range(len(whole) + 1):
        rest = list(tried.over(source).epoch(0, start))
        require(_same(whole[start:], rest), f"epoch(0, start={start}) is not the rest of epoch(0)")
    loader = tried.over(source)
    next(iter(loader.epoch(1)))
    require(_same(whole, list(loader.epoch(0))), "after an epoch that was left, batches differ")


def shares(tried: TriedLoader) -> None:
    """The parts that two processes load, put together, are the batches of one."""
    whole = list(tried.over(draw_source()).epoch(0))
    halves = [list(tried.over(draw_source(), rank=rank, ranks=2).epoch(0)) for rank in range(2)]
    for part in (batch for half in halves for batch in half):
        require(
            len(part[0]) == BATCH // 2,
            f"of 2 processes each is to give {BATCH // 2} of the {BATCH} patches of a batch, one "
            f"gave {len(part[0])}; pick them with context.share(places)",
        )
    joined = [
        (torch.cat([one[0], other[0]]), torch.cat([one[1], other[1]]))
        for one, other in zip(*halves, strict=True)
    ]
    require(_same(whole, joined), "what two processes load, put together, is not what one loads")


def remainder(tried: TriedLoader) -> None:
    """No patch comes twice where batches do not fit; fewer patches than a batch are one batch."""
    for size in (5, 50):
        source = draw_source()
        loader = tried.over(source, batch_size=size)
        batches = list(loader.epoch(0))
        require(
            len(batches) == len(loader) >= 1,
            f"12 patches in batches of {size}: it says {len(loader)} and gave {len(batches)}",
        )
        found = _places(batches, source, 0)
        require(len(set(found)) == len(found), f"in batches of {size} a patch comes twice")
    require(len(found) == 2 * IMAGES, f"a batch of 50 holds {len(found)} of the 12 patches")


def faults(tried: TriedLoader) -> None:
    """An image that cannot be read is told of once; another takes its place, the rest stays."""
    for workers in (0, 2):
        notes: list[str] = []
        source = draw_source(bad=(2,))
        loader = tried.over(source, workers=workers, note=notes.append)
        batches = [list(loader.epoch(number)) for number in range(2)]
        require([len(each) for each in batches] == [3, 3], "with a bad image the epoch is shorter")
        require(
            list(source.faults) == ["image2"],
            f"{workers} workers: source.quarantine was not told of image2, which cannot be read",
        )
        told = [note for note in notes if "image2" in note]
        require(
            len(told) == 1 and "\n" not in told[0],
            f"{workers} workers: context.note is to hear of image2 once, in one line; got {notes}",
        )


def errors(tried: TriedLoader) -> None:
    """Where no image is left, the source's sentence comes through as it is."""
    for workers in (0, 2):
        loader = tried.over(draw_source(bad=range(IMAGES)), workers=workers)
        try:
            list(loader.epoch(0))
        except HandboneError as error:
            sentence = str(error)
            require(
                sentence.startswith("no image is left") and "\n" not in sentence,
                f"{workers} workers: the source's 'no image is left ...' came as: {sentence}",
            )
        else:
            raise AssertionError(f"{workers} workers: no image can be read and nobody says so")


def gpu(tried: TriedLoader) -> None:
    """With device 'cuda' it gives the same patches."""
    gpu_or_skip()
    found = _places(list(tried.over(draw_source(), device="cuda").epoch(0)), draw_source(), 0)
    require(sorted(set(found)) == list(range(2 * IMAGES)), f"it had the patches {sorted(found)}")


CHECKS = (shapes, patches, epochs, repeats, resumes, shares, remainder, faults, errors, gpu)


def prepare(trial: Trial) -> TriedLoader:
    """A registered loader with its example options."""
    tried = TriedLoader(trial.build)
    tried.over(draw_source())
    return tried


def check_loader(build: Callable[[Any, LoaderContext], Loader], options: Any = None) -> None:
    """A loader does all that it must (handbone_cli.testing.conformance.loaders.CHECKS).

    Args:
        build: the factory that the plugin registers.
        options: what it is built with.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedLoader(functools.partial(build, options)))


def _keep_quiet(_line: str) -> None:
    """What a loader tells people is of no interest in most checks."""


def _sample(person: int, *, sound: bool) -> Sample:
    name = f"image{person}"
    read = functools.partial(_read, person) if sound else functools.partial(_fail, name)
    return Sample(name, f"ID{person}", read, functools.partial(_outlines, person))


def _read(person: int) -> NDArray[np.uint8]:
    return draw_tiny_hand(person, 0, 2 * SIDE, len(BONES))[0]


def _fail(name: str) -> NDArray[np.uint8]:
    raise UnreadableImageError(f"{name}.png: the file is empty.")


def _outlines(person: int) -> dict[int, list[NDArray[np.float32]]]:
    _, outlines = draw_tiny_hand(person, 0, 2 * SIDE, len(BONES))
    return {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}


def _places(batches: Batches, source: TrainingPatches, epoch: int) -> list[int]:
    """Which patch of the source each patch of the batches is."""
    references = [source.patch(epoch, index) for index in range(len(source))]
    levels = 255 * source.raw(epoch, 0).std
    return [
        _place(image.cpu().numpy(), labels.cpu().numpy(), references, levels)
        for batch in batches
        for image, labels in zip(*batch, strict=True)
    ]


def _place(
    image: NDArray[Any], labels: NDArray[Any], references: Sequence[Patch], levels: float
) -> int:
    alike = [i for i, each in enumerate(references) if np.array_equal(each.labels, labels)]
    require(bool(alike), "labels came that are of no patch of the epoch")
    off = {i: np.abs(references[i].image - image) * levels for i in alike}
    nearest = min(alike, key=lambda i: float(off[i].mean()))
    mean, far = float(off[nearest].mean()), float((off[nearest] > FAR_LEVELS).mean())
    require(
        mean <= MEAN_LEVELS and far <= FAR_SHARE,
        f"an image is off by {mean:.2f} grey levels from the patch that has its labels",
    )
    return nearest


def _same(one: Batches, other: Batches) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )
