"""What the libraries leave alone while they are imported: CUDA, which is broken in every fork of a process that began
it, and torch's compiler, which they would load for nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from platform_core.hosts import nvml


@contextmanager
def cuda_untouched() -> Iterator[None]:
    """Imports inside leave CUDA alone.

    bitsandbytes asks each GPU for its compute capability when it is imported (`get_cuda_specs`; peft imports it), and
    torch begins CUDA to answer. Here NVML answers, with the highest of the machine, which is all that is asked for.
    """
    import torch

    asked = torch.cuda.get_device_capability

    def told(device: Any = None) -> tuple[int, int]:
        return nvml.capability() or asked(device)

    torch.cuda.get_device_capability = told
    try:
        yield
    finally:
        torch.cuda.get_device_capability = asked
        nvml.close()


@contextmanager
def compiler_untouched() -> Iterator[None]:
    """Imports inside compile nothing.

    bitsandbytes gives two functions to `torch.compile` at its import, which loads Inductor: a sixth of all that a
    training imports, for kernels of which CPUs and CUDA have better ones.
    """
    import torch

    compiling: Any = torch.compile

    def as_it_is(function: Any = None, **_how: Any) -> Any:
        return function if function is not None else as_it_is

    torch.compile = as_it_is
    try:
        yield
    finally:
        torch.compile = compiling


def forks_have_cuda() -> bool:
    """Whether forks of this process can begin CUDA; found out by a fork."""
    torch = sys.modules.get("torch")
    if torch is None:
        return True
    pid = os.fork()
    if pid == 0:
        os._exit(int(torch.cuda._is_in_bad_fork()))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
