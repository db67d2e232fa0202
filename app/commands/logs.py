"""`lathe jobs logs`: a job's log, its end, a part of it, or as it grows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import cast

import click

from app.commands.options import verb, workspace
from app.commands.printing import plain, show
from platform_core.errors import Problem
from platform_core.jobs import service
from platform_core.jobs.folder import log_file, metrics_file
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from platform_core.logs.file import LogFile
from platform_core.logs.lines import BLOCK, LEVELS, LONGEST, Level, Raw, levelled_forwards, shown
from platform_core.logs.page import SEARCH_BYTES, Query, Tail, ahead, fits, tail
from platform_core.logs.places import find_place
from platform_core.workspace.service import Workspace

WHOLE = 2**62


@click.command("logs")
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job has ended.")
@click.option("-n", "--lines", type=click.IntRange(0), default=200, show_default=True, help="At most this many lines.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Lines of at least this level.")
@click.option("--search", default="", metavar="TEXT", help="Lines with this text, in any case.")
@click.option("--regex", is_flag=True, help="The text is a regular expression.")
@click.option("-C", "--context", type=click.IntRange(0, 100), default=0, metavar="N", help="N more lines beside each.")
@click.option("--at", metavar="PLACE", help="From a time or step on: 12:31, '2026-05-01 12:31' or 'step 340'.")
@click.option("--raw", is_flag=True, help="The whole log, byte by byte as it was written.")
@verb
def logs(
    job_id: str,
    following: bool,
    lines: int,
    level: str,
    search: str,
    regex: bool,
    context: int,
    at: str | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Print the log of a job's newest attempt; with --json, a JSON text a line."""
    place = workspace()
    job = service.get(place, job_id)
    path = _log(place, job, following)
    if raw:
        with LogFile(path) as log:
            for piece in log.pieces():
                sys.stdout.buffer.write(piece)
        return
    query = Query(cast(Level, level), search, regex, context)
    found = _part(path, metrics_file(place, job), query, lines, at)
    for line in found.lines:
        if line.gap and context:
            _print("--", as_json)
        _print(line.text, as_json)
    if following:
        _follow(place, job, path, found.read_to, query, as_json)


def _log(place: Workspace, job: Job, following: bool) -> Path:
    pause = Event()
    while (path := log_file(place, job)) is None:
        if not following or job.state in ENDED:
            raise Problem("“{name}” has no log yet: it is {state}.", name=job.name, state=job.state)
        pause.wait(0.3)
        job = service.get(place, job.id)
    return path


def _part(path: Path, metrics: Path, query: Query, lines: int, at: str | None) -> Tail:
    if at is not None:
        return ahead(path, find_place(path, metrics, at), lines, query, WHOLE)
    budget = WHOLE if query.filters() else SEARCH_BYTES
    return tail(path, lines, query.level, query.search, budget, regex=query.regex, context=query.context)


def _follow(place: Workspace, job: Job, path: Path, offset: int, query: Query, as_json: bool) -> None:
    ended = False
    for line in levelled_forwards(new_lines(path, offset, Event(), 0.2)):
        if line is None and ended:
            return
        if line is None:
            ended = service.get(place, job.id).state in (*ENDED, "paused")
        elif fits(line, query):
            _print(line.text, as_json)


def new_lines(path: Path, offset: int, pause: Event, seconds: float) -> Iterator[Raw | None]:
    """Lines written after `offset` as they come; None, at least every `seconds`, when there is none for now."""
    rest = b""
    with LogFile(path) as log:
        while True:
            block = log.read(offset, BLOCK)
            if not block:
                yield None
                pause.wait(seconds)
                continue
            offset += len(block)
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > SEARCH_BYTES:
                rest = rest[:LONGEST]
            for line in lines:
                yield Raw(shown(line), offset, offset)


def _print(line: str, as_json: bool) -> None:
    line = plain(line, keep="\t")
    show(json.dumps(line) if as_json else line)
