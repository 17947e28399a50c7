"""Which models of an ensemble are in memory together, by what they and an image take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from handbone_cli.errors import HandboneError, UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from handbone_cli.commands.wiring.members import Member
    from handbone_cli.commands.wiring.summing import Ensemble
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.prediction.predictor import Prepared

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SHARE = 0.7
"""Of the memory that is free which is taken where nobody says how much."""
GPU_SHARE = 0.5
"""Of a GPU's free memory that weights may take, which leaves the rest to windows."""
FLOAT = 4
"""Bytes of a float32."""


class Plan(NamedTuple):
    """How models take turns.

    Attributes:
        together: all stay loaded; else one at a time.
        room: bytes for what models have found of images that wait for the others.
    """

    together: bool
    room: int


class Need(NamedTuple):
    """Bytes of RAM.

    Attributes:
        process: what is taken already.
        weights: of the largest model, twice while it is loaded.
        image: maps, sums and activations of one image.
    """

    process: int
    weights: int
    image: int


def parse_memory(text: str, option: str) -> int:
    """`8G`, `500M` or `1.5GiB` as bytes; units are powers of 1024.

    Raises:
        HandboneError: something else, or nothing at all.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * UNITS[match[2].upper()]) if match else 0
    if not size:
        raise HandboneError(f"{option} {text}: expected a size above 0 such as 8G or 500M.")
    return size


def in_gib(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / UNITS['G']:.1f} GiB" if size >= UNITS["G"] else f"{size / UNITS['M']:.0f} MiB"


def plan_memory(
    ensemble: Ensemble,
    members: Sequence[Member],
    samples: Iterable[Sample],
    cap: int | None,
    registry: Registry,
) -> Plan:
    """Whether all models stay loaded, by the size of their weights and of the first image.

    Of several processes all do the same.

    Args:
        ensemble: its models.
        members: whose they are.
        samples: the first that can be read stands for all.
        cap: bytes of RAM that the processes on this machine may take in all; None: a share of
            what is free, and nothing is refused.
        registry: of the plugins.

    Raises:
        HandboneError: `cap` is too little for one model and one image.
    """
    import torch

    from handbone_cli.commands.wiring.prediction import weights_file
    from handbone_cli.networks.collectives import any_rank
    from handbone_cli.networks.memory_in_use import available, resident
    from handbone_cli.ranks import local_count

    prepared = first_image(ensemble, samples)
    if prepared is None:  # predicting will say why
        return Plan(together=True, room=0)
    takes = {m.member: image_bytes(members[m.member], prepared[m.key], registry)
             for m in ensemble.models}  # fmt: skip
    sizes = [weights_file(model.run).stat().st_size for model in ensemble.models]
    found = 2 * prepared[ensemble.models[0].key].size[0] * prepared[ensemble.models[0].key].size[1]
    image = max(takes.values()) + len(sizes) * found
    need = Need(resident(), 2 * max(sizes), image)
    sharing = local_count()
    own = None if cap is None else cap // sharing
    if own is not None and sum(need) > own:
        raise HandboneError(too_little(need, own, prepared[ensemble.models[0].key], sharing))
    free = available()
    spare = None if free is None else need.process + int(SHARE * free) // sharing
    limit = spare if own is None else own
    others = sum(sizes) - max(sizes)
    if torch.cuda.is_available():
        fits = sum(sizes) <= GPU_SHARE * torch.cuda.mem_get_info()[0]
    else:
        fits = limit is None or sum(need) + others <= limit
    room = 0 if limit is None else max(limit - sum(need), 0)
    (in_turn,) = any_rank(not fits and len(sizes) > 1)  # all take turns, or none
    return Plan(together=not in_turn, room=room)


def too_little(need: Need, own: int, prepared: Prepared, sharing: int) -> str:
    """One sentence that says what takes how much; `sharing` processes have `own` bytes each."""
    height, width = prepared.size
    each = f", {in_gib(own)} for each of {sharing} processes" if sharing > 1 else ""
    return (
        f"--max-ram {in_gib(own * sharing)}{each}: one model and one image take about "
        f"{in_gib(sum(need))}: {in_gib(need.process)} for the process as it is, "
        f"{in_gib(need.weights)} to load the largest model, {in_gib(need.image)} for an image "
        f"of {height} x {width} px; allow that much, or take a smaller --window or --batch-size."
    )


def first_image(ensemble: Ensemble, samples: Iterable[Sample]) -> Mapping[str, Prepared] | None:
    """The first image that can be read, as each preprocessing makes it; None if there is none."""
    models = {model.key: model for model in ensemble.models}
    for sample in samples:
        try:
            grey = sample.read_image()
        except UnreadableImageError:
            continue
        return {key: model.prepare(grey) for key, model in models.items()}
    return None


def image_bytes(member: Member, prepared: Prepared, registry: Registry) -> int:
    """What one model needs in RAM for an image beside its weights.

    Maps, the sums of windows that wait, one batch with its activations, and the images read ahead;
    on a GPU the maps and images alone. Without work space of convolutions.
    """
    import torch

    from handbone_cli.commands.wiring.threads import WAITING

    recipe, classes = member.recipe, len(member.class_names)
    channels, height, width = prepared.image.shape
    pixels = prepared.size[0] * prepared.size[1]
    y0, y1, x0, x1 = prepared.crop
    native = (height, width) == (y1 - y0, x1 - x0)
    maps = classes * height * width * (1 if native else FLOAT)
    images = (WAITING + 2) * (pixels + prepared.image.nbytes)
    sums = 3 * 2 * FLOAT * pixels  # one class in float64: product, total, rounded
    if torch.cuda.is_available():
        return int(maps + images + sums)
    asked = recipe.predict
    side = (asked.window, asked.window) if asked.sliding else (height, width)
    batch = max(asked.batch_size, 1) if asked.sliding else 1
    logits = batch * classes * side[0] * side[1] * FLOAT
    waiting = 0
    if asked.sliding:
        columns = max(width, asked.window)
        waiting = classes * FLOAT * (asked.window - asked.stride) * columns + logits // batch
    beside = logits if recipe.tta else 0
    work = activation_bytes(member, (batch, channels, *side), registry)
    return int(maps + images + sums + waiting + max(work, logits) + beside)


def activation_bytes(member: Member, shape: tuple[int, ...], registry: Registry) -> int:
    """The most that a forward pass of a batch holds; 0 where it cannot be found without numbers."""
    import torch

    from handbone_cli.commands.wiring.prediction import without_pretraining
    from handbone_cli.networks.build import build_segmenter
    from handbone_cli.networks.memory import prediction_peak
    from handbone_cli.networks.meta import parameters_without_storage

    recipe, classes = without_pretraining(member.recipe), len(member.class_names)
    try:
        with parameters_without_storage():
            model = build_segmenter(recipe, registry, classes, shape[1]).to("meta")
        return prediction_peak(model, torch.empty(shape, device="meta"))
    except Exception:  # noqa: BLE001  a stranger's code; the real build will say what is wrong
        return 0
