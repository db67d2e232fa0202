"""Reinforcement learning on verl: PPO and what is made of it by another advantage or loss, on Ray."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

from platform_core.algorithms.rollout import RolloutSpec
from platform_core.errors import Problem
from platform_core.verl.rl import prompts_of
from runners.engines.hf.model import load_tokenizer
from runners.engines.hf.validation import training_rows
from runners.engines.verl.data import is_plain, longest_prompt, write_prompts
from runners.engines.verl.failures import no_cluster
from runners.engines.verl.model import context_length
from runners.engines.verl.reward import prepare_reward
from runners.engines.verl.training import begin, run_verl
from runners.job import Run
from runners.report import Report

CONNECT_SECONDS = 10.0


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's RolloutSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, RolloutSpec)
    if spec.ray_address:
        reach(spec.ray_address)
    setup = begin(run)
    tokenizer = load_tokenizer(setup.model)
    file = run.paths["dataset"].name
    saved, reward = prepare_reward(run, report, setup.run)
    rows, measured = training_rows(run, "grpo", report, saved.reward.columns)
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
    write_prompts(Path(setup.train_file), rows, file, saved.reward.needs_row)
    if measured:
        write_prompts(Path(setup.validation_file), measured, file, saved.reward.needs_row)
    report.phase("tokenizing")
    longest = longest_prompt([*rows, *measured], tokenizer, file)
    setup = dataclasses.replace(
        setup,
        prompt_length=longest,
        plain=is_plain(rows, file),
        validation=bool(measured),
        critic=run.paths.get("critic_model"),
        reward=reward,
    )
    check_room(longest, spec.max_completion_length, context_length(setup.model))
    total = spec.max_steps or max(1, int(spec.epochs * batches))
    return run_verl(run, report, setup, batches, total, tokenizer)


def reach(address: str) -> None:
    """Raise Problem when nothing listens at the address of a cluster, which Ray finds out after minutes only."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise no_cluster() from error


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
