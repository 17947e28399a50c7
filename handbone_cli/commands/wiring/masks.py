"""Where masks come from: a store, a decision on its stores, or a submission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
from handbone_cli.commands.wiring.labels import SampleLabels
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from handbone_cli.host.interfaces import PostProcessor, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource, PackedMask
    from handbone_cli.results.submission import SubmissionMasks
    from handbone_cli.store.store import Store


def build_rules(
    sections: Sequence[Mapping[str, Any]], class_names: Sequence[str], registry: Registry
) -> list[PostProcessor]:
    """The spatial rules of a decision."""
    from handbone_cli.host.interfaces import PostContext

    context = PostContext(tuple(class_names))
    return [
        registry.build(
            "postprocessors", rule["name"], {k: v for k, v in rule.items() if k != "name"}, context
        )
        for rule in sections
    ]


def open_masks(
    path: Path, registry: Registry, on: Sequence[Path] = ()
) -> tuple[MaskSource, list[Store]]:
    """A store at one half, or a decision on its own members or on the stores given with --on."""
    from handbone_cli.decision import document
    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.store.store import Store

    if path.suffix == ".toml":
        decision = document.load(path)
        decision = decision.on(on) if on else decision
        stores = document.open_members(decision)
    elif on:
        raise HandboneError(f"{path}: --on goes with a decision (.toml), not with a store.")
    else:
        stores = [Store.open(path)]
        decision = document.of_store(path, stores[0])
    rules = build_rules(decision.postprocess, decision.class_names, registry)
    masks = DecidedMasks(decision, stores, rules)
    if not masks.image_ids:
        raise HandboneError(f"{path}: there is no predicted image in it yet.")
    return masks, stores


def open_submission(path: Path, labels: str, registry: Registry) -> tuple[MaskSource, LabelSource]:
    """A submission and its truth from a dataset, which also knows the images' sizes and people."""
    from handbone_cli.results.submission import SubmissionMasks

    dataset = open_named_dataset(labels, registry)
    samples = all_samples(dataset)
    names = frozenset(SubmissionMasks(path, None, dataset.class_names).image_ids)
    wanted = [sample for sample in samples if sample.image_id in names]
    sizes = {s.image_id: _size(s) for s in wanted}
    masks = SubmissionMasks(path, sizes, dataset.class_names)
    people = {sample.image_id: sample.person for sample in wanted}
    return SubmittedMasks(masks, people), SampleLabels(wanted, len(dataset.class_names))


def _size(sample: Sample) -> tuple[int, int]:
    height, width = sample.read_image().shape[:2]
    return height, width


class SubmittedMasks:
    """A MaskSource over a submission whose people are known."""

    def __init__(self, masks: SubmissionMasks, people: Mapping[str, str]) -> None:
        self._masks, self._people = masks, people
        self.image_ids, self.class_names = masks.image_ids, masks.class_names

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._people[image_id]

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
