"""What pages need over plain HTTP: uploads as a stream, jobs as JSON, logs as a download."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask

from app.page import workspace
from app.words import say
from platform_core.datasets import service as datasets
from platform_core.datasets.receive import data_name
from platform_core.errors import Problem, Text
from platform_core.jobs import service as jobs
from platform_core.jobs.folder import log_file
from platform_core.jobs.store import Job
from platform_core.logs.file import LogFile
from platform_core.reports import service as reports
from platform_core.reports.parts import Voice

api = FastAPI(title="lathe", docs_url=None, redoc_url=None)


@api.exception_handler(Problem)
async def refuse(request: Request, problem: Problem) -> JSONResponse:
    """A problem as JSON: the sentence in the asked language, and the fields it belongs to."""
    detail = say(problem, request.query_params.get("lang") or "en")
    return JSONResponse({"detail": detail, "fields": list(problem.fields)}, 422)


@api.get("/health")
async def health() -> dict[str, str]:
    """That the server answers."""
    return {"status": "ok"}


@api.put("/upload/{name}", status_code=201)
async def upload(name: str, request: Request, replace: bool = False) -> dict[str, Any]:
    """Stream a dataset to the disk, visible only when whole."""
    home = (await asyncio.to_thread(workspace)).home
    body = request.stream()
    try:
        info = await datasets.receive_async(home, name, body, replace)
    except Problem:
        async for _rest in body:  # a browser that is still sending would not read the answer
            pass
        raise
    return {"name": info.name, "size_bytes": info.size_bytes}


@api.get("/upload/{name}")
def may_upload(name: str) -> dict[str, bool]:
    """Whether a dataset of this name is there already; refused when it can't be a dataset's name."""
    return {"taken": (datasets.folder(workspace().home) / data_name(name)).exists()}


@api.get("/jobs")
def list_jobs(search: str = "", limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
    """Jobs, newest first."""
    found = jobs.list_jobs(workspace(), search=search, limit=min(max(limit, 1), 1000), offset=max(offset, 0))
    return [as_json(job) for job in found]


@api.get("/jobs/{job_id}")
def show_job(job_id: str) -> dict[str, Any]:
    """One job with everything its row says."""
    return as_json(jobs.get(workspace(), job_id))


@api.get("/jobs/{job_id}/log", response_model=None)
def download_log(job_id: str) -> StreamingResponse:
    """The whole log of the newest attempt as a file, piece by piece."""
    place = workspace()
    job = jobs.get(place, job_id)
    path = log_file(place, job)
    if path is None:
        raise Problem("“{name}” has no log yet: it has not started.", name=job.name)
    log = LogFile(path)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{job.id}.log"',
        "Content-Length": str(log.size),
    }
    return StreamingResponse(log.pieces(), 200, headers, "text/plain; charset=utf-8", BackgroundTask(log.close))


@api.get("/report", response_model=None)
def download_report(jobs: str, format: reports.Format = "html", lang: str = "en") -> StreamingResponse:
    """A report of the jobs (ids with commas between them) as a file."""
    voice = Voice(lambda said: say(said, lang), lang)
    ids = [part for part in jobs.split(",") if part]
    pieces = reports.render(workspace(), ids, format, voice)
    name = f"{ids[0] if len(ids) == 1 and ids[0].isalnum() else 'comparison'}.{format}"
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, 200, headers, reports.MEDIA[format])


def as_json(job: Job) -> dict[str, Any]:
    """A job's row as JSON values."""
    row = asdict(job) | {"step": job.step, "total_steps": job.total_steps}
    row["reason"] = str(job.reason) if isinstance(job.reason, Text) else None
    return row
