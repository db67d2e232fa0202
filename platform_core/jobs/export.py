"""A training as a folder that runs without the platform: train.py, the engine's source, settings, exact versions.

Nothing that a person wrote goes into the program: names, paths and settings stand in `config.json` alone.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from platform_core.algorithms.registry import algorithm
from platform_core.environment.software import installed
from platform_core.errors import Problem
from platform_core.files import publish, read_json, sync_folder
from platform_core.jobs import service
from platform_core.jobs.again import differences
from platform_core.jobs.folder import kept_reward, provenance, resolved_paths
from platform_core.jobs.inputs import HASHED, hashes
from platform_core.jobs.source import closure, distributions
from platform_core.jobs.spec import JobSpec
from platform_core.jobs.store import Job
from platform_core.models.adapters import base_of, is_adapter
from platform_core.rewards.store import is_reward
from platform_core.root import ROOT
from platform_core.workspace.service import Workspace

PROGRAM = ROOT / "runners" / "exported" / "train.py"
ENGINE = "hf"
UNNAMED = ("accelerate", "bitsandbytes", "jinja2")
"""Packages that the engine needs without importing them."""
QUEUE = ("environment", "cpu_slots", "memory_gib", "gpus", "gpu_indexes", "gpu_memory_gib", "time_limit_hours",
         "retries", "retry_wait_seconds")  # fmt: skip
LONGEST_NAME = 60


@dataclass(frozen=True)
class Exported:
    """Where an export is, and the archive of it when one was asked for."""

    folder: Path
    archive: Path | None


def export(
    workspace: Workspace, job_id: str, folder: Path | None = None, *, with_data: bool = False, archive: bool = False
) -> Exported:
    """Make `folder` (default: a new one in `exports/`); `with_data` copies dataset and model into it.

    Raises Problem for a kind that can't run without the platform, when an input has changed since the job ran, and
    when the folder is there already.
    """
    job = service.get(workspace, job_id)
    refuse_other_kinds(job)
    refuse_changed_inputs(workspace, job)
    target = (folder or free_place(workspace.home / "exports", job)).absolute()
    zipped = target.with_name(f"{target.name}.zip")
    for place in (target, *([zipped] if archive else [])):
        if place.exists() or place.is_symlink():
            raise Problem("{folder} is there already: name another folder; nothing is overwritten.", folder=str(place))
    part = target.with_name(f".{target.name[:40]}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        _fill(workspace, job, part, with_data)
        publish(part, target)
        if archive:
            made = Path(shutil.make_archive(str(part), "zip", target.parent, target.name))
            made.replace(zipped)
            sync_folder(zipped.parent)
    except OSError as error:
        raise Problem(
            "The export can't be written to {folder}: {reason}.",
            folder=str(target),
            reason=error.strerror or str(error),
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        part.with_name(part.name + ".zip").unlink(missing_ok=True)
    return Exported(target, zipped if archive else None)


def can_export(job: Job) -> bool:
    """Whether train.py can do what the job does."""
    return algorithm(job.kind).role == "train" and job.engine == ENGINE


def refuse_other_kinds(job: Job) -> None:
    """Raise Problem for what train.py can't do."""
    if not can_export(job):
        raise Problem(
            "“{name}” can't be exported: only trainings on the engine hf run without the platform.", name=job.name
        )


def refuse_changed_inputs(workspace: Workspace, job: Job) -> None:
    """Raise Problem when an input is no longer what the job's newest attempt was trained on."""
    if not provenance(workspace, job):
        return
    if changes := differences(workspace, job.id, kept_reward(workspace, job)).inputs:
        raise Problem(
            "“{name}” can't be exported as it was trained: {changes} Put the file back, or run the job again with what "
            "is there now and export that one.",
            name=job.name,
            changes=changes[0],
        )


def free_place(exports: Path, job: Job) -> Path:
    """A folder in `exports` that is not there yet, named after the job in letters that every system knows."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", job.name).strip("-")[:LONGEST_NAME].strip("-")
    name = f"{words}-{job.id}" if words else job.id
    numbers = ("", *(f"-{n}" for n in range(2, 10_000)))
    places = (exports / f"{name}{number}" for number in numbers)
    return next(p for p in places if not p.exists() and not p.with_name(f"{p.name}.zip").exists())


def _fill(workspace: Workspace, job: Job, part: Path, with_data: bool) -> None:
    spec = algorithm(job.kind).spec.model_validate(job.spec)
    paths = resolved_paths(workspace, spec, kept_reward(workspace, job))
    inputs = {field: _input(field, path, part, with_data) for field, path in paths.items()}
    program = algorithm(job.kind).program
    files, packages = closure([f"runners.programs.{program}", f"runners.engines.{job.engine}.{job.kind}"])
    for file in files:
        place = part / "source" / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    config = {
        "job": job.id,
        "name": job.name,
        "kind": job.kind,
        "engine": job.engine,
        "program": program,
        "threads": job.cpu_slots,
        "inputs": inputs,
        "settings": _settings(spec),
    }
    (part / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (part / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    shutil.copyfile(PROGRAM, part / "train.py")
    (part / "requirements.txt").write_text(_requirements(workspace, job, packages), encoding="utf-8")
    (part / "README.md").write_text(_readme(job, inputs), encoding="utf-8")


def _settings(spec: JobSpec) -> dict[str, Any]:
    return {name: value for name, value in spec.model_dump(mode="json").items() if name not in QUEUE}


def _input(field: str, path: Path, part: Path, with_data: bool) -> dict[str, Any]:
    """Where an input is and its checksums; a reward is always copied into the folder, all others with the data, an
    adapter with its base."""
    if is_reward(path):
        (part / field).mkdir()
        for name in hashes(path):
            shutil.copyfile(path / name, part / field / name)
        return {"path": field, "sha256": hashes(part / field)}
    if not with_data:
        return {"path": str(path), "sha256": hashes(path)}
    if path.is_file():
        (part / field).mkdir()
        shutil.copyfile(path, part / field / path.name)
        return {"path": f"{field}/{path.name}", "sha256": hashes(part / field / path.name)}
    _copy_model(path, part / field)
    if is_adapter(path):
        _copy_model(base_of(path), part / f"{field}-base")
        lineage = {**(read_json(path / "lathe.json") or {}), "base": f"../{field}-base"}
        (part / field / "lathe.json").write_text(json.dumps(lineage), encoding="utf-8")
    return {"path": field, "sha256": hashes(part / field)}


def _copy_model(source: Path, target: Path) -> None:
    target.mkdir()
    for file in sorted(p for p in source.iterdir() if p.is_file() and p.suffix in HASHED):
        shutil.copyfile(file, target / file.name)


def _requirements(workspace: Workspace, job: Job, packages: set[str]) -> str:
    """What the engine imports in the versions of the job's newest attempt, or in today's when none was recorded."""
    recorded = provenance(workspace, job).get("packages", {})
    known = {name.lower(): version for name, version in recorded.items()}
    names = sorted({*distributions(packages), *UNNAMED}, key=str.lower)
    versions = {name: known.get(name.lower()) or installed(name) for name in names}
    # 2.13.0+cpu comes from an index of its own; the build does not belong into a pin.
    return "".join(f"{name}=={version.partition('+')[0]}\n" for name, version in versions.items() if version)


def _readme(job: Job, inputs: dict[str, Any]) -> str:
    title = "".join(c for c in job.name if c.isprintable() and c != "`")
    places = "\n".join(f"- {field}: `inputs.{field}.path` in config.json" for field in inputs)
    return f"""# A training that runs by itself

`{title}` ({job.kind}, job {job.id}).

    python -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python train.py

It writes `metrics.jsonl` and the model into `output/`, beside `train.py`. Settings and inputs are in `config.json`
(`config.yaml` says the same for reading). `source/` holds the engine that trained the job; nothing else is needed but
the packages in `requirements.txt`. Ctrl-C saves a checkpoint, and the same command goes on from it.

Inputs, checked by their sha256 before the training begins:

{places}

On a CPU the same versions, threads ({job.cpu_slots}) and processor give the same losses bit for bit; on a GPU the last
digits may differ.
"""
