"""The model library: every model folder of the workspace and every finished job's model, found by listing."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from platform_core.database.engine import reading
from platform_core.errors import Problem, text
from platform_core.files import folder_size, read_json
from platform_core.jobs import store
from platform_core.jobs.states import word
from platform_core.models.adapters import base_of, is_adapter
from platform_core.models.kinds import is_reward_model
from platform_core.security.paths import resolve_inside
from platform_core.settings import allowed_roots
from platform_core.workspace.service import Workspace

HEADER_LIMIT = 100 * 2**20
LOOKED_AT = 50
"""Jobs whose checkpoints a picker offers."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
GENERAL = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Classes of tokenizers that know nothing but what the files say."""
Kind = Literal["model", "reward_model", "adapter", "tokenizer"]
KINDS: tuple[Kind, ...] = ("model", "reward_model", "adapter", "tokenizer")


@dataclass(frozen=True)
class ModelInfo:
    """One model, adapter or tokenizer; `ref` is what a spec says to use it."""

    ref: str
    name: str
    path: Path
    kind: Kind
    architecture: str | None
    parameters: int | None
    dtypes: tuple[str, ...]
    size_bytes: int
    modified: float
    context_length: int | None
    vocab_size: int | None
    has_tokenizer: bool
    has_chat_template: bool
    job_id: str | None


def list_models(workspace: Workspace, kinds: tuple[Kind, ...] = KINDS) -> list[ModelInfo]:
    """All models, newest first; a folder that can't be read is left out."""
    found = [
        read_model(p, p.name, p.name, None)
        for p in sorted(workspace.models.iterdir())
        if p.is_dir() and p.name[0] != "."
    ]
    with reading(workspace.engine) as connection:
        completed = store.find_jobs(connection, states=["completed"])
    for job in completed:
        output = workspace.job_folder(job.id) / "output"
        with contextlib.suppress(OSError):
            found.append(_read_output(output, output.stat().st_mtime_ns, job.id, job.name))
    return sorted((m for m in found if m is not None and m.kind in kinds), key=lambda m: -m.modified)


def read_model(path: Path, ref: str, name: str, job_id: str | None) -> ModelInfo | None:
    """What a folder holds, from its config and safetensors headers, weights not loaded; None when it is no model."""
    try:
        config = read_json(path / "config.json")
        adapter = read_json(path / "adapter_config.json")
        has_tokenizer = any((path / f).is_file() for f in TOKENIZER_FILES)
        if config is None and adapter is None and not has_tokenizer:
            return None
        if config is None and adapter is not None:
            config = _base_config(path)
        tensors = read_headers(path)
        architectures = (config or {}).get("architectures")
        return ModelInfo(
            ref=ref,
            name=name,
            path=path,
            kind=_kind(path, config, adapter),
            architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else None,
            parameters=parameters_of(tensors),
            dtypes=tuple(sorted({str(t["dtype"]) for t in tensors.values()})),
            size_bytes=folder_size(path),
            modified=path.stat().st_mtime,
            context_length=_int((config or {}).get("max_position_embeddings")),
            vocab_size=_int((config or {}).get("vocab_size")),
            has_tokenizer=has_tokenizer,
            has_chat_template=(path / "chat_template.jinja").is_file()
            or "chat_template" in (read_json(path / "tokenizer_config.json") or {}),
            job_id=job_id,
        )
    except OSError:
        return None


def _kind(path: Path, config: dict[str, Any] | None, adapter: dict[str, Any] | None) -> Kind:
    if config is None and adapter is None:
        return "tokenizer"
    if is_reward_model(path):
        return "reward_model"
    return "adapter" if adapter is not None else "model"


@lru_cache(maxsize=20_000)
def _read_output(output: Path, changed: int, job_id: str, name: str) -> ModelInfo | None:
    """A job's output as a model; outputs are published whole and never change, so each is read once."""
    return read_model(output, f"job:{job_id}", name, job_id)


def read_headers(path: Path) -> dict[str, dict[str, Any]]:
    """Name → {dtype, shape} of all tensors in the safetensors files of a folder; a broken file counts as empty."""
    tensors: dict[str, dict[str, Any]] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with file.open("rb") as f:
                (length,) = struct.unpack("<Q", f.read(8))
                if length > HEADER_LIMIT:
                    continue
                header = json.loads(f.read(length))
        except (OSError, ValueError, struct.error):
            continue
        tensors |= {k: v for k, v in header.items() if k != "__metadata__" and isinstance(v, dict) and "shape" in v}
    return tensors


def parameters_of(tensors: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Parameters in tensors as `read_headers` tells them; None when there are none."""
    return sum(math.prod(t["shape"]) for t in tensors.values()) if tensors else None


def model_parameters(path: Path) -> int | None:
    """Parameters in the safetensors files of a folder; None when there are none."""
    return parameters_of(read_headers(path))


def model_path(workspace: Workspace, ref: str) -> Path:
    """The folder behind a reference: `job:<id>` for its output, `job:<id>@<step>` for a checkpoint, a name in
    `models/`, or a path inside the allowed roots.
    """
    if ref.startswith("job:"):
        job_id, _, step = ref.removeprefix("job:").partition("@")
        with reading(workspace.engine) as connection:
            job = store.get_job(connection, job_id)
        if job is None:
            raise Problem("There is no job {id} whose output could be used: choose another model.", id=job_id)
        if step:
            return _checkpoint(workspace, job, step)
        output = workspace.job_folder(job.id) / "output"
        if not output.is_dir():
            raise Problem(
                "Job “{name}” ({id}) has no output yet: it is {state}.", name=job.name, id=job.id, state=word(job.state)
            )
        return output
    if "/" not in ref and not (workspace.models / ref).exists():
        raise Problem(
            "There is no model “{ref}” in the library: choose another, or put its folder into `models/`.", ref=ref
        )
    return resolve_inside(ref, [workspace.models, *allowed_roots(workspace.home)])


def checkpoints(workspace: Workspace, most: int = LOOKED_AT) -> list[tuple[str, str, int]]:
    """Reference, job's name and step of the whole checkpoints of the newest `most` jobs, the newest first."""
    with reading(workspace.engine) as connection:
        known = store.find_jobs(connection, states=["completed", "stopped", "paused", "failed"])
    found: list[tuple[str, str, int]] = []
    for job in known[:most]:
        places = workspace.job_folder(job.id).glob("checkpoints/step-*/complete.json")
        steps = sorted((int(p.parent.name[5:]) for p in places if p.parent.name[5:].isdigit()), reverse=True)
        found += [(f"job:{job.id}@{step}", job.name, step) for step in steps]
    return found


def _checkpoint(workspace: Workspace, job: store.Job, step: str) -> Path:
    folder = workspace.job_folder(job.id) / "checkpoints" / f"step-{step}"
    if not step.isdigit() or not (folder / "complete.json").is_file():
        there = sorted(int(p.name[5:]) for p in folder.parent.glob("step-*") if p.name[5:].isdigit())
        raise Problem(
            "Job “{name}” has no checkpoint of step {step}; there are {steps}.",
            name=job.name,
            step=step,
            steps=", ".join(map(str, there)) or "–",
        )
    return folder


def _base_config(adapter: Path) -> dict[str, Any] | None:
    with contextlib.suppress(Problem):
        return read_json(base_of(adapter) / "config.json")
    return None


def check_model(workspace: Workspace, ref: str, tokenizer_only: bool = False) -> ModelInfo:
    """The model behind a reference if a job can use it; raises Problem naming what it lacks."""
    path = model_path(workspace, ref)
    info = read_model(path, ref, ref, None) if path.is_dir() else None
    if info is None:
        raise Problem(
            "{ref} is not a model folder (it has no config.json): choose a folder in the Hugging Face format.", ref=ref
        )
    if not info.has_tokenizer:
        raise Problem(
            "The model {ref} lacks a tokenizer (tokenizer.json): copy the tokenizer's files into its folder.", ref=ref
        )
    if _has_no_end(path):
        raise Problem(
            "The tokenizer in {folder} has no end-of-text token (eos_token), so a model could never learn to stop: "
            "set `eos_token` in its tokenizer_config.json.",
            folder=ref,
        )
    if not tokenizer_only and is_adapter(path):
        _check_adapter(path, ref)
    if not tokenizer_only and info.kind == "tokenizer":
        raise Problem("{ref} is a tokenizer without a model: choose a model, or pretrain one with it.", ref=ref)
    if not tokenizer_only and info.parameters is None and any(path.glob("*.bin")):
        raise Problem(
            "{ref} holds its weights as .bin files (pickle), which can run code when loaded: "
            "convert them to safetensors.",
            ref=ref,
        )
    if not tokenizer_only and info.parameters is None:
        raise Problem(
            "The model {ref} has no readable weights (*.safetensors): the folder is incomplete or damaged.", ref=ref
        )
    return info


def _has_no_end(path: Path) -> bool:
    """Whether a tokenizer's files name no end-of-text token; one with a class of its own may know it without."""
    said = {**(read_json(path / "special_tokens_map.json") or {}), **(read_json(path / "tokenizer_config.json") or {})}
    return said.get("tokenizer_class") in GENERAL and not said.get("eos_token")


def _check_adapter(path: Path, ref: str) -> None:
    """Raise Problem when an adapter's base is gone, or has layers of other widths than the adapter."""
    layers = read_headers(base_of(path))
    for name, tensor in read_headers(path).items():
        layer, _, matrix = name.removeprefix("base_model.model.").rpartition(".lora_")
        weight = layers.get(f"{layer}.weight")
        if weight is None or matrix not in ("A.weight", "B.weight"):
            continue
        width = tensor["shape"][-1 if matrix == "A.weight" else 0]
        if width not in weight["shape"]:
            reason = text("{layer} has a width of {width}, in the base {widths}", layer=layer, width=width,
                          widths=" × ".join(map(str, weight["shape"])))  # fmt: skip
            raise Problem(
                "The adapter {folder} does not fit its base model ({reason}): it was trained on another one.",
                folder=ref,
                reason=reason,
            )


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None
