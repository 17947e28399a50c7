"""The dataset `dicom`: radiographs as devices write them, and nobody's name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from handbone_cli import HandboneError, Sample, decode_grey, read_json
from handbone_datasets.competition import read_outlines
from handbone_datasets.dicom_files import DicomFile, DicomOptions, read_files
from handbone_datasets.image_files import (
    SPLITS,
    files_key,
    opened_root,
    people_in_both,
    sample_problems,
)
from handbone_datasets.labelme import read_shapes
from handbone_datasets.png_masks import read_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli import DatasetContext, PackedMask


class DicomDataset:
    """DICOM files in folders; labels of FILE.dcm are FILE.json or masks/FILE/CLASS.png.

    Labels lie beside the image or anywhere below the root, and may be called by SOPInstanceUID.
    JSON is labelme's or the competition's. People are hashes of PatientID together with a study's
    UID, so that nobody can try out ids.
    """

    def __init__(self, root: Path, options: DicomOptions) -> None:
        self._root = root
        self._options = options
        self._files = read_files(root, options)
        if not any(self._files.values()):
            raise HandboneError(
                f"{root}: no DICOM image in it; expected .dcm, .dicom, .ima or DICOM files without "
                "a suffix (data.root)."
            )
        self.class_names = options.class_names or self._found_classes()
        if not self.class_names:
            raise HandboneError(
                f"{root}: no DICOM image has labels; expected NAME.json beside NAME.dcm or "
                f"{options.masks}/NAME/CLASS.png, or name the classes (data.class_names)."
            )

    def samples(self, split: str) -> Sequence[Sample]:
        """The images of 'train' or 'test', sorted by path."""
        return [self._sample(file) for file in self._files[split]]

    def problems(self) -> Sequence[str]:
        """Images without labels, unknown, missing or outlying classes, doubtful PatientIDs."""
        return list(self._problems())

    def _found_classes(self) -> tuple[str, ...]:
        found: set[str] = set()
        for files in self._files.values():
            for file in files:
                try:
                    found.update(_label_names(file))
                except HandboneError:  # said when they are read
                    continue
        return tuple(sorted(found))

    def _sample(self, file: DicomFile) -> Sample:
        read = functools.partial(read_pixels, file.path, file.shown)
        labels = functools.partial(read_labels, file, self.class_names, read)
        hidden = self._options.ids == "uid"
        return Sample(
            image_id=file.image_id,
            person=file.person,
            read_image=read,
            read_labels=labels if file.labels else None,
            path=None if hidden else file.path,
            key=files_key(file.path, *file.labels.values(), also=self.class_names),
            side=file.header.side if file.header else None,
            spacing=file.header.spacing if file.header else None,
        )

    def _problems(self) -> Iterator[str]:
        splits = {split: self.samples(split) for split in SPLITS}
        yield from people_in_both(splits)
        yield from self._doubtful_people()
        for split, samples in splits.items():
            labelled = any(sample.read_labels for sample in samples)
            for sample, file in zip(samples, self._files[split], strict=True):
                if labelled and not file.labels and file.header:
                    yield f"{file.shown}: the image has no labels."
                try:
                    strange = sorted(set(_label_names(file)) - set(self.class_names))
                except HandboneError:
                    strange = []
                for name in strange:
                    yield f"{file.shown}: '{name}' in its labels is no known class."
                yield from sample_problems(sample, self.class_names, f"{file.shown}, its labels")

    def _doubtful_people(self) -> Iterator[str]:
        headers = [f.header for files in self._files.values() for f in files if f.header]
        studies = {header.study for header in headers}
        if self._options.person != "patient" or len(studies) < 2:
            return
        if len({header.patient for header in headers}) == 1 and headers[0].patient:
            yield (
                f"{self._root}: all {len(headers)} images of {len(studies)} studies have one "
                "PatientID; if it is a placeholder, set person = 'study' or 'folder' in [data]."
            )


def read_pixels(path: Path, shown: str) -> NDArray[Any]:
    """The radiograph of a DICOM file: (H, W) uint8 or uint16.

    Raises:
        HandboneError: it cannot be read; messages call the file as `shown` says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HandboneError(f"{shown}: cannot read it: {error.strerror}.") from None
    return decode_grey(content, shown)


def read_labels(
    file: DicomFile, class_names: Sequence[str], read_image: Callable[[], NDArray[Any]]
) -> dict[int, list[NDArray[np.float32]]] | PackedMask:
    """The labels of one image from its JSON or masks; messages do not name a hidden path.

    Raises:
        HandboneError: a file of another form, a mask of another size.
    """
    index = {name: place for place, name in enumerate(class_names)}
    try:
        if "" not in file.labels:
            known = {index[name]: path for name, path in file.labels.items() if name in index}
            return read_masks(read_image, known, len(class_names))
        path = file.labels[""]
        if _is_labelme(read_json(path)):
            return read_shapes(path, class_names, read_image)
        return read_outlines(path, class_names)
    except HandboneError as error:
        raise HandboneError(_without_paths(str(error), file)) from None


def _without_paths(message: str, file: DicomFile) -> str:
    if file.shown == str(file.path):
        return message
    for name, path in file.labels.items():
        message = message.replace(str(path), f"{file.shown}, its labels{name and f' {name}'}")
    return message


def _label_names(file: DicomFile) -> list[str]:
    if "" not in file.labels:
        return list(file.labels)
    content = read_json(file.labels[""])
    key = "shapes" if _is_labelme(content) else "annotations"
    try:
        return [str(each["label"]) for each in content[key]]
    except (KeyError, TypeError) as error:
        raise HandboneError(f"{file.shown}: no labels in its JSON.") from error


def _is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and "shapes" in content


def build(options: DicomOptions, context: DatasetContext) -> DicomDataset:
    """Open the folder that `data.root` names."""
    return DicomDataset(opened_root(context, "DICOM files in it"), options)
