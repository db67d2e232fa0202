"""In which state a job ends, and why, from what its runner left behind."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_core.errors import Text, text
from platform_core.jobs.states import State

ERROR_LINE = re.compile(
    r"\w(Error|Exception|Interrupt)\b|\b(ERROR|CRITICAL|FATAL|[Ff]atal|error:)|could not|No space left"
)
LOG_TAIL = 65_536


@dataclass(frozen=True)
class Exit:
    """How a runner's process ended: its exit code or the signal that ended it; both None when nobody saw it."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    rebooted: bool = False


@dataclass(frozen=True)
class Outcome:
    """The state that is true, the sentence for it, and the runner's own result when it left one."""

    state: State
    reason: Text | None
    result: dict[str, Any] | None = None


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
) -> Outcome:
    """Judge an attempt none of whose processes lives.

    `result` is the attempt's own result.json (None when it left none); `killed_after` the seconds of grace after which
    the supervisor ended it by force; `has_checkpoint` whether the job has a whole one to go on from.
    """
    if result is not None:
        return _by_result(state, result, has_output, stopped_by)
    if state == "stopping":
        return Outcome("stopped", _stopped_without_result(stopped_by, killed_after, has_checkpoint))
    return Outcome("failed", _cause(ended, error_line, has_checkpoint))


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
