"""Whether what a job puts together belongs together: tokenizers, reward models, prompts and the model's context."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from platform_core.algorithms.registry import Algorithm, engine_of
from platform_core.datasets import service as datasets
from platform_core.datasets.needs import training_rows
from platform_core.errors import Problem, text
from platform_core.jobs.estimate import shape_of
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec
from platform_core.models.service import check_model, model_path
from platform_core.models.vocabulary import longest, same_vocabulary
from platform_core.rewards.sample import reward_columns, reward_of_job
from platform_core.rewards.spec import models_of
from platform_core.workspace.service import Workspace

ROWS, LONGEST = 1000, 16
"""Rows whose prompts are looked at, and how many of the longest are tokenized."""
SPECIAL = 4
"""Tokens that a tokenizer may put around a text."""
BLOCK = 32
"""Weights that bitsandbytes quantizes together at least."""


def check_belonging(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    """What does not belong together; what is said beside a field already, or still to be made, is left out."""
    return [
        *_check_teacher(workspace, spec),
        *_check_critic(workspace, spec),
        *_check_reward_models(workspace, spec),
        *_check_prompts(workspace, algorithm, spec),
        *_check_blocks(workspace, spec),
    ]


def _check_teacher(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    fields: tuple[str, ...] = getattr(spec, "one_tokenizer", ())
    if len(fields) != 2 or _alike(*(_folder(workspace, getattr(spec, field)) for field in fields)):
        return []
    sentence = text(
        "Student and teacher have different tokenizers, so that their distributions can't be compared: take a "
        "teacher of the student's family, or distill its answers (kind “Distill answers”), which goes by text."
    )
    return [Finding("error", sentence, fields[::-1])]


def _check_critic(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    named = getattr(spec, "critic_model", None)
    if not named or _alike(_folder(workspace, getattr(spec, "model", None)), _folder(workspace, named)):
        return []
    sentence = text(
        "{folder} has another tokenizer than the model that learns: a critic has to read the same tokens.",
        folder=named,
    )
    return [Finding("error", sentence, ("critic_model",))]


def _check_reward_models(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    try:
        found = reward_of_job(workspace, spec)
    except Problem:
        return []
    findings = []
    for named in models_of(found.reward).values() if found is not None else ():
        try:
            info = check_model(workspace, named)
        except Problem as problem:
            findings.append(Finding("error", text("The reward asks {model}: {why}", model=named, why=problem.text),
                                    ("reward",)))  # fmt: skip
            continue
        if info.kind != "reward_model":
            sentence = text(
                "{folder} is no reward model: train one from preference pairs (kind “Reward model”), or choose "
                "another.",
                folder=named,
            )
            findings.append(Finding("error", sentence, ("reward",)))
        elif not _alike(_folder(workspace, getattr(spec, "model", None)), info.path):
            sentence = text(
                "The reward model {model} has another tokenizer than the model that learns: it reads the answers as "
                "text, tokenized anew.",
                model=named,
            )
            findings.append(Finding("warning", sentence, ("reward",)))
    return findings


def _check_prompts(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    """Prompts that leave no room for an answer, as far as the first rows tell."""
    named, model, family = getattr(spec, "dataset", None), getattr(spec, "model", None), algorithm.dataset_format
    if not named or not model or family in (None, "pretrain") or engine_of(algorithm, spec) != "hf":
        return []
    try:
        info = check_model(workspace, str(model))
        file = datasets.get(workspace.home, str(named)).path
    except Problem:
        return []
    context, room = info.context_length, getattr(spec, "max_length", None)
    most = min((n for n in (context, room) if n), default=None)
    if most is None:
        return []
    columns = tuple((reward_columns(workspace, spec) or {}).items())
    try:
        stamps = file.stat().st_mtime_ns, (info.path / "tokenizer.json").stat().st_mtime_ns
    except OSError:
        return []
    tokens = _longest_prompt(file, str(family), columns, info.path, most, stamps)
    if tokens < most:
        return []
    if room is not None:
        sentence = text(
            "The longest prompt has {longest} tokens: rows whose prompt fills all {most} have no answer to learn and "
            "are left out.",
            longest=tokens,
            most=most,
        )
        return [Finding("warning", sentence, ("dataset", "max_length"))]
    if algorithm.role != "train":
        sentence = text(
            "The longest prompt has {longest} tokens, but the model sees only {context}: it can't answer such rows.",
            longest=tokens,
            context=most,
        )
        return [Finding("warning", sentence, ("dataset",))]
    sentence = text(
        "The longest prompt has {longest} tokens, but the model sees only {context}: drop such rows.",
        longest=tokens,
        context=most,
    )
    return [Finding("error", sentence, ("dataset",))]


def _check_blocks(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    """Layers whose width is no multiple of a block of 4-bit weights, where something is answered or measured."""
    without_gradients = getattr(spec, "validates", False) or hasattr(spec, "max_completion_length")
    if getattr(spec, "tuning", "") != "qlora" or getattr(spec, "quantization", "") != "nf4" or not without_gradients:
        return []
    shape = shape_of(workspace, spec, "model")
    odd = sorted(width for width in ((shape.hidden, shape.intermediate) if shape else ()) if width % BLOCK)
    if not odd:
        return []
    sentence = text(
        "Answering and measuring on 4-bit weights need layers whose width is a multiple of {block}; this model has "
        "one of {width}: take 8 bits, or LoRA.",
        block=BLOCK,
        width=odd[0],
    )
    return [Finding("error", sentence, ("quantization", "model"))]


@lru_cache(maxsize=64)
def _longest_prompt(
    file: Path, family: str, columns: tuple[tuple[str, str], ...], model: Path, most: int, stamps: tuple[int, int]
) -> int:
    """Tokens of the longest prompt among those that may have `most`; 0 when none may. `stamps`: of the files."""
    try:
        with training_rows(file, family, ROWS, dict(columns) or None) as rows:
            prompts = [row["prompt"] for row in rows if isinstance(row.get("prompt"), str)]
    except Problem:
        return 0  # said beside the dataset
    # A token stands for a byte at least, but for those that begin and end a text.
    may = sorted((p for p in prompts if len(p.encode()) + SPECIAL >= most), key=len, reverse=True)
    return longest(may[:LONGEST], model) or 0 if may else 0


def _folder(workspace: Workspace, named: object) -> Path | None:
    try:
        return model_path(workspace, str(named)) if named else None
    except Problem:
        return None


def _alike(one: Path | None, two: Path | None) -> bool:
    """Whether two models have the same tokenizer, as far as that can be told."""
    return one is None or two is None or same_vocabulary(one, two) is not False
