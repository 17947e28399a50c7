"""Files of torch.save: their tensors and nothing else, for no class in one is ever unpickled."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from handbone_cli.errors import HandboneError
from handbone_cli.files import explain
from handbone_cli.networks.nnunet_names import as_handbone_names
from handbone_cli.networks.tensor_names import COMPILED, COUNTERS, common_prefix
from handbone_cli.networks.weights import is_safetensors

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "mmengine.logging.history_buffer.HistoryBuffer",
)
"""What nnU-Net, timm and mmengine keep beside the weights. It is stepped over: an empty object of
ours stands for each, and the class itself is never called."""
CLASS_LISTS = ("class_names", "classes", "CLASSES")
MODULES = b"ctorch.nn.modules."
"""How a pickle names a layer's class."""
HEAD = 2**22
SAVE = "torch.save(model.state_dict(), 'weights.pt')"
DEEPEST = 4


class _Skipped:
    """Stands for what is stepped over."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> Any:
        return object.__new__(cls)

    def __setstate__(self, _state: Any) -> None:
        """Forget it."""


@dataclass(frozen=True)
class LegacyWeights:
    """The weights of a file of torch.save.

    Attributes:
        tensors: by name, without the prefixes of wrappers, each once.
        key: where in the file they were, dotted; '' where the file is nothing else.
        prefix: what was taken from the beginning of every name.
        second_names: how many names were left out, each of a tensor that has another one.
        skipped: how many entries beside them were no tensors.
        class_names: the classes, where the file has a list of them.
    """

    tensors: dict[str, torch.Tensor]
    key: str
    prefix: str
    second_names: int
    skipped: int
    class_names: tuple[str, ...] | None


def read_legacy_weights(path: Path, key: str | None = None) -> LegacyWeights:
    """The weights of a checkpoint, mapped from the disk where its format allows.

    Args:
        path: a file of torch.save.
        key: which weights, where there are several: `model_ema`, or dotted, `ema.state_dict`.

    Raises:
        HandboneError: no such file, none of torch.save, one that holds classes, no weights, or
            several without a key.
    """
    content = _load(path)
    found = dict(_state_dicts(content))
    chosen = _choose(path, content, found, key)
    state = found[chosen]
    named = {str(name): value for name, value in state.items() if _is_weight(name, value)}
    if len({name.replace(COMPILED, "") for name in named}) == len(named):
        named = {name.replace(COMPILED, ""): tensor for name, tensor in named.items()}
    prefix = common_prefix(named)
    plain = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    once = _without_shared(as_handbone_names(plain))
    return LegacyWeights(
        tensors=once,
        key=chosen,
        prefix=prefix,
        second_names=len(plain) - len(once),
        skipped=len(state) - len(named),
        class_names=_class_names(content),
    )


def _load(path: Path) -> Any:
    is_zip = _require_checkpoint(path)
    holders = [_holder(name) for name in PLAIN]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(holders):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except OSError as error:
        raise explain(error, path, "read it") from error
    except Exception as error:  # noqa: BLE001  a broken pickle raises anything
        _explain_load(path, error, is_zip=is_zip)


def _holder(full_name: str) -> Any:
    module, _, name = full_name.rpartition(".")
    return type(name, (_Skipped,), {"__module__": module, "__qualname__": name})


def _require_checkpoint(path: Path) -> bool:
    """Whether a file is a zip archive; one sentence if it is nothing that torch.save writes."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise explain(error, path, "read it") from error
    if not start:
        raise HandboneError(f"{path}: empty; use another file.")
    if is_safetensors(start):
        raise HandboneError(f"{path}: a safetensors file already; use it as it is.")
    if start[:1] == b"\x80":
        return False
    if not start.startswith(b"PK"):
        raise HandboneError(f"{path}: not a file of torch.save; expected a .pt, .pth or .ckpt.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise HandboneError(f"{path}: cut off; copy or download it again.") from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise HandboneError(
            f"{path}: a TorchScript archive, which is a program and is not read; save the weights "
            f"alone where it was made: {SAVE}."
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise HandboneError(f"{path}: a zip archive, but not of torch.save.")
    return True


def _explain_load(path: Path, error: Exception, *, is_zip: bool) -> NoReturn:
    refused = re.search(r"GLOBAL ([\w.]+)", str(error))
    if refused is None:
        raise HandboneError(
            f"{path}: cut off, or not a file of torch.save; copy or download it again."
        ) from error
    whole = "a whole network, pickled" if _holds_layers(path, is_zip=is_zip) else ""
    raise HandboneError(
        f"{path}: holds {whole or f'a pickled {refused[1]}'}, which could run any program and is "
        f"not read; save the weights alone where it was made: {SAVE}."
    ) from error


def _holds_layers(path: Path, *, is_zip: bool) -> bool:
    if not is_zip:
        with path.open("rb") as file:
            return MODULES in file.read(HEAD)
    with zipfile.ZipFile(path) as archive:
        name = next(each for each in archive.namelist() if each.endswith("data.pkl"))
        with archive.open(name) as file:
            return MODULES in file.read(HEAD)


def _is_weight(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor) and name not in COUNTERS


def _state_dicts(
    content: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every table of a checkpoint that holds weights, by its dotted key; not an optimizer's."""
    if not isinstance(content, Mapping) or len(path) > DEEPEST or "param_groups" in content:
        return
    weights = {n: v for n, v in content.items() if _is_weight(n, v) and v.ndim > 0}
    inner = [
        each
        for name, value in content.items()
        if isinstance(name, str)
        for each in _state_dicts(value, (*path, name))
    ]
    # Names of a network's weights are dotted; a lone tensor beside its table is something else.
    if weights and (not inner or any("." in name for name in weights)):
        yield ".".join(path), content
    else:
        yield from inner


def _choose(
    path: Path, content: Any, found: Mapping[str, Mapping[Any, Any]], key: str | None
) -> str:
    """The key of the weights that are meant."""
    counts = {
        each: sum(_is_weight(*pair) for pair in state.items()) for each, state in found.items()
    }
    listed = ", ".join(
        f"{each or 'the whole file'} ({count} tensor{'s' if count > 1 else ''})"
        for each, count in counts.items()
    )
    if not found:
        tables = [content, *(content.values() if isinstance(content, Mapping) else ())]
        optimizer = any(isinstance(each, Mapping) and "param_groups" in each for each in tables)
        what = "the state of an optimizer and no weights" if optimizer else "no weights"
        raise HandboneError(
            f"{path}: holds {what}; expected a state dict, alone or in a table of a checkpoint."
        )
    if key is not None and key not in found:
        raise HandboneError(f"{path}: has no weights under --key {key}; there are {listed}.")
    if key is None and len(found) > 1:
        raise HandboneError(f"{path}: holds weights in several places, {listed}; choose by --key.")
    return next(iter(found)) if key is None else key


def _without_shared(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One name for each piece of memory, the first, as torch itself counts parameters."""
    seen: set[tuple[Any, ...]] = set()
    kept = {}
    for name, tensor in tensors.items():
        memory = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and memory in seen:
            continue
        seen.add(memory)
        kept[name] = tensor
    return kept


def _class_names(content: Any, depth: int = 0) -> tuple[str, ...] | None:
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return None
    for key in CLASS_LISTS:
        names = content.get(key)
        if isinstance(names, (list, tuple)) and names and all(isinstance(n, str) for n in names):
            return tuple(names)
    inner = (_class_names(value, depth + 1) for value in content.values())
    return next((names for names in inner if names), None)
