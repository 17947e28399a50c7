"""A dataset to its figures, image by image in bounded memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from handbone_cli.data.measurements.bodies import relate_bodies
from handbone_cli.data.measurements.image import measure_image
from handbone_cli.data.measurements.outliers import find_outliers
from handbone_cli.data.measurements.totals import Totals
from handbone_cli.data.processes import map_in_processes
from handbone_cli.dataset_figures import DatasetFigures
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handbone_cli.data.metadata import PersonRecord
    from handbone_cli.dataset_figures import ImageFigures
    from handbone_cli.host.interfaces import Dataset
    from handbone_cli.terminal.progress import Report

SPLITS = ("train", "test")
IMAGES_A_WORKER = 4
"""Starting a process takes as long as measuring so many images."""


def measure_dataset(
    name: str,
    dataset: Dataset,
    records: Mapping[str, PersonRecord] | None,
    workers: int,
    report: Report,
) -> DatasetFigures:
    """Measure every image of both splits; only sums and a few numbers an image are kept.

    Args:
        name: what the user called the dataset.
        dataset: read image by image.
        records: the people by name; None without metadata.
        workers: processes.
        report: told the images done and their total.

    Raises:
        HandboneError: there is no image, or no image with labels that can be read.
    """
    class_names = tuple(dataset.class_names)
    jobs = [(split, sample) for split in SPLITS for sample in dataset.samples(split)]
    if not jobs:
        raise HandboneError(f"{name}: there is no image to measure.")
    work = functools.partial(measure_image, class_names=class_names)
    totals = Totals(len(class_names))
    images: list[ImageFigures] = []
    problems: list[str] = []
    enough = min(workers, len(jobs) // IMAGES_A_WORKER)
    for done, measured in enumerate(map_in_processes(work, jobs, enough), start=1):
        totals.add(measured)
        problems.extend(measured.problems)
        if measured.figures is not None:
            images.append(measured.figures)
        report(done, len(jobs))
    labelled = [image for image in images if image.areas is not None]
    if not labelled:
        first = f" ({problems[0]})" if problems else ""
        raise HandboneError(f"{name}: no image with readable labels to measure{first}.")
    return DatasetFigures(
        name,
        class_names,
        tuple(images),
        totals.overlaps(),
        totals.grey(),
        totals.outlines(),
        None if records is None else relate_bodies(labelled, class_names, records),
        tuple(find_outliers(labelled)),
        tuple(problems),
    )
