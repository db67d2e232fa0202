"""Reinforcement learning on verl: PPO and what is made of it by another advantage or loss, on Ray."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from platform_core.algorithms.rollout import RolloutSpec
from platform_core.errors import Problem
from platform_core.rewards.presets import EXACT_MATCH
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import models_of
from platform_core.rewards.store import Saved, save
from platform_core.verl.rl import prompts_of
from platform_core.verl.setup import Reward
from runners.engines.hf.model import load_tokenizer
from runners.engines.hf.rewards import saved_reward, try_cases
from runners.engines.hf.validation import training_rows
from runners.engines.verl.data import is_plain, longest_prompt, write_prompts
from runners.engines.verl.model import context_length
from runners.engines.verl.training import begin, run_verl
from runners.job import Run
from runners.report import Report

REWARD = "pkg://runners.engines.verl.reward"
SAVED_REWARD = "pkg://platform_core.rewards.compute_score"


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's RolloutSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, RolloutSpec)
    setup = begin(run)
    tokenizer = load_tokenizer(setup.model)
    file = run.paths["dataset"].name
    found = saved_reward(run)
    reward = reward_for_verl(run, report, found)
    rows, measured = training_rows(run, "grpo", report, found.reward.columns)
    prompts = prompts_of(spec, setup.gpus_per_node * spec.nodes)
    batches = len(rows) // prompts
    if not batches:
        raise Problem(
            "{file} has {rows} prompts, but one step takes {prompts}: lower the batch size or raise the group size.",
            fields=("batch_size", "dataset"),
            file=file,
            rows=len(rows),
            prompts=prompts,
        )
    whole = found.reward.needs_row
    write_prompts(Path(setup.train_file), rows, file, whole)
    if measured:
        write_prompts(Path(setup.validation_file), measured, file, whole)
    report.phase("tokenizing")
    longest = longest_prompt([*rows, *measured], tokenizer, file)
    setup = dataclasses.replace(
        setup,
        prompt_length=longest,
        plain=is_plain(rows, file),
        validation=bool(measured),
        reward=reward,
    )
    check_room(longest, spec.max_completion_length, context_length(setup.model))
    total = spec.max_steps or max(1, int(spec.epochs * batches))
    return run_verl(run, report, setup, batches, total)


def reward_for_verl(run: Run, report: Report, found: Saved) -> Reward:
    """The reward as verl calls it, tried on its test cases first; a built-in one is written into the job's folder.

    Raises Problem when a case fails, and for a reward model, which the engine hf alone loads.
    """
    spec = run.spec
    assert isinstance(spec, RolloutSpec)
    if found.name == EXACT_MATCH:
        return Reward(REWARD, "compute_score", {"how": spec.answer_extraction, "marker": spec.answer_marker})
    if models_of(found.reward):
        raise Problem(
            "The reward “{name}” asks a reward model, which verl does not load here: choose the engine hf.",
            fields=("reward", "engine"),
            name=found.name,
        )
    with open_scorer(found.reward, found.folder) as scorer:
        try_cases(found, scorer, report)
    folder = found.folder
    if folder is None:
        folder = run.folder / "reward" / found.name
        save(folder, found.reward, None, [])
    return Reward(SAVED_REWARD, "compute_score", {"reward_path": str(folder)})


def check_room(longest: int, answer: int, context: int | None) -> None:
    """Raise Problem when the longest prompt with its answer does not fit into what the model sees."""
    if context is not None and longest + answer > context:
        raise Problem(
            "The longest prompt has {longest} tokens and an answer may have {answer}, but the model sees only "
            "{context}: lower the completion length, or drop such rows.",
            fields=("max_completion_length", "dataset"),
            longest=longest,
            answer=answer,
            context=context,
        )
