"""A training job from a recipe's plugins: data, network, loss, validation, trackers."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from timm.utils import ModelEmaV3

    from handbone_cli.bone_groups import BoneGroups
    from handbone_cli.commands.wiring.loading import RunData
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.host.interfaces import Dataset, Loss, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import PackedMask
    from handbone_cli.networks.match import Match
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.training.loop import Observer, Training
    from handbone_cli.training.trackers import Trackers
    from handbone_cli.training.validation import Draw, Scored


@dataclass(frozen=True)
class Learner:
    """A network, on the CPU, and the loss it learns by: all of a run that a recipe can get wrong.

    Attributes:
        model: as it starts, or about to be restored where a run goes on.
        loss: logits and packed labels to a scalar.
    """

    model: Segmenter
    loss: Loss


def refuse_before_data(recipe: Recipe, registry: Registry) -> None:
    """One sentence for an optimizer, a scheduler or a tracker that cannot act; no data is read."""
    from handbone_cli.networks.build import choose_device
    from handbone_cli.training.optimizer import try_optimizer
    from handbone_cli.training.schedule import refuse_schedule
    from handbone_cli.training.trackers import check_trackers

    try_optimizer(recipe.optimizer, choose_device())
    refuse_schedule(recipe, validates=recipe.train.on == "train")
    check_trackers(recipe, registry)


def describe(
    recipe: Recipe,
    dataset: Dataset,
    training: Sequence[Sample],
    initial_weights: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What run.json and checkpoints say of a run."""
    import torch

    from handbone_cli import __version__
    from handbone_cli.commands.wiring.datasets import mirror_pairs_of
    from handbone_cli.ranks import rank_count
    from handbone_cli.recipe.load import to_table

    began = {} if initial_weights is None else {"initial_weights": initial_weights}
    return {
        "recipe": to_table(recipe),
        "class_names": list(dataset.class_names),
        "mirror_pairs": mirror_pairs_of(dataset),
        "trained_persons": sorted({sample.person for sample in training}),
        **began,
        "versions": {
            "handbone": __version__,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
            "devices": rank_count(),
        },
    }


def describe_people(data: RunData) -> str:
    """How many images there are to train on, and what becomes of the rest, in words."""
    left_out = (
        f"{len(data.validation)} of people left out"
        if data.validation
        else "nobody is left out: no validation, no early stopping, the last weights are kept"
    )
    return f"{len(data.training)} images to train on, {left_out}"


def build_learner(
    recipe: Recipe, data: RunData, registry: Registry, match: Match | None, *, resume: bool
) -> Learner:
    """The recipe's network with the weights it starts from, and its loss.

    Args:
        recipe: the resolved recipe.
        data: what the class bias and some losses start from.
        registry: of the plugins.
        match: what model.weights has of the network, if the recipe names any.
        resume: the run has weights of its own, and nothing else is read.
    """
    from handbone_cli.commands.wiring.prediction import without_pretraining
    from handbone_cli.networks.build import build_loss, build_segmenter, require_batch
    from handbone_cli.networks.initial_weights import take_over
    from handbone_cli.terminal.progress import say

    names = data.dataset.class_names
    channels = data.images.preprocessing.channels
    all_there = resume or (match is not None and match.complete)
    built = without_pretraining(recipe) if all_there else recipe
    model = build_segmenter(built, registry, len(names), channels)
    require_batch(recipe, model, len(data.source))
    if match is not None:
        take_over(match, model)
        say(match.report())
        if built.model.options != recipe.model.options:
            say("model.pretrained = true is left out: model.weights brings all that it would")
    if not resume:
        start_at_prior(model, data.training, data.images, match.brought if match else ())
    loss = build_loss(recipe, registry, names, lambda: overlaps_of(data, len(names)))
    return Learner(model, loss)


def wire(
    recipe: Recipe,
    data: RunData,
    learner: Learner,
    run: RunDirectory,
    registry: Registry,
    header: dict[str, Any],
    observer: Observer,
) -> Training:
    """Everything that the loop needs, from the recipe's plugins."""
    import torch

    from handbone_cli.commands.wiring.loading import build_loader
    from handbone_cli.errors import HandboneError
    from handbone_cli.networks.build import choose_device, choose_precision
    from handbone_cli.networks.collectives import start_alike, synchronise_batchnorm
    from handbone_cli.networks.sharding import shard_model
    from handbone_cli.ranks import rank_count
    from handbone_cli.training.loop import Training

    device, model = choose_device(), learner.model
    model.to(device)
    start_alike(model)
    if recipe.train.sync_batchnorm:
        model = synchronise_batchnorm(model, device)
    precision = choose_precision(recipe.train.precision, device)
    if recipe.train.shard and rank_count() > 1:
        if precision is torch.float16:
            raise HandboneError("train.shard: this GPU has no bf16; set train.precision = 'fp32'.")
        model = shard_model(model)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)
    ema = average_of(model, recipe.train.ema)
    groups = groups_of(data)
    return Training(
        recipe=recipe,
        model=model,
        ema=ema,
        loss=learner.loss,
        load=lambda size: build_loader(
            recipe, data.source, registry, device.type, observer.note, size
        ),
        validate=validation_of(
            ema.module if ema else model, recipe, registry, data, groups, observer.note
        ),
        device=device,
        precision=precision,
        last=run.last,
        best=run.best,
        header=header,
        observer=observer,
        trackers=build_trackers(recipe, run, registry, header["recipe"], observer.note),
        groups=groups,
    )


def build_trackers(
    recipe: Recipe,
    run: RunDirectory,
    registry: Registry,
    table: dict[str, Any],
    note: Callable[[str], None],
) -> Trackers:
    """The recipe's trackers, and those that every run has: its curves and its pictures.

    Of several processes the first one tells them.
    """
    from handbone_cli.host.interfaces import TrackerContext
    from handbone_cli.ranks import is_main
    from handbone_cli.results.curves import CurvesFile
    from handbone_cli.results.gallery import Gallery
    from handbone_cli.runs.overview import metrics
    from handbone_cli.training.trackers import Trackers

    if not is_main():
        return Trackers([], note)
    context = TrackerContext(run.path, recipe.name, table)
    makers: dict[str, Callable[[], Any]] = {
        each.name: functools.partial(registry.build, "trackers", each.name, each.options, context)
        for each in recipe.tracking.sections
    }
    drawing = run.path / "curves.svg", run.path.resolve().name, metrics(run)
    makers["curves.svg"] = functools.partial(CurvesFile, *drawing)
    makers["pictures/"] = functools.partial(Gallery, run.path / "pictures")
    return Trackers.build(makers, note)


def average_of(model: Segmenter, decay: float) -> ModelEmaV3 | None:
    """The moving average of a network's weights; it forgets the random start in short runs too."""
    if not decay:
        return None
    from timm.utils import ModelEmaV3  # 1.3 s

    return ModelEmaV3(model, decay, use_warmup=True)


def start_at_prior(
    model: Segmenter,
    samples: Sequence[Sample],
    images: PreparedImages,
    brought: Sequence[bool] = (),
    most: int = 64,
) -> None:
    """Start the class bias at the pixel frequencies in up to 64 labelled images, evenly spread.

    `brought` says of every class whether its bias came with the weights and stays.
    """
    import torch

    from handbone_cli.data.frequencies import class_frequencies

    if brought and all(brought):
        return
    before = model.bias.detach().clone()
    frequencies = class_frequencies(evenly(samples, most), images, len(model.bias))
    model.start_at_prior(torch.from_numpy(frequencies).float())
    if brought:
        with torch.no_grad():
            model.bias.copy_(torch.where(torch.tensor(brought), before, model.bias))


def overlaps_of(data: RunData, classes: int, most: int = 64) -> NDArray[np.float64]:
    """What two classes share on average in up to 64 labelled images, evenly spread: (C, C)."""
    from handbone_cli.data.overlaps import class_overlaps

    return class_overlaps(evenly(data.training, most), data.images, classes)


def groups_of(data: RunData, most: int = 64) -> BoneGroups:
    """The small bones and overlapping pairs in up to 64 images that are trained on, evenly spread.

    None where nothing is validated.
    """
    from handbone_cli.bone_groups import NO_GROUPS
    from handbone_cli.data.overlaps import bone_groups

    if not data.validation:
        return NO_GROUPS
    return bone_groups(evenly(data.training, most), data.images, len(data.dataset.class_names))


def evenly(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """So many samples at most, from all over a sequence."""
    return samples[:: max(len(samples) // most, 1)][:most]


def validation_of(
    model: Segmenter,
    recipe: Recipe,
    registry: Registry,
    data: RunData,
    groups: BoneGroups,
    note: Callable[[str], None],
) -> Any:
    """A function that scores the people left out, as `hb predict` will: windows, no TTA."""
    from handbone_cli.commands.wiring.prediction import build_predictor, for_network
    from handbone_cli.ranks import share
    from handbone_cli.training.validation import validate

    names = data.dataset.class_names
    if recipe.train.shard and recipe.predict.batch_size == 0:
        # What is chosen by free memory may differ, and the processes go forward together.
        one = recipe.predict.model_copy(update={"batch_size": 1})
        recipe = recipe.model_copy(update={"predict": one})
    predictor = build_predictor(model, recipe, registry, names, tta=(), mirror_pairs=())
    # A model that is spread over the processes predicts where all of them do, the same.
    samples = data.validation if recipe.train.shard else share(data.validation)
    draw = drawing_of(data, recipe.tracking.pictures, note)

    def scores() -> Iterator[Scored]:
        return validate(
            samples,
            lambda sample: predictor.predict_prepared(for_network(data.images.image(sample))),
            groups.pairs,
            draw,
        )

    return scores if data.validation else None


def drawing_of(data: RunData, count: int, note: Callable[[str], None]) -> Draw:
    """Draws so many of the people left out, the same ones every time."""
    from handbone_cli.data.preprocessing import to_uint8
    from handbone_cli.errors import HandboneError
    from handbone_cli.results.validation_picture import draw_validation

    chosen = pictured(data.validation, count)

    def draw(
        sample: Sample,
        predicted: PackedMask,
        truth: PackedMask,
        dice: NDArray[np.float64],
        epoch: int,
    ) -> NDArray[np.uint8] | None:
        if sample.image_id not in chosen:
            return None
        try:
            grey = to_uint8(sample.read_image())
        except (HandboneError, OSError) as error:  # the network's copy may come from the cache
            note(f"no picture of {sample.image_id}: {error}")
            return None
        names, title = data.dataset.class_names, f"{sample.image_id}   epoch {epoch}"
        return draw_validation(grey, predicted, truth, names, dice, title=title)

    return draw


def pictured(samples: Sequence[Sample], count: int) -> set[str]:
    """The ids of so many labelled images, of as many people as there are, evenly spread."""
    people: dict[str, list[str]] = {}
    for sample in samples:
        if sample.read_labels is not None:
            people.setdefault(sample.person, []).append(sample.image_id)
    chosen: list[str] = []
    for turn in itertools.zip_longest(*people.values()):
        images = [image_id for image_id in turn if image_id is not None]
        most = min(count - len(chosen), len(images))
        chosen += [images[place * len(images) // most] for place in range(most)]
    return set(chosen)
