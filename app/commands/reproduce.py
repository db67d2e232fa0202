"""`lathe jobs verify-resume`, `again` and `export`: prove that a job can be trusted, repeat it, take it along."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from app.commands.live import follow
from app.commands.options import job_json, verb, workspace
from app.commands.printing import paint, plain, show, show_json
from platform_core.jobs import again as repeats
from platform_core.jobs import export as exports
from platform_core.jobs import supervision, verify


@click.command("verify-resume")
@click.argument("job_id", metavar="ID")
@click.option("--steps", type=click.IntRange(2), help="Steps to compare. [default: 20, or all of a shorter training]")
@verb
def verify_resume(job_id: str, steps: int | None, as_json: bool) -> int:
    """Prove that a training resumes exactly: its first steps straight and with a pause, compared to the bit.

    The proof is a job of its own and never touches the one it is about. Exit code 0: identical, 1: not, or it failed.
    """
    place = workspace()
    proof = verify.create(place, job_id, steps)
    supervision.ensure(place.home)
    proof, code = follow(place, proof, sys.stderr if as_json else None)
    found = verify.verdict(proof)
    if as_json:
        show_json({"job": job_json(proof), "verdict": None if found is None else asdict(found)})
    elif found is None:
        show(plain(proof.reason or proof.state), err=True)
    else:
        what = f"{found.steps} steps, resumed at step {found.resumed_at}"
        compared = f"{found.points} points and {found.tensors} tensors compared"
        word = paint("identical", 32) if found.identical else paint("different", 31)
        show(f"{word}: {what}, {compared}" + ("" if found.identical else f"; {plain(found.difference)}"))
    if found is None:
        return code or 1
    return 0 if found.identical else 1


@click.command("again")
@click.argument("job_id", metavar="ID")
@click.option("--anyway", is_flag=True, help="Also when dataset or model have changed since.")
@click.option("--follow", "wait", is_flag=True, help="Show progress until it has ended.")
@verb
def again(job_id: str, anyway: bool, wait: bool, as_json: bool) -> int:
    """Run a job again with exactly its settings, after a check that its inputs are the same to the bit.

    Differences in libraries or processor are told, and do not keep it from running.
    """
    place = workspace()
    job, changed = repeats.again(place, job_id, anyway=anyway)
    for sentence in changed:
        show(plain(sentence), err=True)
    supervision.ensure(place.home)
    code = 0
    if wait:
        job, code = follow(place, job, sys.stderr if as_json else None)
    if as_json:
        show_json({**job_json(job), "different": [str(sentence) for sentence in changed]})
    elif not wait:
        show(f"Made {plain(job.name)} ({job.id}): {job.state}.")
    return code


@click.command("export")
@click.argument("job_id", metavar="ID")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--with-data", is_flag=True, help="Copy the dataset and the model that it starts from into it.")
@click.option("--zip", "archive", is_flag=True, help="Also make FOLDER.zip.")
@verb
def export(job_id: str, folder: Path | None, with_data: bool, archive: bool, as_json: bool) -> None:
    """Make a folder that trains the same without the platform. [default: in the workspace's exports]

    It holds train.py, its settings, requirements.txt and a README. For every training on the engine hf.
    """
    made = exports.export(workspace(), job_id, folder, with_data=with_data, archive=archive)
    if as_json:
        show_json({"folder": str(made.folder), "archive": None if made.archive is None else str(made.archive)})
        return
    show(f"Made {plain(made.folder)}" + (f" and {plain(made.archive)}" if made.archive else ""))
    show("Run it: pip install -r requirements.txt, then python train.py; its README.md says more.")


commands = (verify_resume, again, export)
