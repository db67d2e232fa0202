"""The one boundary to NVML (nvidia-ml-py): what GPUs there are and how they are, read without raising."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

from platform_core.hosts.devices import Gpu, GpuProcess

DRIVER = Path("/proc/driver/nvidia/version")
MILLI = 1000.0
_begun: list[bool] = []
_alone = RLock()  # sampler and queue are threads of one process


def read_gpus() -> tuple[tuple[Gpu, ...], str]:
    """All GPUs that answer, and in NVML's words why some or all do not; both empty where there is no driver.

    A process keeps NVML open from the first call on; after trouble the next call begins anew.
    """
    with _alone:
        return _read_gpus()


def _read_gpus() -> tuple[tuple[Gpu, ...], str]:
    nvml = _begin()
    if isinstance(nvml, str):
        return (), nvml
    found, troubles = [], []
    try:
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                found.append(_gpu(nvml, index))
            except nvml.NVMLError as error:
                troubles.append(f"GPU {index}: {error}")
    except Exception as error:  # a broken library may raise anything; the rest of the host is still to be read
        troubles.append(str(error))
    if troubles:
        close()
    return tuple(found), "; ".join(troubles)


def versions() -> tuple[str, int]:
    """The driver's version, and the newest CUDA that it runs as 1000 * major + 10 * minor; ("", 0) without a driver."""
    with _alone:
        nvml = _begin()
        if isinstance(nvml, str):
            return "", 0
        try:
            return _words(nvml.nvmlSystemGetDriverVersion()), int(nvml.nvmlSystemGetCudaDriverVersion_v2())
        except nvml.NVMLError:
            return "", 0


def capability() -> tuple[int, int] | None:
    """The highest compute capability of the GPUs, as (major, minor); None where none tells."""
    with _alone:
        nvml = _begin()
        if isinstance(nvml, str):
            return None
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            found = [nvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
        except nvml.NVMLError:
            return None
        return max(((int(major), int(minor)) for major, minor in found), default=None)


def close() -> None:
    """Let NVML go; the next call opens it again."""
    import pynvml

    with _alone:
        if _begun:
            _begun.clear()
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()


def _begin() -> Any:
    """The library, or why it can't be used: empty where there is no driver at all."""
    import pynvml

    if not _begun:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            absent = error.value in (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
            return "" if absent and not DRIVER.exists() else str(error)
        except OSError as error:
            return str(error)
        _begun.append(True)
    return pynvml


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def told(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION):
                return None
            raise

    memory = told(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    rates = told(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    temperature = told(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    power = told(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    limit = told(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    held: dict[int, int | None] = {}
    for read in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in told(lambda read=read: read(handle)) or ():  # type: ignore[misc]
            used = process.usedGpuMemory
            held[int(process.pid)] = held.get(int(process.pid)) if used is None else int(used)
    return Gpu(
        uuid=_words(nvml.nvmlDeviceGetUUID(handle)),
        index=index,
        name=_words(nvml.nvmlDeviceGetName(handle)),
        memory_total=0 if memory is None else int(memory.total),
        memory_used=0 if memory is None else int(memory.used),
        utilization=None if rates is None else float(rates.gpu),
        temperature=None if temperature is None else float(temperature),
        power=None if power is None else power / MILLI,
        power_limit=None if limit is None else limit / MILLI,
        processes=tuple(GpuProcess(pid, used) for pid, used in sorted(held.items())),
    )


def _words(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
