"""`lathe models …`: the models, adapters and tokenizers of the workspace."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, paint, plain, show, show_json, table
from app.sizes import bytes_text, count_text
from platform_core.clock import now
from platform_core.jobs import service
from platform_core.models.service import KINDS, ModelInfo, check_model, list_models, read_model
from platform_core.workspace.service import Workspace


@click.group("models", cls=Commands, help="List and look at models and tokenizers.")
def command() -> None:
    """A model is a folder in `models/` or the output of a finished job."""


@command.command("list")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only these.")
@verb
def list_(kinds: tuple[Any, ...], as_json: bool) -> None:
    """List models, newest first."""
    found = list_models(workspace(), *([kinds] if kinds else []))
    if as_json:
        show_json([model_json(m) for m in found])
        return
    if not found:
        show("No models yet: put a Hugging Face folder into the workspace's models/, or train one (lathe demo).")
        return
    rows = [_row(m) for m in found]
    for line in table(["REFERENCE", "NAME", "KIND", "ARCHITECTURE", "PARAMETERS", "SIZE", "CHANGED"], rows):
        show(line)


@command.command("show")
@click.argument("model", metavar="MODEL")
@verb
def show_(model: str, as_json: bool) -> None:
    """Show one model by name, job:<id>, a job's id, or path."""
    info = _find(workspace(), model)
    if as_json:
        show_json(model_json(info))
        return
    show(paint(plain(info.name), 1))
    facts = [
        ("Reference", info.ref),
        ("Kind", info.kind),
        ("Architecture", info.architecture),
        ("Parameters", f"{info.parameters:,}" if info.parameters else None),
        ("Weights", ", ".join(info.dtypes)),
        ("Context", f"{info.context_length:,} tokens" if info.context_length else None),
        ("Vocabulary", f"{info.vocab_size:,} tokens" if info.vocab_size else None),
        ("Tokenizer", "yes" if info.has_tokenizer else "missing"),
        ("Chat", "has a chat template" if info.has_chat_template else "no chat template"),
        ("Size", bytes_text(info.size_bytes)),
        ("Folder", info.path),
    ]
    for name, value in facts:
        if value:
            show(f"  {name:<13} {plain(value)}")


def _row(m: ModelInfo) -> list[object]:
    parameters = count_text(m.parameters) if m.parameters else ""
    size = bytes_text(m.size_bytes)
    return [m.ref, m.name, m.kind, m.architecture, parameters, size, ago(now() - m.modified)]


def _find(place: Workspace, wanted: str) -> ModelInfo:
    for model in list_models(place):
        if wanted in (model.ref, model.name, model.job_id):
            return model
    if (
        not wanted.startswith("job:")
        and not (place.models / wanted).exists()
        and "/" not in wanted
        and len(wanted) >= 4
    ):
        job = service.get(place, wanted)
        output = read_model(place.job_folder(job.id) / "output", f"job:{job.id}", job.name, job.id)
        if output is not None:
            return output
        wanted = f"job:{job.id}"
    return check_model(place, wanted, tokenizer_only=True)


def model_json(info: ModelInfo) -> dict[str, Any]:
    """A model as the command line's JSON gives it; sizes in bytes."""
    return {**asdict(info), "path": str(info.path)}
