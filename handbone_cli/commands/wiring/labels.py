"""Where the truth comes from: a dataset's outlines, a CSV, or nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset, open_reference
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, PackedMask
    from handbone_cli.store.store import Store


class SampleLabels:
    """A LabelSource over labelled samples.

    Attributes:
        samples: the labelled ones by image id.
    """

    def __init__(self, samples: Sequence[Sample], classes: int) -> None:
        self.samples = {s.image_id: s for s in samples if s.read_labels is not None}
        self._classes = classes

    def has(self, image_id: str) -> bool:
        """Whether an image is labelled."""
        return image_id in self.samples

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:
        """The labels of one image of (H, W)."""
        from handbone_cli.masks import PackedMask

        read = self.samples[image_id].read_labels
        labels: Labels = read() if read else {}
        return PackedMask.from_labels(labels, size, self._classes)


class NoLabels:
    """A LabelSource for images whose truth nobody knows."""

    def has(self, image_id: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:  # noqa: ARG002
        """Nobody asks."""
        raise KeyError(image_id)


class CsvLabels:
    """A LabelSource over a submission-like CSV."""

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        from handbone_cli.results.submission import SubmissionMasks

        self._masks = SubmissionMasks(path, None, class_names)
        self._ids = frozenset(self._masks.image_ids)

    def has(self, image_id: str) -> bool:
        """Whether the CSV has the image."""
        return image_id in self._ids

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:
        """The masks of one image of (H, W)."""
        return self._masks.decode(image_id, size)


def open_labels(
    named: str | None, stores: Sequence[Store], class_names: Sequence[str], registry: Registry
) -> LabelSource:
    """The truth that --labels names (a recipe, a folder, a CSV), or the stores' manifests do."""
    if named is not None:
        if Path(named).name.endswith((".csv", ".csv.gz")):
            return CsvLabels(Path(named), class_names)
        dataset = open_named_dataset(named, registry)
    else:
        references = [s.manifest["labels"] for s in stores if s.manifest.get("labels")]
        if not references:
            return NoLabels()
        dataset = open_reference(references[0], registry)
    if list(dataset.class_names) != list(class_names):
        raise HandboneError(
            f"the labels have other classes ({len(dataset.class_names)}: "
            f"{', '.join(dataset.class_names[:3])}, ...) than the masks ({len(class_names)}: "
            f"{', '.join(class_names[:3])}, ...)."
        )
    return SampleLabels(all_samples(dataset), len(class_names))
