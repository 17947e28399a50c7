"""A model spread over the processes of a run, each with a part of every weight (FSDP).

For models whose optimizer state, gradients and activations do not fit on one device. Weights are
brought together block by block when they are needed. Rajbhandari et al. 2020, arXiv:1910.02054;
torch's fully_shard does the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from handbone_cli.networks.recompute import blocks
from handbone_cli.ranks import rank_count

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli.networks.wrapper import Segmenter

Network = TypeVar("Network", bound="Segmenter")


def shard_model(model: Network) -> Network:
    """Spread a model on its device over all processes, which must have the same weights."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(model.bias.device.type, (rank_count(),))
    for block in blocks(model.core):
        block.register_forward_hook(_own_memory)
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _own_memory(_block: nn.Module, _inputs: Any, output: Any) -> Any:
    """What a block gives, copied if it is a view: changed in place it would lose FSDP's hooks."""
    is_view = isinstance(output, torch.Tensor) and output._is_view()  # noqa: SLF001  FSDP asks so
    return output.clone() if is_view else output


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether this process has only a part of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor, on the CPU where parts had to be brought together.

    Every process must ask for the same tensors in the same order.
    """
    if not is_sharded(tensor):
        return tensor
    return cast("torch.Tensor", cast("Any", tensor).full_tensor().detach().cpu())


def part_like(content: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of some content, for a tensor that it goes into; all of it for others."""
    if not is_sharded(tensor):
        return content
    from torch.distributed.tensor import distribute_tensor

    spread = cast("Any", tensor)
    return distribute_tensor(content.to(tensor.device), spread.device_mesh, spread.placements)


def spread_state(optimizer: torch.optim.Optimizer) -> None:
    """Give the state that an optimizer was given back the form of its parameters."""
    parameters: list[nn.Parameter] = [
        each for group in optimizer.param_groups for each in group["params"]
    ]
    for parameter in parameters:
        state = optimizer.state[parameter]
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[key] = part_like(value, parameter)
