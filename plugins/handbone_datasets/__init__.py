"""First-party datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@hookimpl
def handbone_datasets(register: Callable[..., Any]) -> None:
    """Register the datasets."""
    register(
        "competition",
        "handbone_datasets.competition:build",
        options="handbone_datasets.competition:CompetitionOptions",
        summary="train/DCM/ID/*.png with polygons in outputs_json, test/DCM, 29 bones",
    )
    register(
        "generated",
        "handbone_datasets.generated:build",
        options="handbone_datasets.generated:GeneratedOptions",
        summary="hands drawn from a shape model of 288 real ones, rendered as radiographs",
    )
    register(
        "png_masks",
        "handbone_datasets.png_masks:build",
        options="handbone_datasets.png_masks:PngMasksOptions",
        summary="images/ and masks/: a PNG a class, overlaps kept, or index maps",
    )
    register(
        "coco",
        "handbone_datasets.coco:build",
        options="handbone_datasets.coco:CocoOptions",
        summary="COCO annotations: polygons and run lengths, overlaps kept; RAM-H1200",
    )
    register(
        "labelme",
        "handbone_datasets.labelme:build",
        options="handbone_datasets.labelme:LabelmeOptions",
        summary="images with labelme's JSON beside them, or inside it",
    )
    register(
        "dicom",
        "handbone_datasets.dicom:build",
        options="handbone_datasets.dicom:DicomOptions",
        summary="DICOM files with JSON or masks beside them; people are hashes",
    )
