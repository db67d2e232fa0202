"""Why a trainer of verl failed, from the end of what it wrote."""

from __future__ import annotations

import re

from platform_core.errors import Problem

CLUSTER_DIED = re.compile(
    r"(its|The|the) (worker process|node|actor|owner)[^.]{0,40} (has )?died|NodeDiedError|LocalRayletDiedError|"
    r"ActorUnavailableError|raylet.{0,60}(died|exited|killed)|node was marked dead|"
    r"GCS.{0,60}(died|unavailable|not reachable|failed)|GCS may have been killed|Failed to connect to GCS within",
)
PORT_TAKEN = re.compile(r"[Aa]ddress already in use|Failed to bind|port .{0,20}(is already|in use)|EADDRINUSE")
MISSING = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'")
MEMORY = re.compile(r"OutOfMemoryError|CUDA out of memory|MemoryError|Cannot allocate memory")
"""Not the mere mention of memory: Ray lists it among the possible reasons of whatever died."""
DISK = re.compile(r"No space left on device|Disk quota exceeded")
NO_CLUSTER = re.compile(
    r"Could not find any running Ray instance|Failed to connect to the Ray cluster|ConnectionError: Could not|"
    r"RuntimeError: Failed to connect to GCS\."
)
SLOW_START = re.compile(r"The current node timed out during startup")
RESOURCES = re.compile(r"Total available GPUs (\S+) is less than total desired GPUs (\S+)")
TORCHRUN = "torch.distributed.elastic"
"""What torchrun says of the process that failed: not why."""
ERROR = re.compile(
    r"^(?:\S*(?:Error|Exception|Problem)\b[:(]).*|.*\b(?:AssertionError|ValueError|RuntimeError|KeyError)\b:?.*"
)


def failure(lines: list[str], code: int) -> Problem:
    """The sentence for a trainer that failed, from the end of what it wrote."""
    text = "\n".join(lines)
    if found := MISSING.search(text):
        return Problem(
            "The interpreter of this job has no {package}: install it there, or choose another environment.",
            fields=("environment",),
            package=found[1],
        )
    if DISK.search(text):
        return Problem(
            "No space left on the disk: free some, then start the job again; it goes on from its checkpoint."
        )
    if PORT_TAKEN.search(text):
        return Problem(
            "Ray could not start: a port that it needs is taken by another program. Start the job again; if it "
            "repeats, end the other Ray on this machine or give its address as Ray cluster."
        )
    if SLOW_START.search(text):
        return Problem(
            "Ray did not start in time: the machine is too busy, or one of Ray's processes can't run here. Start the "
            "job again when there is less to do; the log says more."
        )
    if NO_CLUSTER.search(text):
        return no_cluster()
    if found := RESOURCES.search(text):
        return Problem(
            "The Ray cluster has {there} GPUs, the job asks for {asked}: take fewer GPUs or nodes.",
            fields=("gpus", "nodes"),
            there=found[1],
            asked=found[2],
        )
    if MEMORY.search(text):
        return Problem(
            "Memory ran out in a process of verl: take a smaller batch, less memory for rollouts, or offload weights "
            "and optimizer."
        )
    if CLUSTER_DIED.search(text):
        return Problem(
            "Ray or one of its workers died while the job ran: start the job again, it goes on from its last "
            "checkpoint. The log says which process it was."
        )
    told = [line for line in lines if ERROR.match(line.strip()) and TORCHRUN not in line]
    line = (told or lines or [""])[-1]
    return Problem(
        "verl ended with exit code {code}: {line}. The log has the details.", code=code, line=line.strip()[:300]
    )


def no_cluster() -> Problem:
    """That there is no Ray at the address that the job names."""
    return Problem(
        "The Ray cluster does not answer at its address: start it, or leave the address empty for a Ray of the "
        "job's own.",
        fields=("ray_address",),
    )
