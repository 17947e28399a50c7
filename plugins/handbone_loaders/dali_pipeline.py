"""The DALI graph of a patch: decode, CLAHE, blocks, one warp, photometrics, normalise.

The same operations in the same order as handbone's own patches; what is random was drawn by the
patch source and comes in. Coordinates are DALI's own: continuous, pixel centres at +0.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nvidia.dali import fn, math, types
from nvidia.dali.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli import PatchForm, RawPatch

ARGUMENTS = ("matrix", "reduced", "pick", "box", "blur", "window")
"""Inputs that DALI wants on the CPU wherever the pixels are."""


def inputs_of(form: PatchForm, raw: RawPatch) -> dict[str, Any]:
    """What one patch feeds the graph, by input."""
    arrays: dict[str, Any] = {"encoded": raw.encoded, "centre": np.float32(255 * raw.mean)}
    arrays["scale"] = np.float32(1 / (255 * raw.std))
    if form.reduced:
        block = raw.block
        arrays["box"] = np.full((block, block), 1 / block**2, np.float32)
        arrays["reduced"] = np.array(raw.reduced, np.float32)
        # the mean of a block stands in its first pixel; NEAREST picks that one
        arrays["pick"] = np.array([[block, 0, 0.5 * (1 - block)], [0, block, 0.5 * (1 - block)]])
        arrays["pick"] = arrays["pick"].astype(np.float32)
    if form.distorted:
        arrays["map_x"], arrays["map_y"] = absolute_map(raw)
    else:
        arrays["matrix"] = raw.matrix.astype(np.float32)
    if form.blurred:
        arrays |= {"blur": np.float32(raw.blur), "window": np.int32(raw.blur_window)}
    if form.toned:
        for name in ("gamma", "contrast", "brightness"):
            arrays[name] = np.float32(getattr(raw, name))
    if form.noisy:
        none = np.zeros((form.side, form.side), np.int16)
        arrays["noise"] = (none if raw.noise is None else raw.noise)[..., None]
    return arrays


def absolute_map(raw: RawPatch) -> tuple[Any, Any]:
    """The matrix and the displacement as x and y of the source, in pixel indices as cv2 counts."""
    assert raw.displacement is not None
    height, width = raw.displacement.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) + np.float32(0.5)
    x, y = x + raw.displacement[..., 0], y + raw.displacement[..., 1]
    a = raw.matrix.astype(np.float32)
    return tuple(row[0] * x + row[1] * y + row[2] - np.float32(0.5) for row in a)


def build_pipeline(
    form: PatchForm,
    source: Callable[[], Sequence[Sequence[Any]]],
    names: Sequence[str],
    *,
    batch_size: int,
    threads: int,
    device_id: int | None,
) -> Pipeline:
    """The pipeline of a run, on the GPU `device_id` or the CPU.

    Args:
        form: what its patches have in common; only what is on is in the graph.
        source: gives a batch: for every input a list with an array a patch; StopIteration ends it.
        names: of the inputs, in the source's order.
        batch_size: patches in a batch.
        threads: for decoding, and on a CPU for everything.
        device_id: of the GPU, or None.
    """
    pipeline = Pipeline(batch_size, threads, device_id, prefetch_queue_depth=2)
    with pipeline:
        found = fn.external_source(source=source, num_outputs=len(names), batch=True)
        inputs = dict(zip(names, found, strict=True))
        pipeline.set_outputs(draw_patch(form, inputs, on_gpu=device_id is not None))
    pipeline.build()
    return pipeline


def draw_patch(form: PatchForm, inputs: dict[str, Any], *, on_gpu: bool) -> Any:
    """From encoded bytes to (1, side, side) float32."""
    if on_gpu:
        stay = {*ARGUMENTS, "encoded"}
        inputs = {k: v if k in stay else v.gpu() for k, v in inputs.items()}
    device = "mixed" if on_gpu else "cpu"
    grey = fn.decoders.image(
        inputs["encoded"], device=device, output_type=types.GRAY, adjust_orientation=False
    )
    if form.clahe:
        clip, tiles = form.clahe
        grey = fn.clahe(grey, clip_limit=clip, tiles_x=tiles, tiles_y=tiles, luma_only=False)
    if form.reduced:
        box = inputs["box"].gpu() if on_gpu else inputs["box"]
        means = fn.filter(grey, box, anchor=[0, 0], border="clamp", dtype=types.UINT8)
        grey = fn.warp_affine(
            means, matrix=inputs["pick"], size=inputs["reduced"], interp_type=types.INTERP_NN
        )
    grey = _warp(form, grey, inputs)
    grey = _change_tones(form, grey, inputs)
    normal = (fn.cast(grey, dtype=types.FLOAT) - inputs["centre"]) * inputs["scale"]
    return fn.transpose(normal, perm=[2, 0, 1])


def _warp(form: PatchForm, grey: Any, inputs: dict[str, Any]) -> Any:
    if form.distorted:
        maps = inputs["map_x"], inputs["map_y"]
        return fn.experimental.remap(grey, *maps, interp=types.INTERP_LINEAR, pixel_origin="center")
    return fn.warp_affine(
        grey, matrix=inputs["matrix"], size=(form.side, form.side), fill_value=0,
        interp_type=types.INTERP_LINEAR,
    )  # fmt: skip


def _change_tones(form: PatchForm, grey: Any, inputs: dict[str, Any]) -> Any:
    """Blur; gamma, contrast and brightness, rounded; noise."""
    if form.blurred:
        grey = fn.gaussian_blur(grey, sigma=inputs["blur"], window_size=inputs["window"])
    if form.toned:
        levels = (fn.cast(grey, dtype=types.FLOAT) / 255.0) ** inputs["gamma"]
        levels = (levels - 0.5) * inputs["contrast"] + 0.5 + inputs["brightness"]
        grey = fn.cast(math.clamp(levels, 0.0, 1.0) * 255.0, dtype=types.UINT8)
    if form.noisy:
        noisy = math.clamp(fn.cast(grey, dtype=types.INT16) + inputs["noise"], 0, 255)
        grey = fn.cast(noisy, dtype=types.UINT8)
    return grey


def decodes(encoded: Any) -> bool:
    """Whether DALI can decode an image; for finding the one that a batch failed of."""
    pipeline = Pipeline(1, 1, None, prefetch_queue_depth=1)
    with pipeline:
        given = fn.external_source(source=lambda: [encoded], batch=True)
        pipeline.set_outputs(fn.decoders.image(given, device="cpu", output_type=types.GRAY))
    pipeline.build()
    try:
        pipeline.run()
    except RuntimeError:
        return False
    return True
