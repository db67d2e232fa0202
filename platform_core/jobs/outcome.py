"""In which state a job ends, and why, from what its runner left behind."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from platform_core.durations import exact
from platform_core.errors import Text, text
from platform_core.jobs.retry import Cause
from platform_core.jobs.states import State

ERROR_LINE = re.compile(
    r"\w(Error|Exception|Interrupt)\b|\b(ERROR|CRITICAL|FATAL|[Ff]atal|error:)|could not|No space left"
)
LOG_TAIL = 65_536
DISK_FULL = re.compile(r"No space left|disk is full|Disk quota", re.I)
OUT_OF_MEMORY = re.compile(r"^Memory ran out|OutOfMemoryError|MemoryError|[Oo]ut of memory")
GPU_LOST = re.compile(
    r"fallen off the bus|GPU is lost|uncorrectable ECC|no CUDA-capable device|CUDA-capable device\(s\) is/are busy|"
    r"unspecified launch failure|CUDA driver initialization failed|CUDA unknown error"
)
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class Exit:
    """How a runner's process ended: its exit code or the signal that ended it; both None when nobody saw it."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    rebooted: bool = False


@dataclass(frozen=True)
class Outcome:
    """The state that is true, the sentence for it, the runner's own result when it left one, and why it failed."""

    state: State
    reason: Text | None
    result: dict[str, Any] | None = None
    cause: Cause | None = None


def outcome(
    state: State,
    ended: Exit,
    result: dict[str, Any] | None,
    *,
    has_output: bool,
    has_checkpoint: bool = False,
    error_line: str = "",
    stopped_by: str = "",
    killed_after: float | None = None,
    time_limit: float | None = None,
    gpus: Literal["none", "ours", "shared"] = "none",
) -> Outcome:
    """Judge an attempt none of whose processes lives.

    `result` is the attempt's own result.json (None when it left none); `killed_after` the seconds of grace after which
    the supervisor ended it by force; `has_checkpoint` whether the job has a whole one to go on from; `time_limit` in
    seconds, when the supervisor stopped it for that; `gpus` whether it had any, and other programs were on them.
    """
    found = _judge(state, ended, result, has_output, has_checkpoint, error_line, stopped_by, killed_after)
    if found.state == "stopped" and time_limit is not None:
        return replace(found, reason=_at_the_limit(time_limit, result, has_checkpoint), cause="time_limit")
    if found.state == "failed":
        return replace(found, cause=cause_of(ended, result, found.reason, error_line, gpus))
    return found


def _judge(
    state: State,
    ended: Exit,
    result: dict[str, Any] | None,
    has_output: bool,
    has_checkpoint: bool,
    error_line: str,
    stopped_by: str,
    killed_after: float | None,
) -> Outcome:
    if result is not None and not (ended.rebooted and result.get("status") == "stopped" and state != "stopping"):
        return _by_result(state, result, has_output, stopped_by)
    if state == "stopping":
        return Outcome("stopped", _stopped_without_result(stopped_by, killed_after, has_checkpoint))
    return Outcome("failed", _cause(ended, error_line, has_checkpoint), result)


def cause_of(
    ended: Exit,
    result: dict[str, Any] | None,
    reason: Text | None,
    error_line: str,
    gpus: Literal["none", "ours", "shared"] = "none",
) -> Cause:
    """Why an attempt failed, in one word; the runner's own sentence and the end of its log tell what it did not say."""
    if ended.rebooted:
        return "rebooted"
    said = str(reason) if result is not None and reason is not None else error_line
    if ended.out_of_memory:
        return "out_of_memory"
    if DISK_FULL.search(said):
        return "disk_full"
    if GPU_LOST.search(said):
        return "gpu_lost"
    if OUT_OF_MEMORY.search(said):
        words: dict[str, Cause] = {"none": "out_of_memory", "ours": "gpu_out_of_memory", "shared": "gpu_taken"}
        return words[gpus]
    if result is not None:
        return "killed" if said.startswith("The runner was interrupted") else "error"
    if ended.signal is None:
        return "killed" if ended.code is None else "error"
    return "killed" if ended.signal in FROM_OUTSIDE else "crashed"


def _at_the_limit(limit: float, result: dict[str, Any] | None, saved: bool) -> Text:
    step = (result or {}).get("step")
    if step:
        return text(
            "Stopped at its time limit of {limit} after step {step}: start it again to give it the same time once "
            "more, {onward}; or clone it with another limit.",
            limit=exact(limit),
            step=step,
            onward=onward(saved),
        )
    return text(
        "Stopped at its time limit of {limit}: start it again to give it the same time once more, {onward}; or clone "
        "it with another limit.",
        limit=exact(limit),
        onward=onward(saved),
    )


def onward(has_checkpoint: bool) -> Text:
    """How a job goes on when it is started again."""
    if has_checkpoint:
        return text("it goes on from its last whole checkpoint")
    return text("it begins anew, since it had saved no checkpoint")


def has_checkpoint(job_folder: Path) -> bool:
    """Whether a job has a whole checkpoint: they get their name when they are whole, and not before."""
    return any(place.is_dir() for place in (job_folder / "checkpoints").glob("step-*"))


def _by_result(state: State, result: dict[str, Any], has_output: bool, stopped_by: str) -> Outcome:
    status, step = result.get("status"), result.get("step") or 0
    if status == "completed" and (has_output or not result.get("output")):
        return Outcome("completed", None, result)
    if status == "completed":
        return Outcome("failed", text("It finished, but its output is gone: start it again."), result)
    if status == "paused" and state != "stopping":
        return Outcome("paused", text("Paused after step {step}.", step=step), result)
    if status in ("stopped", "paused") and state == "stopping":
        return Outcome("stopped", text("Stopped by {who} after step {step}.", who=stopped_by, step=step), result)
    if status == "stopped":
        reason = text(
            "A signal from outside asked the runner to stop after step {step}: start the job again to go on.", step=step
        )
        return Outcome("stopped", reason, result)
    error = result.get("error")
    reason = Text.from_json(error) if error else text("The runner failed without a sentence: its log has the details.")
    return Outcome("failed", reason, result)


def _stopped_without_result(stopped_by: str, killed_after: float | None, saved: bool) -> Text:
    if killed_after is None:
        return text(
            "Stopped by {who} before it could save; started again, {onward}.", who=stopped_by, onward=onward(saved)
        )
    return text(
        "Stopped by {who}; it did not end within {seconds:g} seconds and was killed; started again, {onward}.",
        who=stopped_by,
        seconds=killed_after,
        onward=onward(saved),
    )


def _cause(ended: Exit, error_line: str, saved: bool) -> Text:
    if ended.rebooted:
        return text(
            "The machine was started anew while the job ran: start the job again; {onward}.", onward=onward(saved)
        )
    if ended.out_of_memory:
        return text(
            "The machine ran out of memory and its kernel killed the runner: take a smaller batch size or sequence "
            "length, or close other programs, then start the job again."
        )
    if ended.signal == signal.SIGKILL or (ended.signal is None and ended.code is None):
        return text("The runner was killed from outside: start the job again; {onward}.", onward=onward(saved))
    if ended.signal == signal.SIGSEGV:
        return text(
            "The runner crashed with a segmentation fault (SIGSEGV), an error in native code: "
            "the end of its log says where; start it again, or change the library's version."
        )
    if ended.signal is not None:
        return text(
            "The runner was ended by the signal {signal}: start the job again; {onward}.",
            signal=_name(ended.signal),
            onward=onward(saved),
        )
    if error_line:
        return text(
            "The runner ended with exit code {code}: {line}. Its log has the details.",
            code=ended.code,
            line=error_line.rstrip("."),
        )
    return text("The runner ended with exit code {code} and left no result: its log has the details.", code=ended.code)


def last_error_line(log: Path) -> str:
    """The last line of a log that looks like an error, at most 300 characters; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL))
            lines = file.read(LOG_TAIL).decode(errors="replace").splitlines()
    except OSError:
        return ""
    found = next((line for line in reversed(lines) if ERROR_LINE.search(line)), "")
    return "".join(c for c in found if c.isprintable()).strip()[:300]


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
