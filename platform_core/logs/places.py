"""Where in a job's log a time or a training step is, by halving: a few blocks are read, however long the log is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from platform_core.errors import Problem
from platform_core.logs.file import LogFile
from platform_core.logs.lines import BLOCK
from platform_core.metrics.reader import Reader

STAMP = re.compile(rb"(?:^|\n)(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
STAMP_BYTES = 20
FARTHEST = 64 * 1024 * 1024
"""Bytes without a time that are looked through for the next one."""
ASKED = re.compile(
    r"\s*(?:(?:step|Step|步)?\s*(?P<step>\d+)|(?:(?P<day>\d{4}-\d\d?-\d\d?)[ T]*)?(?P<time>\d\d?:\d\d(?::\d\d)?)?)\s*"
)
STEPS_BETWEEN = 100_000
FORMAT = "%Y-%m-%d %H:%M:%S"


def find_place(path: Path, metrics: Path, asked: str) -> int:
    """The byte at which the line of a time or step begins: "12:31", "2026-05-01 12:31:05", "step 340" or "340".

    Times are those that the log itself tells. A time of day means the last one in the log. Raises OSError, and Problem
    for what is neither, or is not in the log.
    """
    found = ASKED.fullmatch(asked)
    if found is None or not any(found.groups()):
        raise Problem("“{asked}” is neither a time nor a step: write 12:31, 2026-05-01 12:31 or step 340.", asked=asked)
    with LogFile(path) as log:
        first = _stamp_after(log, 0, log.size)
        if first is None:
            raise Problem("No line of this log begins with its time, so it can't be searched for one.")
        if found["step"]:
            return _place_of(log, _time_of_step(metrics, int(found["step"])))
        try:
            moment = _moment(found["day"], found["time"] or "0:0", log, _datetime(first[1]))
        except ValueError as error:
            raise Problem("“{asked}” is no time: write it like 2026-05-01 12:31.", asked=asked) from error
        return _place_of(log, moment)


def _moment(day: str | None, time: str, log: LogFile, first: datetime) -> datetime:
    hour, minute, second = [*(int(part) for part in time.split(":")), 0][:3]
    if day is not None:
        year, month, date = map(int, day.split("-"))
        return datetime(year, month, date, hour, minute, second)  # noqa: DTZ001 (the log tells no zone)
    last = _last_stamp(log) or first
    moment = last.replace(hour=hour, minute=minute, second=second)
    while moment > last and moment - timedelta(days=1) >= first:
        moment -= timedelta(days=1)
    return moment


def _time_of_step(metrics: Path, step: int) -> datetime:
    with Reader(metrics) as run:
        steps, times = run.times(step, step + STEPS_BETWEEN)
    if not len(steps):
        raise Problem("Step {step} has not been reached in what this job has measured.", step=step)
    return datetime.fromtimestamp(float(times[0]))  # noqa: DTZ006 (as the log's own times)


def _place_of(log: LogFile, moment: datetime) -> int:
    """The first line whose time is not before `moment`; the end when there is none."""
    wanted = moment.strftime(FORMAT).encode()
    low, high, best = 0, log.size, log.size
    while high - low > BLOCK:
        middle = (low + high) // 2
        found = _stamp_after(log, middle, high)
        if found is None:
            high = middle
        elif found[1] < wanted:
            low = found[0] + 1
        else:
            high, best = middle, found[0]
    while (found := _stamp_after(log, low, high)) is not None:
        if found[1] >= wanted:
            return found[0]
        low = found[0] + 1
    return best


def _stamp_after(log: LogFile, start: int, end: int) -> tuple[int, bytes] | None:
    """The first line with a time that begins from `start` on and before `end`: its byte, and its time."""
    at = start
    while at < min(end, start + FARTHEST):
        begin = max(0, at - 1)  # with the newline before it
        block = log.read(begin, BLOCK + STAMP_BYTES)
        for found in STAMP.finditer(block):
            place = begin + found.start(1)
            if place >= start and (place > begin or begin == 0):
                return (place, found[1].replace(b"T", b" ")) if place < end else None
        at += BLOCK
    return None


def _last_stamp(log: LogFile) -> datetime | None:
    end = log.size
    while end > max(0, log.size - FARTHEST):
        begin = max(0, end - BLOCK)
        stamps = STAMP.findall(log.read(begin, end - begin + STAMP_BYTES))
        if stamps:
            return _datetime(stamps[-1])
        end = begin
    return None


def _datetime(stamp: bytes) -> datetime:
    return datetime.strptime(stamp.decode().replace("T", " "), FORMAT)  # noqa: DTZ007 (the log tells no zone)
