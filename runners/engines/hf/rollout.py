"""What all online trainings share: prompts, rewards, rollouts that are shown, exact resume, the frame of a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl.models.utils import disable_gradient_checkpointing

from platform_core.algorithms.rollout import RolloutSpec
from platform_core.errors import Problem
from platform_core.rewards.store import Saved
from runners.engines.hf import adapter
from runners.engines.hf.data import encode, prompt_text
from runners.engines.hf.model import context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.rewards import JobReward, columns, job_scorer, saved_reward
from runners.engines.hf.saving import resumable_every
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report

FAMILY = "grpo"
Beside = Callable[[Run, Any], dict[str, Any]]
"""Makes from run and tokenizer what a trainer takes besides what all take."""
SHOWN_PROMPTS, SHOWN_COMPLETIONS = 2, 2
FOLLOWED_PROMPTS = 8
"""Prompts, the first of the dataset, whose completions are shown whenever they come again."""
REWARD_RANKS = 33
"""Order statistics of a batch's rewards that are kept: the least, the largest, and what lies evenly between."""


class Rollouts:
    """Put before TRL's GRPOTrainer or RLOOTrainer: resumes exactly and shows some of the rollouts.

    A subclass may choose other prompts (`choose`) and give other credit (`credit`); what it learns beside the policy,
    it writes in `save_state` and reads in `load_state`.
    """

    grouped = True
    """Whether completions are compared with the others of their prompt."""

    def __init__(self, *args: Any, reward: JobReward, report: Report, **more: Any) -> None:
        super().__init__(*args, reward_funcs=reward, **more)
        self.reward, self.report = reward, report
        self.scores = torch.empty(0)
        """Reward of each completion of the last batch, NaN where no reward function knew one."""
        self.followed = first_prompts(self.train_dataset["prompt"], FOLLOWED_PROMPTS)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        # TRL draws the prompt order of every epoch from one running generator that no checkpoint keeps.
        sampler = super()._get_train_sampler(dataset)
        sampler.set_epoch = lambda epoch: sampler.generator.manual_seed(sampler.seed + epoch)
        return sampler

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        training = self.model.training
        scored: dict[str, torch.Tensor] = super()._generate_and_score_completions(
            self.choose(inputs) if training else inputs
        )
        mode = "train" if training else "eval"
        if not self.grouped:
            self._metrics[mode].pop("frac_reward_zero_std", None)
        with torch.no_grad():
            self.credit(scored, mode)
        if not training:
            return scored
        step, every, logged = self.state.global_step + 1, resumable_every(self), self.args.logging_steps
        if step == 1:
            self._warn_of_equal_rewards()
        if step == 1 or (step + every - 1) // logged > (step - 1) // logged:
            self._show(step, sequence_advantages(scored), scored["completion_ids"][:, -1].tolist())
        return scored

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> torch.Tensor:
        by_function: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, ids)
        weights = self.reward_weights.to(by_function.device)
        unknown = by_function.isnan().all(dim=1)
        self.scores = (by_function * weights).nansum(dim=1).masked_fill(unknown, float("nan"))
        return by_function

    def known_scores(self) -> list[float]:
        """The rewards of the last batch that are known."""
        return list(self.scores[~self.scores.isnan()].tolist())

    def choose(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows to answer, each `num_generations` times, in place of those that the dataset's order gives."""
        return inputs

    def credit(self, scored: dict[str, torch.Tensor], mode: str) -> None:
        """Put other advantages, (B,) or (B, T), and what the loss needs beside them into a batch of completions."""

    def log_probs(self, scored: dict[str, torch.Tensor]) -> torch.Tensor:
        """Log-probabilities (B, T) of the completions under the policy that wrote them."""
        if "old_per_token_logps" not in scored:
            scored["old_per_token_logps"] = self.log_probs_of(
                *(scored[f"prompt_{part}"] for part in ("ids", "mask")),
                *(scored[f"completion_{part}"] for part in ("ids", "mask")),
            )
        return scored["old_per_token_logps"]

    def log_probs_of(
        self, prompts: torch.Tensor, prompt_mask: torch.Tensor, completions: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Log-probabilities (B, T) of completions, padded at the right, after prompts, padded at the left."""
        ids, whole = torch.cat([prompts, completions], 1), torch.cat([prompt_mask, mask], 1)
        with disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
            found: torch.Tensor = self._get_per_token_logps_and_entropies(
                self.model, ids, whole, completions.size(1), batch_size=self.args.per_device_train_batch_size
            )[0]
        return found

    def _warn_of_equal_rewards(self) -> None:
        rewards = self.known_scores()
        if len(rewards) > 1 and min(rewards) == max(rewards):
            said = (
                f"all {len(rewards)} completions of the first rollout got the reward {rewards[0]:g}: if it stays so, "
            )
            said += "there is nothing to learn from; look at the samples, and where the reward looks for the answer"
            self.report.event("equal_rewards", said, level="warning", reward=rewards[0], count=len(rewards))

    def _show(self, step: int, advantages: list[float], last_ids: list[int]) -> None:
        group = self.num_generations
        ends = {*self.eos_token_ids, self.processing_class.pad_token_id}
        ranks = spread(self.known_scores(), REWARD_RANKS)
        self.report.writer.vector("reward", step, [str(n) for n in range(len(ranks))], ranks)
        for nth, start in enumerate(range(0, len(advantages), group)):
            if nth >= SHOWN_PROMPTS and self.reward.prompt(start) not in self.followed:
                continue
            for at in range(start, start + min(SHOWN_COMPLETIONS, group)):
                cut = last_ids[at] not in ends
                self.report.sample(step, **self.reward.sample(at), advantage=round(advantages[at], 4), truncated=cut)

    def save_state(self, folder: Path) -> None:
        """Write what was learned beside the policy into a checkpoint."""

    def load_state(self, folder: Path) -> None:
        """Read it back."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.save_state(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.load_state(Path(checkpoint))


def sequence_advantages(scored: dict[str, torch.Tensor]) -> list[float]:
    """One advantage a completion, (B,) or the mean over the tokens of (B, T)."""
    advantages = scored["advantages"]
    if advantages.dim() == 1:
        return list(advantages.tolist())
    mask = scored["completion_mask"]
    return list(((advantages * mask).sum(1) / mask.sum(1).clamp(min=1)).tolist())


def first_prompts(prompts: Any, count: int) -> frozenset[str]:
    """The first `count` different prompts of a dataset, to be followed through the training."""
    return frozenset(list(dict.fromkeys(prompts))[:count])


def spread(values: list[float], most: int) -> list[float]:
    """The values in order; of more than `most`, that many evenly spaced ones with the first and the last."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(at * (len(ordered) - 1) / (most - 1))] for at in range(most)]


def completion_length(spec: RolloutSpec, model: Any, tokenizer: Any, prompts: Any, report: Report) -> int:
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


def rollout_arguments(run: Run, spec: RolloutSpec, config: type, completion: int, **more: Any) -> Any:
    """The GRPOConfig or RLOOConfig of a job; `completion`: tokens that a completion may have."""
    group = spec.num_generations
    settings = training_arguments(run, spec)
    if "per_device_eval_batch_size" in settings:
        settings["per_device_eval_batch_size"] = max(group, spec.batch_size // group * group)
    found = config(
        **settings,
        # TRL refuses groups of one, which PPO and SPO may have: they need no comparison.
        num_generations=group if group > 1 else spec.rollout,
        num_generations_eval=group,
        steps_per_generation=spec.gradient_accumulation_steps * spec.minibatches,
        max_completion_length=completion,
        mask_truncated_completions=spec.mask_truncated,
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=0,
        beta=spec.kl_coef,
        num_iterations=spec.num_iterations,
        epsilon=spec.clip_epsilon,
        epsilon_high=spec.clip_epsilon_high,
        **more,
    )
    found.num_generations = group
    return found


def learn(
    run: Run,
    report: Report,
    trainer: type,
    config: type,
    beside: Beside | None = None,
    **more: Any,
) -> dict[str, object]:
    """Train as the job's RolloutSpec says and leave the model in `run.output`; returns the last numbers.

    `trainer` is a `Rollouts`, which takes what `beside` makes of run and tokenizer; `more` goes to its TRL `config`.
    """
    found = saved_reward(run)
    with job_scorer(run, report, found) as scorer:
        return _learn(run, report, found, JobReward(scorer, report), trainer, config, beside, **more)


def _learn(
    run: Run,
    report: Report,
    found: Saved,
    reward: JobReward,
    trainer: type,
    config: type,
    beside: Beside | None,
    **more: Any,
) -> dict[str, object]:
    spec = run.spec
    assert isinstance(spec, RolloutSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    file = run.paths["dataset"].name
    rows, measured = training_rows(run, FAMILY, report, found.reward.columns)
    prompts = spec.rollout // spec.num_generations
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
    model, peft_config = load_start(run, tokenizer)
    completion = completion_length(spec, model, tokenizer, data["prompt"], report)
    made = trainer(
        model=model,
        args=rollout_arguments(run, spec, config, completion, **more),
        train_dataset=data,
        eval_dataset=held_out,
        peft_config=peft_config,
        processing_class=tokenizer,
        reward=reward,
        report=report,
        **(beside(run, tokenizer) if beside else {}),
    )
    if made.ref_model is not None and adapter.is_adapter(run.paths["model"]):
        made.ref_model.load_state_dict(made.model.state_dict())  # TRL loads the base without the merged adapter
    result = run_training(made, run, report)
    save_model(made.model, tokenizer, run)
    return result
