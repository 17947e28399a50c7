"""A tiny hand or two in the layout of each first-party dataset: what `hb plugins check` reads."""

from __future__ import annotations

import unittest
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.files import make_folder, write_json
from handbone_cli.masks import PackedMask
from handbone_cli.testing.dicom import write_dicom
from handbone_cli.testing.tiny import BONES, draw_tiny_hand, write_png, write_tiny_hands

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = 40


def competition(folder: Path) -> dict[str, Any]:
    """train/DCM/ID/*.png with outlines in outputs_json, and a test part."""
    write_tiny_hands(folder, people=2, size=SIZE)
    return {"class_names": BONES}


def png_masks(folder: Path) -> dict[str, Any]:
    """images/NAME.png and masks/NAME/CLASS.png."""
    for person in range(2):
        image, outlines = _hand(person)
        write_png(folder / "images" / f"P{person}_L.png", image)
        polygons = {index: [outline] for index, outline in enumerate(outlines)}
        masks = PackedMask.from_polygons(polygons, (SIZE, SIZE), len(BONES)).dense()
        for bone, mask in zip(BONES, masks, strict=True):
            path = folder / "masks" / f"P{person}_L" / f"{bone}.png"
            write_png(path, mask.astype(np.uint8) * 255)
    return {}


def coco(folder: Path) -> dict[str, Any]:
    """train/*.png and train/annotations.json with polygons."""
    images, annotations = [], []
    for person in range(2):
        image, outlines = _hand(person)
        name = f"P{person}_L.png"
        write_png(folder / "train" / name, image)
        images.append({"id": person, "file_name": name, "height": SIZE, "width": SIZE})
        annotations += [
            {
                "id": 10 * person + index,
                "image_id": person,
                "category_id": index,
                "segmentation": [outline.ravel().tolist()],
                "iscrowd": 0,
            }
            for index, outline in enumerate(outlines)
        ]
    categories = [{"id": index, "name": bone} for index, bone in enumerate(BONES)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    write_json(folder / "train" / "annotations.json", content)
    return {}


def labelme(folder: Path) -> dict[str, Any]:
    """NAME.png and NAME.json side by side."""
    for person in range(2):
        image, outlines = _hand(person)
        write_png(folder / f"P{person}_L.png", image)
        _write_shapes(folder / f"P{person}_L.json", outlines, f"P{person}_L.png")
    return {}


def dicom(folder: Path) -> dict[str, Any]:
    """NAME.dcm of 12 bits and NAME.json side by side; SkipTest without pydicom."""
    if find_spec("pydicom") is None:
        raise unittest.SkipTest("pydicom is not installed; pip install 'handbone[dicom]'")
    for person in range(2):
        image, outlines = _hand(person)
        make_folder(folder)
        pixels = image.astype(np.uint16) * 16
        facts = {"BitsStored": 12, "PatientID": f"P{person}", "StudyInstanceUID": f"1.2.{person}"}
        write_dicom(folder / f"F{person}.dcm", pixels, **facts)
        _write_shapes(folder / f"F{person}.json", outlines, f"F{person}.dcm")
    return {}


def _hand(person: int) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]]]:
    image, outlines = draw_tiny_hand(person, 0, SIZE, len(BONES))
    return image, [outline.astype(np.float32) for outline in outlines]


def _write_shapes(path: Path, outlines: list[NDArray[np.float32]], image: str) -> None:
    shapes = [
        {"label": bone, "points": outline.tolist(), "shape_type": "polygon"}
        for bone, outline in zip(BONES, outlines, strict=True)
    ]
    sizes = {"imageHeight": SIZE, "imageWidth": SIZE}
    write_json(path, {"shapes": shapes, "imagePath": image, "imageData": None, **sizes})
