"""What the processes of one training must agree on; without others each of these is what this process says."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed


def several() -> bool:
    """Whether other processes train with this one."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def of_first(value: int) -> int:
    """The number that rank 0 says."""
    if not several():
        return value
    shared = _tensor(value)
    distributed.broadcast(shared, 0)
    return int(shared.item())


def any_of(flag: bool) -> bool:
    """Whether one of the processes says yes."""
    if not several():
        return flag
    shared = _tensor(int(flag))
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return bool(shared.item())


def summed(values: list[float]) -> list[float]:
    """The sums over all processes."""
    if not several():
        return values
    shared = torch.tensor(values, dtype=torch.float64, device=_device())
    distributed.all_reduce(shared)
    return [float(v) for v in shared.tolist()]


def wait() -> None:
    """Go on when all processes have come here."""
    if several():
        distributed.barrier()


def do(act: Callable[[], None]) -> None:
    """Do something in every process; when it fails in one, all raise, so that none waits for the others."""
    error: Exception | None = None
    try:
        act()
    except Exception as found:
        error = found
    if any_of(error is not None):
        raise error or OSError(errno.EIO, "another process of the training could not write its part")


def whole_weights(model: Any) -> None:
    """Put the weights that FSDP has split over the processes together again, in every process."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            full = getattr(parameter.data, "full_tensor", None)
            if full is not None:
                module.register_parameter(name, torch.nn.Parameter(full().cpu(), parameter.requires_grad))


def _tensor(value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64, device=_device())


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
