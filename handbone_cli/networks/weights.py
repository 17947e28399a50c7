"""Tensors on disk: safetensors with a JSON header, written whole or not at all; no pickle."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from handbone_cli.errors import HandboneError
from handbone_cli.files import atomic_write, explain, read_bytes
from handbone_cli.networks.sharding import part_like, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import nn

HEADER = "handbone"
DTYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What every release of safetensors that we allow reads, in the order in which its own writer
lays tensors down: the widest first, so that every one is aligned."""
ALIGNMENT = 8
HEAD = 9
LONGEST_TABLE = 100_000_000
"""Bytes that safetensors allows for the table of a file's tensors."""
PICKLED = (b"PK\x03\x04", b"\x80")
"""How a file of torch.save begins: a zip archive, or a pickle as before torch 1.6."""


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON-able header to one file, atomically, a tensor at a time.

    Raises:
        HandboneError: a tensor of a kind that safetensors does not hold.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES or tensor.layout is not torch.strided:
            kind = f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise HandboneError(
                f"{path}: {name} is {kind}, which safetensors does not hold; convert it first."
            )
    ranks = {dtype: rank for rank, dtype in enumerate(DTYPES)}
    order = sorted(tensors, key=lambda name: (ranks[tensors[name].dtype], name))
    table: dict[str, Any] = {"__metadata__": {HEADER: json.dumps(header)}}
    end = 0
    for name in order:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        shape = [int(side) for side in tensor.shape]
        table[name] = {"dtype": DTYPES[tensor.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(_content(tensors[name]))


def _content(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


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


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file of anyone, of which nothing but the table of its tensors is read.

    Attributes:
        path: the file.
        header: what `save_tensors` was given; {} in a file of another program.
        shapes: of its tensors, by name.
        dtypes: of its tensors, as safetensors calls them (F32, BF16, ...).
    """

    path: Path
    header: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes that the weights were trained for, where the file says them."""
        names = self.header.get("class_names")
        return tuple(map(str, names)) if isinstance(names, (list, tuple)) and names else None

    @property
    def weights(self) -> dict[str, str]:
        """Name of a weight -> of its tensor: all, but of a run's resumable state its model's."""
        state = {name[6:]: name for name in self.shapes if name.startswith("model/")}
        return state or {name: name for name in self.shapes}

    @property
    def parameters(self) -> int:
        """Numbers in its weights."""
        return sum(math.prod(self.shapes[name]) for name in self.weights.values())

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[str], torch.Tensor]]:
        """Name -> that tensor on the CPU, read when asked for."""
        with _opened(self.path) as file:
            yield file.get_tensor


def open_tensors(path: Path) -> TensorFile:
    """Open a safetensors file, whoever wrote it.

    Raises:
        HandboneError: missing, empty, cut off, of torch.save, or not safetensors.
    """
    with _opened(path) as file:
        names = sorted(file.keys())
        slices = {name: file.get_slice(name) for name in names}
        metadata = file.metadata() or {}
        try:
            header = json.loads(metadata.get(HEADER, "{}"))
        except ValueError:
            header = {}
        return TensorFile(
            path,
            header if isinstance(header, dict) else {},
            {name: tuple(each.get_shape()) for name, each in slices.items()},
            {name: str(each.get_dtype()) for name, each in slices.items()},
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            start = file.read(HEAD)
    except OSError as error:
        raise explain(error, path, "read it") from error
    if start.startswith(PICKLED) and not is_safetensors(start):
        raise HandboneError(
            f"{path}: a file of torch.save, and only safetensors are read; `hb weights import "
            f"{path}` makes one of it."
        )
    try:
        opened = safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        what = "empty" if not start else "not a safetensors file, or cut off"
        raise HandboneError(f"{path}: {what}; use another file.") from error
    with opened as file:
        yield file


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts so can be one: the length of a JSON table, and the table.

    The length's first byte may be any, also that of a pickle.
    """
    return start[8:HEAD] == b"{" and int.from_bytes(start[:8], "little") <= LONGEST_TABLE


def own_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a model without second names for one tensor, which safetensors refuses.

    (dynamic-network-architectures registers its convolutions twice.) Where the model is spread over
    several processes, all must call it.
    """
    return {name: whole(tensor) for name, tensor in _own(model).items()}


def _own(model: nn.Module) -> dict[str, torch.Tensor]:
    state = model.state_dict()
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor for name, tensor in named if name in state}


def restore_tensors(model: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Load what `own_tensors` gave into a model of the same shape.

    Raises:
        HandboneError: a tensor is missing, is too much, or has another shape.
    """
    expected = _own(model)
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
            tensor.copy_(part_like(tensors[name], tensor))
