"""Where masks come from: a store, a decision on its stores, or a submission."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handbone_cli.commands.wiring.datasets import all_samples, image_reader, open_named_dataset
from handbone_cli.commands.wiring.labels import SampleLabels
from handbone_cli.errors import HandboneError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.decision.document import Decision
    from handbone_cli.decision.postprocessing import ScopedRule
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource, PackedMask
    from handbone_cli.results.submission import SubmissionMasks
    from handbone_cli.store.store import Store


def is_csv(path: Path) -> bool:
    """Whether a path names a submission."""
    return path.name.endswith((".csv", ".csv.gz"))


def build_rules(
    sections: Sequence[Mapping[str, Any]], class_names: Sequence[str], registry: Registry
) -> list[ScopedRule]:
    """The spatial rules of a decision, each for the bones that its `classes` names.

    Raises:
        HandboneError: an unknown rule or bone, or an option that the rule refuses.
    """
    from handbone_cli.decision.postprocessing import ScopedRule
    from handbone_cli.host.interfaces import PostContext
    from handbone_cli.recipe.schema import POSTPROCESS_KEYS

    context = PostContext(tuple(class_names))
    rules = []
    for section in sections:
        name, classes = section["name"], section.get("classes")
        for each in classes or ():
            if each not in class_names:
                raise HandboneError(
                    f"post-processor '{name}', classes: no bone is called '{each}'. "
                    f"{closest(each, class_names)}"
                )
        options = {k: v for k, v in section.items() if k != "name" and k not in POSTPROCESS_KEYS}
        rule = registry.build("postprocessors", name, options, context)
        rules.append(ScopedRule(rule, frozenset(classes) if classes else None))
    return rules


def open_masks(
    path: Path, registry: Registry, on: Sequence[Path] = ()
) -> tuple[MaskSource, list[Store]]:
    """A store at one half, or a decision on its own members or on the stores given with --on."""
    decision, stores = open_decision(path, on)
    return decided_masks(path, decision, stores, registry), stores


def open_decision(path: Path, on: Sequence[Path] = ()) -> tuple[Decision, list[Store]]:
    """A decision with its stores; of a store alone, the one at one half with its own rules."""
    from handbone_cli.decision import document
    from handbone_cli.store.store import Store

    if path.suffix == ".toml":
        decision = document.load(path)
        decision = decision.on(on) if on else decision
        return decision, document.open_members(decision)
    if is_csv(path):
        raise HandboneError(f"{path}: a submission; expected a store or a decision (.toml).")
    if on:
        raise HandboneError(f"{path}: --on goes with a decision (.toml), not with a store.")
    store = Store.open(path)
    return document.of_store(path, store), [store]


def decided_masks(
    path: Path, decision: Decision, stores: Sequence[Store], registry: Registry
) -> DecidedMasks:
    """The masks of a decision that `path` named; one sentence if there are none yet."""
    from handbone_cli.decision.decide import DecidedMasks

    rules = build_rules(decision.postprocess, decision.class_names, registry)
    masks = DecidedMasks(decision, stores, rules, radiographs(stores[0], registry))
    if not masks.image_ids:
        raise HandboneError(f"{path}: there is no predicted image in it yet.")
    return masks


def radiographs(store: Store, registry: Registry) -> Callable[[str], NDArray[np.uint8]]:
    """Image id -> its grey (H, W) uint8; where they are is looked up when one is asked for."""

    @functools.cache
    def opened() -> Callable[[str], NDArray[np.uint8]]:
        return image_reader(store, registry)

    def read(image_id: str) -> NDArray[np.uint8]:
        return opened()(image_id)

    return read


def open_submission(
    path: Path, labels: str | None, registry: Registry
) -> tuple[SubmittedMasks, LabelSource]:
    """A submission and its truth from a dataset, which also knows its images and their people."""
    from handbone_cli.results.submission import SubmissionMasks

    if labels is None:
        raise HandboneError(
            f"{path}: a CSV does not say where its images and their truth are; use --labels."
        )
    dataset = open_named_dataset(labels, registry)
    samples = all_samples(dataset)
    names = frozenset(SubmissionMasks(path, None, dataset.class_names).image_ids)
    wanted = [sample for sample in samples if sample.image_id in names]
    masks = SubmissionMasks(path, ImageSizes(wanted), dataset.class_names)
    return SubmittedMasks(masks, wanted), SampleLabels(wanted, len(dataset.class_names))


class ImageSizes(Mapping[str, tuple[int, int]]):
    """(H, W) of images by id, each read when it is asked for: not all in every process."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = {sample.image_id: sample for sample in samples}
        self._known: dict[str, tuple[int, int]] = {}

    def __getitem__(self, image_id: str) -> tuple[int, int]:
        if image_id not in self._known:
            height, width = self._samples[image_id].read_image().shape[:2]
            self._known[image_id] = height, width
        return self._known[image_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples)

    def __len__(self) -> int:
        return len(self._samples)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._samples  # the Mapping's own would read the image


class SubmittedMasks:
    """A MaskSource over a submission whose images and people are known."""

    def __init__(self, masks: SubmissionMasks, samples: Sequence[Sample]) -> None:
        self._masks = masks
        self._samples = {sample.image_id: sample for sample in samples}
        self.image_ids, self.class_names = masks.image_ids, masks.class_names

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._samples[image_id].person

    def read_grey(self, image_id: str) -> NDArray[np.uint8]:
        """The radiograph of an image, (H, W)."""
        from handbone_cli.data.preprocessing import to_uint8

        return to_uint8(self._samples[image_id].read_image())

    def file(self, image_id: str) -> Path | None:
        """The image's file, if there is one."""
        return self._samples[image_id].path

    @property
    def files(self) -> set[Path]:
        """The image files."""
        return {sample.path for sample in self._samples.values() if sample.path}

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image."""
        return self._masks.mask(image_id)


def require_complete(masks: MaskSource, stores: Sequence[Store]) -> None:
    """Refuse to make a file from a store whose prediction has not come to its end."""
    for store in stores:
        missing = [name for name in store.manifest["order"] if name not in store.images]
        if missing:
            raise HandboneError(
                f"{store.path}: {len(missing)} of {len(store.manifest['order'])} images are not "
                f"predicted yet ({missing[0]}, ...); run the same `hb predict` again."
            )
    if len(masks.image_ids) < max(len(store.images) for store in stores):
        raise HandboneError(
            "the members do not have the same images; predict the same -i with all."
        )
