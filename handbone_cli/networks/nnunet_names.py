"""nnU-Net's names of tensors as handbone's nnunet has them: each once, the finest head first."""

from __future__ import annotations

import re

import torch

SECOND = re.compile(r"(.+)\.(?:conv|norm|nonlin)\.(\w+)")
HEAD = re.compile(r"decoder\.seg_layers\.(\d+)\.(\w+)")
MOST_LAYERS = 4
"""Convolution, dropout, normalisation, activation."""


def as_handbone_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of any network, those of nnU-Net's under the names of handbone's.

    nnU-Net's networks register their layers twice (`conv` is `all_modules.0`) and their encoder
    once more in the decoder, and count their heads from the coarsest.
    """
    once = {n: t for n, t in tensors.items() if not any(_equal(tensors, n, m) for m in _others(n))}
    if not any(name.startswith("decoder.encoder.") for name in tensors):
        return once
    heads = [int(found[1]) for found in map(HEAD.fullmatch, once) if found]
    last = max(heads, default=0)
    return {
        f"decoder.seg_layers.{last - int(found[1])}.{found[2]}" if found else name: tensor
        for name, tensor in once.items()
        for found in [HEAD.fullmatch(name)]
    }


def _others(name: str) -> list[str]:
    """The names that handbone keeps of what also has this name."""
    found = SECOND.fullmatch(name)
    twins = [f"{found[1]}.all_modules.{n}.{found[2]}" for n in range(MOST_LAYERS)] if found else []
    inside = name.startswith("decoder.encoder.")
    return [*twins, *([name.removeprefix("decoder.")] if inside else [])]


def _equal(tensors: dict[str, torch.Tensor], name: str, other: str) -> bool:
    if other not in tensors:
        return False
    here, there = tensors[name], tensors[other]
    return here.dtype == there.dtype and torch.equal(here, there)
