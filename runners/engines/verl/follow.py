"""What a training on verl writes, taken over as it appears: metrics, rollouts, validation answers, checkpoints."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.rollout import RolloutSpec
from platform_core.errors import Problem, Text
from platform_core.files import remove_whole
from platform_core.verl.rl import prompts_of
from platform_core.verl.setup import Setup
from runners.engines.hf import checkpoint
from runners.engines.hf.rewards import Failures
from runners.engines.verl.names import SAME, ours
from runners.job import Run
from runners.report import Report

SHOWN_PROMPTS, SHOWN_COMPLETIONS, FOLLOWED_PROMPTS = 2, 2, 8
REWARD_RANKS = 33
SHOWN_ANSWERS = 8


@dataclass
class Lines:
    """Whole lines that are appended to a file, each once."""

    path: Path
    _at: int = 0

    def new(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


@dataclass
class Follower:
    """Reads the folder of one attempt of a training of `total` steps."""

    run: Run
    report: Report
    setup: Setup
    total: int
    found: checkpoint.Found
    step: int = 0
    tokens: int = 0
    values: dict[str, float] = field(default_factory=dict)
    saved: int = 0

    def __post_init__(self) -> None:
        assert isinstance(self.run.spec, EngineSpec)
        self.spec = self.run.spec
        self.metrics, self.reward_errors = Lines(self.setup.metrics_file), Lines(self.setup.reward_errors)
        self.failures = Failures(self.report)
        self.best = checkpoint.Best(self.spec.keep_best, self.spec.best_is == "higher") if self.spec.keep_best else None
        self.step = self.saved = self.setup.resume or 0
        self._reported_step = self.step
        self._rolled_out = self._validated = self.step
        self._followed: tuple[str, ...] = ()
        self._left_out = False
        whole = self.found.whole
        if whole is not None:
            self.tokens, self.values = checkpoint.trained_tokens(whole), dict(checkpoint.saved_values(whole))

    def look(self, ended: bool = False) -> None:
        """Take over what is new; `ended`: nothing more will come, so that the last files are whole.

        Raises Problem when the reward stops the training: verl itself leaves the prompt out and goes on.
        """
        for line in self.metrics.new():
            self._metrics(int(line.get("step", 0)), line.get("data", {}))
        for step in self._new_files(self.setup.rollouts, self._rolled_out, ended):
            self._rollouts(step)
            self._rolled_out = step
        for step in self._new_files(self.setup.validations, self._validated, ended):
            self._validation(step)
            self._validated = step
        self._checkpoint(ended)
        for line in self.reward_errors.new():
            error = Text.from_json(line["error"])
            if line["stops"]:
                raise Problem.of(error)
            self.failures.tell(error)

    def told(self) -> dict[str, float]:
        """The last values of the metrics that other engines have, too; verl's own are in the curves."""
        known = {*SAME.values(), "num_tokens", "reward_std", "frac_reward_zero_std", "eval_reward"}
        return {name: value for name, value in self.values.items() if name in known}

    def _metrics(self, step: int, data: dict[str, Any]) -> None:
        values = ours(data)
        self.tokens += int(data.get("train/global_tokens") or data.get("perf/total_num_tokens") or 0)
        values["num_tokens"] = self.tokens
        self.step = max(self.step, step)
        self.values |= values
        every = self.spec.logging_steps
        if step == 1 or step % every == 0 or step >= self.total or any(n.startswith("eval_") for n in values):
            self.report.metrics(step, values)
        if step > self._reported_step:
            self._reported_step = step
            self.report.progress(step, self.total, tokens=self.tokens, **self._epoch(values))
        for name in ("loss", "grad_norm"):
            if name in values and not math.isfinite(values[name]):
                raise broken(step, name, self.spec.learning_rate)

    @staticmethod
    def _epoch(values: dict[str, float]) -> dict[str, float]:
        return {"epoch": values["epoch"]} if "epoch" in values else {}

    def _new_files(self, folder: Path, after: int, ended: bool) -> list[int]:
        """Steps after `after` whose file is whole: a later one is there, or later metrics, or all has ended."""
        steps = sorted(int(p.stem) for p in folder.glob("*.jsonl") if p.stem.isdigit() and int(p.stem) > after)
        return [step for step in steps if ended or step < max(steps) or step < self.step]

    def _rollouts(self, step: int) -> None:
        rows = list(Lines(self.setup.rollouts / f"{step}.jsonl").new())
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(str(row.get("uid", "")).partition("_")[0] or str(row["input"]), []).append(row)
        scores = [float(row["score"]) for row in rows]
        self._tell_left_out(step, len(rows))
        if not scores:
            return
        self._followed = self._followed or tuple(dict.fromkeys(str(row["input"]) for row in rows))[:FOLLOWED_PROMPTS]
        spreads = [statistics.stdev(r["score"] for r in g) if len(g) > 1 else 0.0 for g in groups.values()]
        spread = {
            "reward_std": statistics.fmean(spreads),
            "frac_reward_zero_std": sum(s == 0 for s in spreads) / len(spreads),
        }
        parts = [name for name in rows[0] if name.startswith("rewards/")]
        if len(parts) > 1:
            spread |= {f"{name}/mean": statistics.fmean(row[name] for row in rows) for name in parts}
        self.values |= spread
        if step == 1 or step % self.spec.logging_steps == 0:
            self.report.metrics(step, spread)
        ranks = ordered(scores, REWARD_RANKS)
        self.report.writer.vector("reward", step, [str(n) for n in range(len(ranks))], ranks)
        for nth, group in enumerate(groups.values()):
            if nth < SHOWN_PROMPTS or group[0]["input"] in self._followed:
                for row in group[:SHOWN_COMPLETIONS]:
                    self.report.sample(step, **shown(row))

    def _tell_left_out(self, step: int, rows: int) -> None:
        """verl leaves out the prompts whose answering failed, logs why, and goes on with the others."""
        assert isinstance(self.spec, RolloutSpec)
        asked = prompts_of(self.spec, self.setup.gpus_per_node * self.spec.nodes) * self.spec.num_generations
        if rows < asked and not self._left_out:
            self._left_out = True
            said = f"verl left out {asked - rows} of {asked} answers of step {step}, which failed: the log says why"
            self.report.event("left_out", said, level="warning", at=step, answers=asked - rows)

    def _validation(self, step: int) -> None:
        rows = Lines(self.setup.validations / f"{step}.jsonl").new()
        for row, _ in zip(rows, range(SHOWN_ANSWERS), strict=False):
            self.report.sample(step, source="validation", **shown(row))

    def _checkpoint(self, ended: bool) -> None:
        saving = Path(self.setup.checkpoints)
        try:
            step = int((saving / "latest_checkpointed_iteration.txt").read_text())
        except (OSError, ValueError):
            return
        part = saving / f"global_step_{step}"
        # A run that goes on from here forgets what comes later: what came before must be told first.
        if step <= self.saved or not part.is_dir() or (self.step < step and not ended):
            return
        self.report.must_store()
        values = {name: value for name, value in self.values.items() if math.isfinite(value)}
        keep = self.spec.keep_checkpoints
        checkpoint.complete(
            part, self.run.checkpoints, step, keep, self.tokens, job=self.run.id, values=values, best=self.best
        )
        self.saved = step
        for folder, _ in self.found.damaged:
            if (folder / checkpoint.MARKER).is_file() and checkpoint.step_of(folder) != step:
                remove_whole(folder)
        self.report.event("checkpoint", f"checkpoint of step {step} saved", at=step)


def shown(row: dict[str, Any]) -> dict[str, object]:
    """A rollout of verl in the words of the samples table."""
    return {
        "prompt": row.get("input"),
        "completion": row.get("output"),
        "reference": row.get("gts"),
        "reward": row.get("score"),
        "rewards": {str(k).removeprefix("rewards/"): v for k, v in row.items() if str(k).startswith("rewards/")},
    }


def ordered(values: list[float], most: int) -> list[float]:
    """The values in order; of more than `most`, that many evenly spaced ones with the first and the last."""
    found = sorted(values)
    return found if len(found) <= most else [found[round(at * (len(found) - 1) / (most - 1))] for at in range(most)]


def broken(step: int, name: str, learning_rate: float) -> Problem:
    """The sentence for a training that blew up."""
    return Problem(
        "{name} became NaN at step {step}: the training blew up. Lower the learning rate ({learning_rate}), "
        "lengthen the warm-up, or look for broken rows in the dataset.",
        fields=("learning_rate",),
        name=name,
        step=step,
        learning_rate=learning_rate,
    )
