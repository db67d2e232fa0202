"""GRPO (Shao et al. 2024) on TRL's GRPOTrainer."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from platform_core.algorithms.grpo import GRPOSpec
from platform_core.errors import Problem
from platform_core.rewards.store import Saved
from runners.engines.hf.data import encode, prompt_text
from runners.engines.hf.model import context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.rewards import JobReward, columns, job_reward, saved_reward
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report

SHOWN_PROMPTS, SHOWN_COMPLETIONS = 2, 2
FOLLOWED_PROMPTS = 8
"""Prompts, the first of the dataset, whose completions are shown whenever they come again."""
REWARD_RANKS = 33
"""Order statistics of a batch's rewards that are kept: the least, the largest, and what lies evenly between."""


class RolloutTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that resumes exactly and shows some of its rollouts."""

    def __init__(self, *args: Any, reward: JobReward, report: Report, **more: Any) -> None:
        super().__init__(*args, reward_funcs=reward, **more)
        self.reward, self.report = reward, report
        self.followed = first_prompts(self.train_dataset["prompt"], FOLLOWED_PROMPTS)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        # TRL draws the prompt order of every epoch from one running generator that no checkpoint keeps.
        sampler = super()._get_train_sampler(dataset)
        sampler.set_epoch = lambda epoch: sampler.generator.manual_seed(sampler.seed + epoch)
        return sampler

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        scored: dict[str, torch.Tensor] = super()._generate_and_score_completions(inputs)
        step = self.state.global_step + 1
        if not self.model.training:
            return scored
        if step == 1 or step % self.args.logging_steps == 0:
            self._show(step, scored["advantages"].tolist(), scored["completion_ids"][:, -1].tolist())
        return scored

    def _show(self, step: int, advantages: list[float], last_ids: list[int]) -> None:
        group, batch = self.num_generations, self.reward.batch
        ends = {*self.eos_token_ids, self.processing_class.pad_token_id}
        ranks = spread([float(str(row["reward"])) for row in batch], REWARD_RANKS)
        self.report.writer.vector("reward", step, [str(n) for n in range(len(ranks))], ranks)
        for nth, start in enumerate(range(0, len(advantages), group)):
            if nth >= SHOWN_PROMPTS and batch[start]["prompt"] not in self.followed:
                continue
            for at in range(start, start + min(SHOWN_COMPLETIONS, group)):
                cut = last_ids[at] not in ends
                self.report.sample(step, **batch[at], advantage=round(advantages[at], 4), truncated=cut)


def first_prompts(prompts: Any, count: int) -> frozenset[str]:
    """The first `count` different prompts of a dataset, to be followed through the training."""
    return frozenset(list(dict.fromkeys(prompts))[:count])


def spread(values: list[float], most: int) -> list[float]:
    """The values in order; of more than `most`, that many evenly spaced ones with the first and the last."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(at * (len(ordered) - 1) / (most - 1))] for at in range(most)]


def completion_length(spec: GRPOSpec, model: Any, tokenizer: Any, prompts: Any, report: Report) -> int:
    """Tokens that a completion may have: what is asked for, at most what the longest prompt leaves of the context."""
    context = context_length(model)
    if context is None:
        return spec.max_completion_length
    longest = max(map(len, encode(list(prompts), tokenizer)))
    if longest >= context:
        raise Problem(
            "The longest prompt has {longest} tokens, but the model sees only {context}: drop such rows.",
            fields=("dataset",),
            longest=longest,
            context=context,
        )
    room = min(spec.max_completion_length, context - longest)
    if room < spec.max_completion_length:
        said = f"completions end after {room} tokens, where the model's context of {context} ends"
        report.event("cut_completions", said, level="warning")
    return room


def asked(rows: list[dict[str, Any]], tokenizer: Any, file: str, reward: Saved) -> Dataset:
    """Prompts as the model reads them, with the answers and whatever else the reward looks at."""
    prompts = [prompt_text(row["prompt"], tokenizer, file) for row in rows]
    return Dataset.from_dict({"prompt": prompts, "answer": [row["answer"] for row in rows], **columns(rows, reward)})


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's GRPOSpec says and leave the model in `run.output`; returns the last numbers."""
    with job_reward(run, report) as reward:
        return train_with(run, report, reward)


def train_with(run: Run, report: Report, reward: JobReward) -> dict[str, object]:
    """The training with its reward open."""
    spec = run.spec
    assert isinstance(spec, GRPOSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    file = run.paths["dataset"].name
    found = saved_reward(run)
    rows, measured = training_rows(run, "grpo", report, found.reward.columns)
    prompts = spec.batch_size * spec.gradient_accumulation_steps // spec.num_generations
    if len(rows) < prompts:
        raise Problem(
            "{file} has {rows} prompts, but one step takes {prompts}: lower the batch size or raise the group size.",
            fields=("batch_size", "dataset"),
            file=file,
            rows=len(rows),
            prompts=prompts,
        )
    data = asked(rows, tokenizer, file, found)
    held_out = asked(measured, tokenizer, file, found) if measured else None
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)
    arguments = GRPOConfig(
        **training_arguments(run, spec),
        num_generations=spec.num_generations,
        max_completion_length=completion_length(spec, model, tokenizer, data["prompt"], report),
        temperature=spec.temperature,
        top_k=0,
        beta=spec.kl_coef,
        num_iterations=spec.num_iterations,
        epsilon=spec.clip_epsilon,
        loss_type=spec.loss_type,
    )
    trainer = RolloutTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        eval_dataset=held_out,
        peft_config=adapter,
        processing_class=tokenizer,
        reward=reward,
        report=report,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result
