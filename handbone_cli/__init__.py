"""handbone: segmentation of overlapping bones in radiographs.

What plugin authors import stands here and nowhere else; everything is loaded when first used,
so that `hb --help` waits for nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handbone_cli.anatomy.frame import HandFrame
    from handbone_cli.anatomy.hand import HAND_BONES
    from handbone_cli.anatomy.hand_fit import HandFit
    from handbone_cli.anatomy.shape_model import ShapeModel
    from handbone_cli.data.audit.naming import best_naming
    from handbone_cli.data.dicom import (
        DicomHeader,
        find_dicom_files,
        pseudonym,
        read_dicom_header,
    )
    from handbone_cli.data.images import decode_grey, read_grey, read_values
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import atomic_write, claim_folder, make_folder, read_json, write_json
    from handbone_cli.host.hookspecs import API_VERSION, Register, hookimpl
    from handbone_cli.host.interfaces import (
        Arrangement,
        Bone,
        DatasetContext,
        LoaderContext,
        LossContext,
        ModelContext,
        Options,
        PatchForm,
        PostContext,
        PreprocessContext,
        RawPatch,
        Sample,
        TrackerContext,
        TtaContext,
        WindowContext,
    )
    from handbone_cli.masks import PackedMask
    from handbone_cli.networks.collectives import sum_over_ranks
    from handbone_cli.networks.labels import unpack_labels
    from handbone_cli.networks.meta import QuickShapes
    from handbone_cli.ranks import rank_count
    from handbone_cli.trust.film import shows_hand

__version__ = "0.1.0"

_HOMES = {
    "API_VERSION": "handbone_cli.host.hookspecs",
    "Arrangement": "handbone_cli.host.interfaces",
    "Bone": "handbone_cli.host.interfaces",
    "DatasetContext": "handbone_cli.host.interfaces",
    "DicomHeader": "handbone_cli.data.dicom",
    "HAND_BONES": "handbone_cli.anatomy.hand",
    "HandFit": "handbone_cli.anatomy.hand_fit",
    "HandFrame": "handbone_cli.anatomy.frame",
    "HandboneError": "handbone_cli.errors",
    "LoaderContext": "handbone_cli.host.interfaces",
    "LossContext": "handbone_cli.host.interfaces",
    "ModelContext": "handbone_cli.host.interfaces",
    "Options": "handbone_cli.host.interfaces",
    "PackedMask": "handbone_cli.masks",
    "PatchForm": "handbone_cli.host.interfaces",
    "PostContext": "handbone_cli.host.interfaces",
    "PreprocessContext": "handbone_cli.host.interfaces",
    "QuickShapes": "handbone_cli.networks.meta",
    "RawPatch": "handbone_cli.host.interfaces",
    "Register": "handbone_cli.host.hookspecs",
    "Sample": "handbone_cli.host.interfaces",
    "ShapeModel": "handbone_cli.anatomy.shape_model",
    "TrackerContext": "handbone_cli.host.interfaces",
    "TtaContext": "handbone_cli.host.interfaces",
    "WindowContext": "handbone_cli.host.interfaces",
    "atomic_write": "handbone_cli.files",
    "best_naming": "handbone_cli.data.audit.naming",
    "claim_folder": "handbone_cli.files",
    "decode_grey": "handbone_cli.data.images",
    "find_dicom_files": "handbone_cli.data.dicom",
    "hookimpl": "handbone_cli.host.hookspecs",
    "make_folder": "handbone_cli.files",
    "pseudonym": "handbone_cli.data.dicom",
    "rank_count": "handbone_cli.ranks",
    "read_dicom_header": "handbone_cli.data.dicom",
    "read_grey": "handbone_cli.data.images",
    "read_json": "handbone_cli.files",
    "read_values": "handbone_cli.data.images",
    "shows_hand": "handbone_cli.trust.film",
    "sum_over_ranks": "handbone_cli.networks.collectives",
    "unpack_labels": "handbone_cli.networks.labels",
    "write_json": "handbone_cli.files",
}

__all__ = [
    "API_VERSION",
    "HAND_BONES",
    "Arrangement",
    "Bone",
    "DatasetContext",
    "DicomHeader",
    "HandFit",
    "HandFrame",
    "HandboneError",
    "LoaderContext",
    "LossContext",
    "ModelContext",
    "Options",
    "PackedMask",
    "PatchForm",
    "PostContext",
    "PreprocessContext",
    "QuickShapes",
    "RawPatch",
    "Register",
    "Sample",
    "ShapeModel",
    "TrackerContext",
    "TtaContext",
    "WindowContext",
    "atomic_write",
    "best_naming",
    "claim_folder",
    "decode_grey",
    "find_dicom_files",
    "hookimpl",
    "make_folder",
    "pseudonym",
    "rank_count",
    "read_dicom_header",
    "read_grey",
    "read_json",
    "read_values",
    "shows_hand",
    "sum_over_ranks",
    "unpack_labels",
    "write_json",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'handbone_cli' has no attribute '{name}'")
