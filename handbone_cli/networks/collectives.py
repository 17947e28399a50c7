"""What the processes of one run tell one another: sums, gradients, objects, and that all are well.

Nothing here does anything in a run of one process. Gradients are averaged after the backward pass,
not during it as torch's DistributedDataParallel does: a process that runs out of memory in the
middle can then still say so, and all go on with smaller batches, where DDP's others would wait for
ever. The order of the sums is the same in every step, so that a resumed run keeps its bits.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import distributed

from handbone_cli.errors import HandboneError, LostRankError
from handbone_cli.networks.sharding import is_sharded
from handbone_cli.ranks import rank_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import nn

Item = TypeVar("Item")
Network = TypeVar("Network", bound=torch.nn.Module)

PATIENCE = timedelta(hours=12)
"""For a process that is slower; one that is gone is noticed at once, its connection is closed."""
BUCKET = 2**25
"""Bytes of gradients that are averaged at a time."""
_control: list[distributed.ProcessGroup] = []


class OutOfMemoryElsewhereError(Exception):
    """Another process of the run has no memory for its part of the batch."""


def join_ranks() -> None:
    """Meet the other processes of the run and take a device each, through Accelerate.

    Raises:
        HandboneError: they do not come.
    """
    if rank_count() == 1 or _control:
        return
    from accelerate import PartialState

    devices, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if 0 < devices <= here:
        raise HandboneError(
            f"this machine has {devices} GPUs, and torchrun started process {here + 1} on it; "
            "lower --nproc-per-node."
        )
    backend = {} if devices else {"backend": "gloo"}
    with _companions():
        try:
            PartialState(cpu=not devices, **backend, timeout=PATIENCE)
        except NotImplementedError as error:  # what a pair of GPUs cannot do, and the way out
            raise HandboneError(str(error)) from error
        # What is said here must not wait for a GPU's stream, nor be lost in one that hangs.
        _control.append(cast("Any", distributed.new_group(backend="gloo", timeout=PATIENCE)))


def leave_ranks() -> None:
    """Let the others go; a process that has failed leaves without a word."""
    if _control:
        _control.clear()
        with contextlib.suppress(RuntimeError):
            distributed.destroy_process_group()


def agree(values: Sequence[float] = (), *, well: bool = True) -> list[float]:
    """Meet all processes and sum some figures (3 at most) over them.

    Every meeting begins so. A process without memory comes to whichever is next to say it is not
    well, and all hear of it at the same place.

    Raises:
        OutOfMemoryElsewhereError: somebody is not well.
        LostRankError: somebody is gone.
    """
    if not _control:
        return list(values)
    told = torch.zeros(4, dtype=torch.float64)
    told[1 : 1 + len(values)] = torch.tensor(list(values), dtype=torch.float64)
    told[0] = 0.0 if well else 1.0
    with _companions():
        distributed.all_reduce(told, group=_control[0])
    if told[0] > 0:
        raise OutOfMemoryElsewhereError
    return cast("list[float]", told[1 : 1 + len(values)].tolist())


def tell_out_of_memory() -> None:
    """Say so at the others' next meeting; returns once all know."""
    with contextlib.suppress(OutOfMemoryElsewhereError):
        agree(well=False)


def add_to_shared(name: str, number: int) -> int | None:
    """Add to a count that all processes have in common and ask nobody to wait; gives the sum.

    None where there is one process.

    Raises:
        LostRankError: the first process is gone.
    """
    if not _control:
        return None
    with _companions():
        shared = distributed.distributed_c10d._get_default_store()  # noqa: SLF001  it has no public name
        return int(shared.add(name, number))


def any_rank(*flags: bool) -> list[bool]:
    """Whether each flag is up in any process."""
    return [count > 0 for count in agree([float(flag) for flag in flags])]


def mean_over_ranks(value: float) -> float:
    """The mean of a figure."""
    return agree([value])[0] / rank_count() if _control else value


def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor of one shape over all processes of the run, with its gradient.

    For losses of sums over a batch, such as Dice: each process has a part of the batch, calls this
    with its sums, in the same order as the others, and gets those of the whole batch. The tensor
    itself where there is one process.
    """
    summed: torch.Tensor = _Sum.apply(tensor) if _control else tensor
    return summed


class _Sum(torch.autograd.Function):
    """The parameters' gradients are averaged in the end: each gets the sum of what all ask for."""

    @staticmethod
    def forward(_ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        return _summed(tensor)

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _summed(gradient)


def _summed(tensor: torch.Tensor) -> torch.Tensor:
    agree()
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    with _companions():
        distributed.all_reduce(total)
    return total


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Put the mean over all processes into every gradient, bucket after bucket.

    A parameter that the loss did not reach here counts as 0: it may have in another process. One
    that is spread over the processes has had its mean taken in the backward pass.
    """
    if not _control:
        return
    whole = [each for each in parameters if each.requires_grad and not is_sharded(each)]
    for bucket in _buckets(whole):
        for each in bucket:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        gradients = [cast("torch.Tensor", each.grad) for each in bucket]
        flat = torch.cat([each.reshape(-1) for each in gradients])
        with _companions():
            distributed.all_reduce(flat)
        flat /= rank_count()
        parts = torch.split(flat, [each.numel() for each in gradients])
        torch._foreach_copy_(
            gradients, [part.view_as(each) for part, each in zip(parts, gradients, strict=True)]
        )


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Runs of parameters of one type, of so many bytes or a single one."""
    bucket: list[nn.Parameter] = []
    size = 0
    for each in parameters:
        more = each.numel() * each.element_size()
        if bucket and (size + more > BUCKET or each.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(each)
        size += more
    if bucket:
        yield bucket


def start_alike(model: nn.Module) -> None:
    """Give every process the weights and buffers of the first one."""
    if not _control:
        return
    for tensor in [*model.parameters(), *model.buffers()]:
        with _companions(), torch.no_grad():
            distributed.broadcast(tensor, 0)


def synchronise_batchnorm(model: Network, device: torch.device) -> Network:
    """Normalise over the batch of all processes, by torch's SyncBatchNorm; weights stay.

    Raises:
        HandboneError: several processes without GPUs, for which torch has none.
    """
    if not _control:
        return model
    if device.type == "cpu":
        raise HandboneError(
            "train.sync_batchnorm: PyTorch has SyncBatchNorm for GPUs alone; set it to false, or "
            "train in one process."
        )
    convert: Any = torch.nn.SyncBatchNorm.convert_sync_batchnorm
    return cast("Network", convert(model))


def gather(items: Sequence[Item]) -> list[Item]:
    """The results of all processes for a list that `ranks.share` dealt out, in its order."""
    parts = _of_all(items)
    total = sum(len(part) for part in parts)
    return [parts[place % len(parts)][place // len(parts)] for place in range(total)]


def collect(items: Sequence[Item]) -> list[Item]:
    """What all processes have, one after another."""
    return [item for part in _of_all(items) for item in part]


def _of_all(items: Sequence[Item]) -> list[list[Item]]:
    """The lists of all processes; they trust one another, for this pickles."""
    if not _control:
        return [list(items)]
    parts: list[list[Item]] = [[] for _ in range(rank_count())]
    agree()
    with _companions():
        distributed.all_gather_object(parts, list(items), group=_control[0])
    return parts


@contextlib.contextmanager
def _companions() -> Iterator[None]:
    """Tell of lost connections in a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LostRankError(
            f"another of the {rank_count()} processes of the run is gone, or cannot be reached; "
            "what was computed is kept: run the same command again, a training with --resume."
        ) from error
