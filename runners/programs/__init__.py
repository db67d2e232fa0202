"""Programs that run a job: `python -m runners.programs.<program> <job folder>`, or `main(folder)` in a forked child."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path

from platform_core.algorithms.parallel import ParallelSpec
from platform_core.algorithms.registry import algorithm
from runners import ranks
from runners.job import Run, load_run, run_job
from runners.provenance import record_beside
from runners.report import Report
from runners.untouched import compiler_untouched, cuda_untouched

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
"""Read by the libraries when they are imported, so set before that. The last one lets a warm parent ask for CUDA
without starting it, which a fork would not survive."""

HEAVY = (
    "trl.trainer.sft_trainer",
    "trl.trainer.grpo_trainer",
    "trl.trainer.rloo_trainer",
    "transformers.models.llama.modeling_llama",
    "runners.engines.hf.tokenizer",
    "runners.engines.hf.pretrain",
    "runners.engines.hf.sft",
    "runners.engines.hf.grpo",
    "runners.engines.hf.gspo",
    "runners.engines.hf.rloo",
    "runners.engines.hf.ppo",
    "runners.engines.hf.spo",
    "runners.engines.hf.evaluate",
    "runners.engines.hf.distill",
    "runners.engines.hf.distill_on_policy",
)


logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # warns of a kernel from a hub at import


def preload() -> None:
    """Import what the programs need (about 4 CPU seconds), so that children forked from here start at once.

    Imports only: no Python thread and no tensor operation; the native threads of OpenBLAS and jemalloc know forks. What
    decides a result (seeds, threads, environment) is set by each program's `main`, so that a forked run equals a cold
    one bit for bit.
    """
    os.environ.update(ENVIRONMENT)
    with cuda_untouched(), compiler_untouched():
        for module in HEAVY:
            importlib.import_module(module)


def run_engine(folder: Path, verb: str) -> int:
    """Run the newest attempt in `folder` by `verb` of `runners/engines/<engine>/<kind>.py`; returns the exit code."""
    os.environ.update(ENVIRONMENT)
    asked = load_run(folder)
    if isinstance(asked.spec, ParallelSpec) and asked.spec.world_size > 1:
        if not ranks.is_rank():
            return ranks.launch(algorithm(asked.kind).program, folder, asked.spec, asked.threads)
    else:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more, the Trainer would start DataParallel

    def work(run: Run, report: Report) -> dict[str, object]:
        os.environ["OMP_NUM_THREADS"] = str(run.threads)
        report.phase("starting")
        recorded = record_beside(run) if run.rank == 0 else None
        with compiler_untouched():
            engine = importlib.import_module(f"runners.engines.{run.engine}.{run.kind}")
        try:
            result: dict[str, object] = getattr(engine, verb)(run, report)
        finally:
            if recorded is not None:
                recorded.join()
        return result

    return run_job(folder, work)
