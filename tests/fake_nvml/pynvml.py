"""A stand-in for nvidia-ml-py: put this folder first on PYTHONPATH. Read at each call from the JSON file in FAKE_NVML.

    {"error": "LIBRARY_NOT_FOUND", "driver": "570.1", "cuda": 12080, "gpus": [{"uuid": "GPU-0", "name": "NVIDIA H200",
      "memory_total": 0, "memory_used": 0, "utilization": 0, "temperature": 0, "power": 0, "power_limit": 0,
      "capability": [9, 0], "processes": [{"pid": 1, "memory": 0}], "error": "GPU_IS_LOST"}]}

A field that is null or missing is NOT_SUPPORTED; without a file there is no library. Memory in bytes, power in W.
"""

import json
import os
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
CODES = {
    "UNINITIALIZED": (1, "Uninitialized"),
    "NOT_SUPPORTED": (3, "Not Supported"),
    "NO_PERMISSION": (4, "Insufficient Permissions"),
    "DRIVER_NOT_LOADED": (9, "Driver Not Loaded"),
    "LIBRARY_NOT_FOUND": (12, "NVML Shared Library Not Found"),
    "GPU_IS_LOST": (15, "GPU is lost"),
    "LIB_RM_VERSION_MISMATCH": (18, "RM has detected an NVML/RM version mismatch."),
    "UNKNOWN": (999, "Unknown Error"),
}
for _name, (_code, _text) in CODES.items():
    globals()[f"NVML_ERROR_{_name}"] = _code
_inits = 0


class NVMLError(Exception):
    """What every call may raise; `value` is NVML's code."""

    def __init__(self, value):
        self.value = value
        super().__init__(value)

    def __str__(self):
        return next((text for code, text in CODES.values() if code == self.value), f"error {self.value}")


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


def _raise(name):
    kinds = {"LIBRARY_NOT_FOUND": NVMLError_LibraryNotFound, "NOT_SUPPORTED": NVMLError_NotSupported}
    raise kinds.get(name, NVMLError)(CODES[name][0])


def _state(started=True):
    try:
        with open(os.environ["FAKE_NVML"]) as file:
            state = json.load(file)
    except (KeyError, FileNotFoundError):
        _raise("LIBRARY_NOT_FOUND")
    if state.get("error"):
        _raise(state["error"])
    if started and not _inits:
        _raise("UNINITIALIZED")
    return state


def nvmlInit():
    global _inits
    _state(started=False)
    _inits += 1


def nvmlShutdown():
    global _inits
    if not _inits:
        _raise("UNINITIALIZED")
    _inits -= 1


def nvmlSystemGetDriverVersion():
    return _state().get("driver", "570.1")


def nvmlSystemGetCudaDriverVersion_v2():
    return _state().get("cuda", 12080)


def nvmlDeviceGetCount():
    return len(_state()["gpus"])


def nvmlDeviceGetHandleByIndex(index):
    gpu = _state()["gpus"][index]
    if gpu.get("error"):
        _raise(gpu["error"])
    return index


def _field(handle, name):
    gpu = _state()["gpus"][handle]
    if gpu.get("error"):
        _raise(gpu["error"])
    if gpu.get(name) is None:
        _raise("NOT_SUPPORTED")
    return gpu[name]


def nvmlDeviceGetUUID(handle):
    return _field(handle, "uuid")


def nvmlDeviceGetName(handle):
    return _field(handle, "name")


def nvmlDeviceGetCudaComputeCapability(handle):
    return tuple(_field(handle, "capability"))


def nvmlDeviceGetMemoryInfo(handle):
    total, used = _field(handle, "memory_total"), _field(handle, "memory_used")
    return SimpleNamespace(total=total, used=used, free=total - used)


def nvmlDeviceGetUtilizationRates(handle):
    return SimpleNamespace(gpu=_field(handle, "utilization"), memory=0)


def nvmlDeviceGetTemperature(handle, sensor):
    return _field(handle, "temperature")


def nvmlDeviceGetPowerUsage(handle):
    return round(_field(handle, "power") * 1000)


def nvmlDeviceGetEnforcedPowerLimit(handle):
    return round(_field(handle, "power_limit") * 1000)


def nvmlDeviceGetComputeRunningProcesses(handle):
    return [SimpleNamespace(pid=p["pid"], usedGpuMemory=p.get("memory")) for p in _field(handle, "processes")]


def nvmlDeviceGetGraphicsRunningProcesses(handle):
    return []
