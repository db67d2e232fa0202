"""What a transformers Trainer tells while it trains: its logged scalars, speed, progress, gradient norms by layer."""

from __future__ import annotations

import logging
import re
import resource
import sys
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from platform_core.clock import monotonic
from platform_core.environment.machine import memory_bytes
from platform_core.jobs.utilization import flops_per_token
from runners.report import Report

log = logging.getLogger("lathe.train")

LOG_EVERY_SECONDS = 2.0
PROGRESS_EVERY_SECONDS = 0.2
LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")
AT_THE_END = "train_runtime"
FIRST_BATCH = "first batch"
GIB = 2**30
TIGHT = 0.92
"""Share of the memory from which on the first batch's peak is warned about."""
CLOCKED = frozenset(
    f"eval_{name}"
    for name in (
        "runtime",
        "samples_per_second",
        "steps_per_second",
        "num_tokens",
        "step_time",
        "model_preparation_time",
    )
)
"""Of a measurement, what says how long it took."""
IN_THE_LOG = ("loss", "reward", "grad_norm", "learning_rate", "mean_token_accuracy", "tokens_per_second")


class Reporting(TrainerCallback):  # type: ignore[misc]
    """Passes the Trainer's logs on to the job's report.

    `values` holds the last logged scalars. `grad_norm` vectors are before clipping, as is the logged `grad_norm`, the
    root of their sum of squares.
    """

    def __init__(self, report: Report, rows_per_step: int, tokens: int = 0) -> None:
        self.report, self.rows_per_step = report, rows_per_step
        self.values: dict[str, float] = {}
        self.tokens = tokens
        self._logged = (0.0, 0, tokens)
        self._layers: list[str] = []
        self._parameters: list[torch.nn.Parameter] = []
        self._layer_of: list[int] = []
        self._norms: list[float] | None = None
        self._told = self._progressed = float("-inf")
        self._model: torch.nn.Module | None = None
        self._first = True

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        groups: dict[str, list[torch.nn.Parameter]] = {}
        for name, parameter in more["model"].named_parameters():
            if parameter.requires_grad:
                groups.setdefault(layer_name(name), []).append(parameter)
        self._layers, self._model = list(groups), more["model"]
        self._parameters = [p for group in groups.values() for p in group]
        self._layer_of = [at for at, group in enumerate(groups.values()) for _ in group]
        self._logged = (monotonic(), state.global_step, self.tokens)
        epoch = state.epoch or 0.0
        self.report.progress(state.global_step, state.max_steps, FIRST_BATCH, epoch=epoch, tokens=self.tokens)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        step = state.global_step + 1
        if step == 1 or step % args.logging_steps == 0 or step == state.max_steps:
            self._norms = self._layer_norms()

    def _layer_norms(self) -> list[float]:
        have = [(at, p.grad) for at, p in zip(self._layer_of, self._parameters, strict=True) if p.grad is not None]
        squares = torch.stack(torch._foreach_norm([grad for _, grad in have])).float().square().tolist()
        sums = [0.0] * len(self._layers)
        for (at, _), square in zip(have, squares, strict=True):
            sums[at] += square
        return [total**0.5 for total in sums]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        now = monotonic()
        if self._first:
            self._first = False
            self._tell_first_batch(now - self._logged[0])
        if now - self._progressed >= PROGRESS_EVERY_SECONDS or control.should_training_stop:
            self._progressed = now
            epoch = round(state.epoch or 0.0, 4)
            self.report.progress(state.global_step, state.max_steps, epoch=epoch, tokens=self.tokens)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        # The curves live in the job's metrics; kept here they would grow every checkpoint without bound.
        state.log_history.clear()
        values = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)}
        if any(name.startswith("eval_") for name in values):
            self._tell_measured(state.global_step, values)
            return
        if AT_THE_END in values:
            return
        step = state.global_step
        self.tokens = int(values.get("num_tokens", self.tokens))
        self._tell_speed(args, step, values)
        self.report.metrics(step, values)
        self.values |= values
        if monotonic() - self._told >= LOG_EVERY_SECONDS or step == state.max_steps:
            self._told = monotonic()
            shown = " ".join(f"{name}={value:.4g}" for name, value in values.items() if name in IN_THE_LOG)
            log.info("step %d/%d %s", step, state.max_steps, shown)
        if self._norms is not None:
            clipped_by = values.get("grad_norm", 0.0) / args.max_grad_norm if args.max_grad_norm else 1.0
            norms = [norm * max(1.0, clipped_by) for norm in self._norms]
            self.report.writer.vector("grad_norm", step, self._layers, norms)
            self._norms = None

    def _tell_speed(self, args: TrainingArguments, step: int, values: dict[str, float]) -> None:
        """Rows and tokens a second since they were last counted: a rollout's tokens count for all steps on it."""
        time, last_step, last_tokens = self._logged
        seconds = monotonic() - time
        if step <= last_step or seconds <= 0 or 0 < self.tokens == last_tokens:
            return
        self._logged = (monotonic(), step, self.tokens)
        rows = (step - last_step) * self.rows_per_step
        values["samples_per_second"] = rows / seconds
        values["tokens_per_second"] = (self.tokens - last_tokens) / seconds
        self._tell_flops(args, (self.tokens - last_tokens) / rows)

    def _tell_first_batch(self, seconds: float) -> None:
        used, there = peak_memory()
        said = f"the first batch took {seconds:.2g} s and {used / GIB:.1f} of {there / GIB:.0f} GiB of memory"
        tight = used > TIGHT * there
        said += ": hardly any is left, a longer batch may not fit" if tight else ""
        level = "warning" if tight else "info"
        self.report.event("first_batch", said, level=level, seconds=seconds, peak_bytes=used, memory_bytes=there)

    def _tell_measured(self, step: int, values: dict[str, float]) -> None:
        told = {name: value for name, value in values.items() if name.startswith("eval_") and name not in CLOCKED}
        self.report.metrics(step, told)
        self.values |= told
        log.info("step %d %s", step, " ".join(f"{name}={value:.4g}" for name, value in told.items()))

    def _tell_flops(self, args: TrainingArguments, length: float) -> None:
        """What a token of rows of `length` tokens takes, and which GPUs do it; nothing on a CPU."""
        if self._model is None or args.device.type != "cuda" or length <= 0:
            return
        found = model_flops(self._model, length)
        if found is not None:
            names = [torch.cuda.get_device_name(at) for at in range(max(1, args.n_gpu))] * args.world_size
            self.report.writer.progress(flops_per_token=found, gpu_names=names)


def peak_memory() -> tuple[int, int]:
    """The most bytes that this process has held so far, and how many there are: of its GPU, else of main memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, memory_bytes()


def model_flops(model: torch.nn.Module, length: float) -> float | None:
    """FLOPs of a training token in rows of `length`, of experts only those that a token passes; None: not known."""
    config: Any = getattr(model, "config", None)
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    used = config.num_experts_per_tok / experts if experts else 1.0
    counts = [
        (p.numel() * (used if ".experts." in name else 1.0), p.requires_grad) for name, p in model.named_parameters()
    ]
    whole = sum(count for count, _trained in counts)
    return flops_per_token(whole, config.num_hidden_layers, heads * size, length, sum(n for n, t in counts if t))


def layer_name(parameter: str) -> str:
    """`layer.3` for a parameter of the fourth block, else the name of its module (`embed_tokens`, `norm` …)."""
    found = LAYER.search("." + parameter)
    return f"layer.{found[1]}" if found else parameter.split(".")[-2]
