"""First-party datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_datasets(register: Callable[..., Any]) -> None:
    """Register the datasets."""
    register(
        "competition",
        "handbone_datasets.competition:build",
        options="handbone_datasets.competition:CompetitionOptions",
        summary="train/DCM/ID/*.png with polygons in outputs_json, test/DCM, 29 bones",
        example="handbone_cli.testing.tiny_layouts:competition",
    )
    register(
        "generated",
        "handbone_datasets.generated:build",
        options="handbone_datasets.generated:GeneratedOptions",
        summary="hands drawn from a shape model of 288 real ones, rendered as radiographs",
        example={"people": 1, "test_people": 1, "size": 64},
    )
    register(
        "png_masks",
        "handbone_datasets.png_masks:build",
        options="handbone_datasets.png_masks:PngMasksOptions",
        summary="images/ and masks/: a PNG a class, overlaps kept, or index maps",
        example="handbone_cli.testing.tiny_layouts:png_masks",
    )
    register(
        "coco",
        "handbone_datasets.coco:build",
        options="handbone_datasets.coco:CocoOptions",
        summary="COCO annotations: polygons and run lengths, overlaps kept; RAM-H1200",
        example="handbone_cli.testing.tiny_layouts:coco",
    )
    register(
        "labelme",
        "handbone_datasets.labelme:build",
        options="handbone_datasets.labelme:LabelmeOptions",
        summary="images with labelme's JSON beside them, or inside it",
        example="handbone_cli.testing.tiny_layouts:labelme",
    )
    register(
        "dicom",
        "handbone_datasets.dicom:build",
        options="handbone_datasets.dicom:DicomOptions",
        summary="DICOM files with JSON or masks beside them; people are hashes",
        example="handbone_cli.testing.tiny_layouts:dicom",
    )
