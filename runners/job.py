"""The frame around every program: read the run, do the work, publish the output, write the result.

A runner's whole world is its job folder. In: `attempts/<n>/run.json`. Out: `metrics.sqlite`, `checkpoints/`, `output/`
(only when whole) and `result.json` (last). It never opens the platform's database.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platform_core.algorithms.registry import algorithm
from platform_core.clock import monotonic, now
from platform_core.errors import Problem, Text, text
from platform_core.files import publish, read_json, write_json, write_whole
from platform_core.jobs.outcome import has_checkpoint, onward
from platform_core.jobs.spec import JobSpec
from runners.ranks import rank
from runners.report import Report

log = logging.getLogger("lathe.runner")
RESERVED, RESULT_BYTES = ".result.part", 4096


class Stopped(Exception):
    """The work ended early because the job was asked to stop or pause; the checkpoint is written."""


@dataclass(frozen=True)
class Run:
    """One attempt of a job, as its runner sees it; `paths`: the absolute path behind each reference of the spec.

    `pause_at`: the step after which it pauses by itself, for a proof of exact resume. `rank`: which of the processes
    that train together this one is.
    """

    folder: Path
    attempt: int
    id: str
    kind: str
    engine: str
    spec: JobSpec
    paths: dict[str, Path]
    threads: int
    pause_at: int | None = None
    rank: int = 0

    @property
    def output(self) -> Path:
        """Where the work writes its output; renamed to `output/` when the work is done. Of rank 0 that is."""
        return self.folder / f".output.{self.attempt}{f'.rank-{self.rank}' if self.rank else ''}.part"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"


Work = Callable[[Run, Report], dict[str, object]]
"""Does the job, leaves files in `run.output`, returns the numbers for result.json."""


def load_run(folder: Path) -> Run:
    """The newest attempt of the job in `folder`; raises Problem when there is none or it is of no known kind."""
    attempts = sorted((int(p.name) for p in (folder / "attempts").glob("*") if p.name.isdigit()), reverse=True)
    data = read_json(folder / "attempts" / str(attempts[0]) / "run.json") if attempts else None
    if data is None:
        raise Problem(
            "{folder} is not a job folder with an attempt to run: start the job with `lathe jobs start`.",
            folder=str(folder),
        )
    kind = str(data["kind"])
    paths = data["paths"]
    assert isinstance(paths, dict)
    return Run(
        folder=folder,
        attempt=attempts[0],
        id=str(data["id"]),
        kind=kind,
        engine=str(data["engine"]),
        spec=algorithm(kind).spec.model_validate(data["spec"]),
        paths={k: Path(v) for k, v in paths.items()},
        threads=max(1, int(str(data["threads"])) // int(os.environ.get("WORLD_SIZE", "1"))),
        rank=rank(),
        pause_at=int(str(data["pause_at"])) if data.get("pause_at") else None,
    )


def run_job(folder: Path, work: Work) -> int:
    """Run one attempt to its end and leave `result.json`; the exit code: 0 completed, stopped or paused, 1 failed."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
    started = monotonic()
    run = load_run(folder)
    if run.rank:
        return run_beside(run, work)
    report = Report(folder / "metrics.sqlite")
    report.listen()
    report.event("started", f"attempt {run.attempt}, pid {os.getpid()}, {run.threads} threads")
    result: dict[str, object] = {"attempt": run.attempt, "kind": run.kind, "status": "failed"}
    try:
        shutil.rmtree(run.output, ignore_errors=True)
        reserve_result(folder)
        run.output.mkdir(parents=True)
        result["metrics"] = work(run, report)
        report.phase("saving")
        publish(run.output, folder / "output")
        result |= {"status": "completed", "output": "output"}
    except Stopped:
        status = "paused" if report.wish == "pause" else "stopped"
        result["status"] = status
        report.event(status, f"{status} after step {report.last_step}", at=report.last_step, attempt=run.attempt)
    except BaseException as error:
        log.error("%s", traceback.format_exc())
        reason = explain(error, has_checkpoint(folder))
        result["error"] = reason.as_json()
        report.event("failed", str(reason), level="error")
    finally:
        shutil.rmtree(run.output, ignore_errors=True)
        report.close()
    result |= {"step": report.last_step, "seconds": round(monotonic() - started, 2), "ended_at": now()}
    try:
        write_result(folder, result)
    except OSError as error:
        log.error("result.json could not be written: %s", error)
        return 1
    return 0 if result["status"] != "failed" else 1


def run_beside(run: Run, work: Work) -> int:
    """Take part in the work of rank 0, which alone tells and saves; the exit code is 1 when this part failed."""
    notes = run.folder / "attempts" / str(run.attempt) / f"rank-{run.rank}.sqlite"
    report = Report(notes)
    report.listen()
    try:
        shutil.rmtree(run.output, ignore_errors=True)
        run.output.mkdir(parents=True)
        work(run, report)
    except Stopped:
        pass
    except BaseException:
        log.error("process %d: %s", run.rank, traceback.format_exc())
        return 1
    finally:
        shutil.rmtree(run.output, ignore_errors=True)
        report.close()
        for file in notes.parent.glob(f"{notes.name}*"):
            file.unlink(missing_ok=True)
    return 0


def reserve_result(folder: Path) -> None:
    """Take the disk space of `result.json` now, so that a full disk can be told of. Raises OSError."""
    write_whole(folder / RESERVED, b" " * RESULT_BYTES)


def write_result(folder: Path, result: dict[str, object]) -> None:
    """Write `result.json` whole; on a full disk into the space that was reserved for it. Raises OSError."""
    try:
        write_json(folder / "result.json", result)
        (folder / RESERVED).unlink(missing_ok=True)
    except OSError:
        with (folder / RESERVED).open("r+b") as file:
            file.write(json.dumps(result, ensure_ascii=False).encode().ljust(RESULT_BYTES))
            file.flush()
            os.fsync(file.fileno())
        (folder / RESERVED).replace(folder / "result.json")


def explain(error: BaseException, saved: bool = False) -> Text:
    """A sentence with reason and way out for whatever ended the work; `saved`: whether a whole checkpoint is there."""
    if isinstance(error, Problem):
        return error.text
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if any(
        (isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(e) for e in chain
    ):
        return text("The disk is full: free some space and start the job again; {onward}.", onward=onward(saved))
    if any(isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" for e in chain):
        return text("Memory ran out: take a smaller batch size or sequence length, or turn gradient checkpointing on.")
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return text("The runner was interrupted: start the job again; {onward}.", onward=onward(saved))
    first = str(error).strip().split("\n")[0][:300]
    return text(
        "The program broke with {kind}: {message}. The log has the details.", kind=type(error).__name__, message=first
    )
