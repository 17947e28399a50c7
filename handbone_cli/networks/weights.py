"""Tensors on disk: safetensors with a JSON header, written whole or not at all; no pickle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from handbone_cli.errors import HandboneError
from handbone_cli.files import digest, read_bytes, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

HEADER = "handbone"


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON-able header to one file, atomically."""
    from safetensors.torch import save

    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(ready, metadata={HEADER: json.dumps(header)}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: tensors on the CPU and the header.

    Raises:
        HandboneError: missing, cut off, or not a file of ours.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = read_bytes(path)
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])["__metadata__"][HEADER]
        return load(content), json.loads(header)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise HandboneError(
            f"{path}: not a checkpoint of handbone, or cut off ({type(error).__name__}); "
            "use another one, or train again."
        ) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a checkpoint, which names the weights in a store."""
    return digest(read_bytes(path))


def own_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a model without second names for one tensor, which safetensors refuses.

    (dynamic-network-architectures registers its convolutions twice.)
    """
    state = model.state_dict()
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor for name, tensor in named if name in state}


def restore_tensors(model: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Load what `own_tensors` gave into a model of the same shape.

    Raises:
        HandboneError: a tensor is missing, is too much, or has another shape.
    """
    expected = own_tensors(model)
    for name in sorted(expected.keys() | tensors.keys()):
        here, there = expected.get(name), tensors.get(name)
        if here is None or there is None or here.shape != there.shape:
            shapes = [str(tuple(t.shape)) if t is not None else "absent" for t in (there, here)]
            raise HandboneError(
                f"{source}: is of another network than its recipe builds: {name} is {shapes[0]} in "
                f"the file and {shapes[1]} in the network."
            )
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(tensors[name])
