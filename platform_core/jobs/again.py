"""Run a job again exactly: the same resolved settings, after a look whether its inputs and libraries are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.environment.machine import processor_model
from platform_core.environment.software import installed
from platform_core.errors import Problem, Text, text
from platform_core.jobs import service
from platform_core.jobs.folder import provenance, resolved_paths
from platform_core.jobs.inputs import hashes
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace


@dataclass(frozen=True)
class Differences:
    """What is not as it was when the job ran: `inputs` decide the result, `surroundings` may."""

    inputs: list[Text]
    surroundings: list[Text]


def differences(workspace: Workspace, job_id: str, kept: Path | None = None) -> Differences:
    """Compare today's inputs (by their hashes), libraries and processor with those of the job's newest attempt.

    `kept`: the folder of the job's own copy of its reward, where that one counts and not the saved one. Raises Problem
    when nothing was recorded, or when an input is gone.
    """
    job = service.get(workspace, job_id)
    recorded = provenance(workspace, job)
    if not recorded:
        raise Problem("“{name}” has recorded nothing to compare with yet: let it run once, or clone it.", name=job.name)
    spec = algorithm(job.kind).spec.model_validate(job.spec)
    inputs: list[Text] = []
    for field, path in resolved_paths(workspace, spec, kept).items():
        inputs += _changed(recorded.get("inputs", {}).get(field, {}), hashes(path), path.name)
    return Differences(inputs, [*_libraries(recorded.get("libraries", {})), *_processor(recorded.get("machine", {}))])


def again(workspace: Workspace, job_id: str, *, anyway: bool = False, actor: str = "") -> tuple[Job, list[Text]]:
    """Queue a new job with the same settings; it and what in its surroundings is different now.

    Raises Problem naming the file when an input has changed, unless `anyway`.
    """
    job = service.get(workspace, job_id)
    found = differences(workspace, job.id)
    if found.inputs and not anyway:
        raise Problem(
            "“{name}” can't run again exactly: {changes} Put the file back, or run it anyway with what is there now.",
            name=job.name,
            changes=found.inputs[0],
        )
    name = job.name if job.name.endswith("(again)") else f"{job.name[:190]} (again)"
    values = service.clone_values(job)
    new = service.create(workspace, job.kind, values, name=name, engine=job.engine, start=True, actor=actor)
    return new, [*found.inputs, *found.surroundings]


def _changed(before: Mapping[str, str], now: Mapping[str, str], place: str) -> list[Text]:
    found = []
    for name in sorted({*before, *now}):
        file = name if name == place else f"{place}/{name}"
        if name not in now:
            found.append(text("{file} is gone.", file=file))
        elif name not in before:
            found.append(text("{file} is new.", file=file))
        elif before[name] != now[name]:
            found.append(text("{file} has changed since.", file=file))
    return found


def _libraries(before: Mapping[str, str]) -> list[Text]:
    return [
        text("{library} was {before} and is {now} now.", library=name, before=version, now=installed(name) or "–")
        for name, version in before.items()
        if installed(name) != version
    ]


def _processor(before: Mapping[str, Any]) -> list[Text]:
    then, now = str(before.get("cpu", "")), processor_model()
    if then and then != now:
        return [text("The processor was {before} and is {now} now: last digits may differ.", before=then, now=now)]
    return []
