"""Wires masks, their truth and what is known of people to the metrics, in several processes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource
    from handbone_cli.metrics.plan import Plan
    from handbone_cli.results.measures import Block, Measures
    from handbone_cli.store.store import Store

FEW_IMAGES = 8
"""Up to so many are measured before other processes have begun."""
DECADE = 10
HOW_TO_KNOW = {
    "region": "no class has the name of a bone of the hand.",
    "side": "neither the source nor the outlines tell which hand any image shows.",
    "pose": "no wrist can be seen in these labels.",
    "sex": "nobody's is known; name a table of the people (.xlsx, .csv) with --meta.",
    "age": "nobody's is known; name a table of the people (.xlsx, .csv) with --meta.",
}
"""What is said where nothing is known for a key."""


@dataclass(frozen=True)
class Question:
    """What is measured of what, in a form that other processes can be told.

    Attributes:
        masks: a store, a decision or a submission.
        labels: the truth as `--labels` names it; None: the stores' own.
        on: stores for a decision.
        plan: the metrics.
        spacing: mm of a pixel for every image; None: what the images' source says.
        pose: whether poses and sides are read off the labels.
        penalise: whether endless distances become the diagonal of the image.
    """

    masks: Path
    labels: str | None
    on: tuple[Path, ...]
    plan: Plan
    spacing: tuple[float, float] | None = None
    pose: bool = False
    penalise: bool = False


class Sources(NamedTuple):
    """What is opened for a question: masks, truth, and the stores that the masks are from."""

    masks: MaskSource
    truth: LabelSource
    stores: Sequence[Store]

    def samples(self) -> dict[str, Sample]:
        """What the dataset with the truth says of its images; nothing where it is a CSV."""
        from handbone_cli.commands.wiring.labels import SampleLabels

        return self.truth.samples if isinstance(self.truth, SampleLabels) else {}


class ImageMeasures(NamedTuple):
    """What is found in one image: the figures, the overlaps, how the hand lies, the sizes."""

    values: NDArray[np.float64]
    overlaps: NDArray[np.int64]
    side: str | None
    pose: str | None
    areas: NDArray[np.int64]
    pixels: int


def parse_question(
    masks: Path, labels: str | None, on: tuple[Path, ...], options: Mapping[str, Any]
) -> tuple[Question, list[tuple[str, ...]]]:
    """What the options of `hb evaluate` ask for, and the breakdowns of it.

    Raises:
        HandboneError: a name or a number that is none.
    """
    from handbone_cli.metrics import plan
    from handbone_cli.results.measures import parse_breakdowns

    breakdowns = parse_breakdowns(options["by"] or "bone")
    keys = {key for keys in breakdowns for key in keys}
    metrics = plan.parse_metrics(options["metrics"]) if options["metrics"] else plan.DEFAULT
    tolerances: tuple[float, ...] = plan.TOLERANCES
    if options["tolerance"]:
        tolerances = tuple(sorted(set(plan.parse_numbers(options["tolerance"], "--tolerance"))))
    _refuse_idle(options, metrics, keys)
    spacing = plan.parse_spacing(options["spacing"]) if options["spacing"] else None
    chosen = plan.Plan(
        metrics,
        tolerances,
        "mm" if options["mm"] or spacing else "px",
        options["borders"] or "pixels",
        options["boundary"] or plan.BOUNDARY,
    )
    by_pose = bool(keys & {"side", "pose"})
    return Question(masks, labels, on, chosen, spacing, by_pose, options["penalise"]), breakdowns


def _refuse_idle(options: Mapping[str, Any], metrics: Sequence[str], keys: set[str]) -> None:
    """Refuse an option that nothing depends on."""
    from handbone_cli.metrics.plan import DISTANCES, OF_BORDERS

    in_units = {*DISTANCES, *OF_BORDERS}
    needs = {
        "tolerance": {"nsd"},
        "boundary": {"boundary_iou"},
        "borders": set(OF_BORDERS),
        "mm": in_units,
        "spacing": in_units,
        "penalise": set(DISTANCES),
    }
    for name, users in needs.items():
        if options[name] and not users & set(metrics):
            raise HandboneError(
                f"--{name} goes with {' or '.join(sorted(users))}, which --metrics does not name."
            )
    if options["meta"] and not keys & {"sex", "age"}:
        raise HandboneError("--meta goes with sex or age, which --by does not name.")


def open_sources(
    masks: Path, labels: str | None, on: tuple[Path, ...], registry: Registry
) -> Sources:
    """Whatever kind of masks with their truth."""
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import is_csv, open_masks, open_submission

    if is_csv(masks):
        submitted, truth = open_submission(masks, labels, registry)
        return Sources(submitted, truth, ())
    source, stores = open_masks(masks, registry, on)
    return Sources(source, open_labels(labels, stores, source.class_names, registry), stores)


def measure_all(
    question: Question, sources: Sources, meta: Path | None, keys: set[str], workers: int | None
) -> Measures:
    """Everything that is asked for, of all labelled images, with a progress bar.

    Args:
        question: what is measured of what.
        sources: opened for it.
        meta: a table of people; None: what lies with the labels.
        keys: what figures are broken down by.
        workers: processes; None: as many as there are cores.
    """
    from handbone_cli.data.processes import default_workers, map_in_processes
    from handbone_cli.results.evaluation import labelled_images
    from handbone_cli.results.measures import IMAGE_KEYS, UNKNOWN, Measures
    from handbone_cli.terminal.progress import progress

    image_ids = labelled_images(sources.masks, sources.truth)
    _require_spacing(question, sources, image_ids)
    if "region" in keys and not set(HAND_BONES) & set(sources.masks.class_names):
        raise HandboneError(f"--by region: {HOW_TO_KNOW['region']}")
    traits = _of_people(question, sources, meta, image_ids) if keys & {"sex", "age"} else {}
    processes = 1 if len(image_ids) <= FEW_IMAGES else workers or default_workers()
    work = functools.partial(_measure_image, question)
    if processes < 2:
        work = functools.partial(_measure_in, question, sources)
    found: list[ImageMeasures] = []
    with progress("Measuring") as report:
        for each in map_in_processes(work, image_ids, processes):
            found.append(each)
            report(len(found), len(image_ids))
    persons = [sources.masks.person(name) for name in image_ids]
    traits["side"] = _words(each.side for each in found)
    traits["pose"] = _words(each.pose for each in found)
    unknown = [key for key in IMAGE_KEYS if key in keys and set(traits[key]) == {UNKNOWN}]
    if unknown:
        raise HandboneError(f"--by {unknown[0]}: {HOW_TO_KNOW[unknown[0]]}")
    chosen = {key: traits[key] for key in IMAGE_KEYS if key in keys}
    blocks = _blocks(found, list(sources.masks.class_names), question.plan)
    return Measures(image_ids, persons, chosen, blocks)


@functools.lru_cache(maxsize=1)
def _opened(question: Question) -> Sources:
    """Once a process; what is opened may not be what can be sent to another one."""
    from handbone_cli.host.registry import installed

    return open_sources(question.masks, question.labels, question.on, installed())


def _measure_image(question: Question, image_id: str) -> ImageMeasures:
    return _measure_in(question, _opened(question), image_id)


def _measure_in(question: Question, sources: Sources, image_id: str) -> ImageMeasures:
    from handbone_cli.anatomy.pose import pose_of
    from handbone_cli.metrics.bones import measure
    from handbone_cli.results.evaluation import all_pairs, labelled_masks
    from handbone_cli.scores import pair_counts

    mask, truth = labelled_masks(sources.masks, sources.truth, image_id)
    sample = sources.samples().get(image_id)
    spacing = (1.0, 1.0)
    if question.plan.unit == "mm":
        spacing = question.spacing or (sample and sample.spacing) or spacing
    values = measure(mask, truth, question.plan, spacing)
    if question.penalise:
        diagonal = np.hypot(mask.size[0] * spacing[0], mask.size[1] * spacing[1])
        values[np.isinf(values)] = diagonal
    pose = pose_of(truth, sources.masks.class_names) if question.pose else None
    side = (sample.side if sample else None) or (pose.side if pose else None)
    return ImageMeasures(
        values,
        pair_counts(mask, truth, all_pairs(mask.classes)),
        side,
        ("bent" if pose.bent else "straight") if pose else None,
        truth.areas(),
        mask.size[0] * mask.size[1],
    )


def _blocks(found: Sequence[ImageMeasures], class_names: Sequence[str], plan: Plan) -> list[Block]:
    """The bones, and the frequent pairs if they are asked for."""
    from handbone_cli.bone_groups import BoneGroups, Census
    from handbone_cli.results.evaluation import all_pairs, shared_pixels
    from handbone_cli.results.measures import Block, bone_sections, frequent_pairs, pair_block
    from handbone_cli.scores import dice

    classes = len(class_names)
    census = Census(classes)
    for each in found:
        census.add(each.areas, shared_pixels(each.overlaps[:, 2], classes), each.pixels)
    sections = bone_sections(class_names, census.groups())
    blocks = []
    if plan.columns:
        values = np.array([each.values for each in found])
        blocks.append(Block(class_names, plan.columns, values, sections))
    if plan.has_pairs:
        pairs = all_pairs(classes)
        overlaps = np.array([each.overlaps for each in found])
        chosen = frequent_pairs(overlaps[:, :, 2], np.array([each.areas for each in found]), pairs)
        if not chosen and not blocks:
            raise HandboneError("--metrics overlap_dice: no two bones overlap in these labels.")
        if chosen:
            scores = np.array([dice(*counts[chosen].T) for counts in overlaps])
            names = BoneGroups(pairs=tuple(pairs[place] for place in chosen)).pair_names(
                class_names
            )
            blocks.append(pair_block(names, scores))
    return blocks


def _require_spacing(question: Question, sources: Sources, image_ids: Sequence[str]) -> None:
    if question.plan.unit == "px" or question.spacing is not None:
        return
    samples = sources.samples()
    for name in image_ids:
        if name not in samples or samples[name].spacing is None:
            raise HandboneError(
                f"{name}: its source does not say how large a pixel is; give --spacing, the "
                "millimetres of one."
            )


def _of_people(
    question: Question, sources: Sources, meta: Path | None, image_ids: Sequence[str]
) -> dict[str, list[str]]:
    """Sex and age of whoever is on every image, in words."""
    from handbone_cli.commands.wiring.folds import read_people
    from handbone_cli.data.metadata import read_metadata, record_of

    samples = sources.samples()
    known = [samples[name] for name in image_ids if name in samples]
    if known:
        records = read_people(_labels_root(question, sources), meta, known)
    else:
        records = read_metadata(meta) if meta else {}
    people = [record_of(records, sources.masks.person(name)) for name in image_ids]
    ages = [person.age if person else None for person in people]
    return {
        "sex": _words(person.sex if person else None for person in people),
        "age": _words(None if age is None else _decade(age) for age in ages),
    }


def _labels_root(question: Question, sources: Sources) -> Path | None:
    """The folder of the dataset with the truth, where a table of people may lie."""
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe

    if question.labels is None:
        references = [s.manifest["labels"] for s in sources.stores if s.manifest.get("labels")]
        root = references[0]["root"] if references else None
        return Path(root) if root else None
    named = Path(question.labels)
    return named if named.is_dir() else load_recipe(question.labels, installed()).data.root


def _decade(age: float) -> str:
    start = int(age) // DECADE * DECADE
    return f"{start:02d}-{start + DECADE - 1:02d}"


def _words(found: Iterable[str | None]) -> list[str]:
    from handbone_cli.results.measures import UNKNOWN

    return [each or UNKNOWN for each in found]
