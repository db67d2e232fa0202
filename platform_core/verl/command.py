"""The command that trains on verl, exactly as it is run: arguments and what is added to the environment."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.rollout import RolloutSpec
from platform_core.algorithms.sft import SFTSpec
from platform_core.errors import Problem
from platform_core.verl import rl, sft
from platform_core.verl.override import Override, split
from platform_core.verl.setup import Setup

PLUGIN = "runners.engines.verl.plugin"
MANAGED = (
    "data.train_files",
    "data.val_files",
    "trainer.default_local_dir",
    "trainer.save_freq",
    "trainer.resume_mode",
    "trainer.resume_from_path",
    "trainer.logger",
    "trainer.rollout_data_dir",
    "trainer.validation_data_dir",
    "trainer.total_training_steps",
    "trainer.total_epochs",
    "trainer.device",
    "ray_kwargs.ray_init._temp_dir",
)
"""Keys that a person can't set: lathe finds files, steps and checkpoints by them."""
QUIET = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
"""Hydra would make a folder and a log of its own."""


@dataclass(frozen=True)
class Command:
    """What runs in the attempt's folder, with `environment` added; `config` is the one of verl that it starts from."""

    config: str
    program: tuple[str, ...]
    overrides: tuple[Override, ...]
    typed: tuple[str, ...]
    environment: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        return [*self.program, *map(str, self.overrides), *self.typed, *QUIET]

    def shell(self) -> str:
        """The command as one would type it, an override a line."""
        lines = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        lines += [shlex.join(self.program), *map(shlex.quote, (*map(str, self.overrides), *self.typed, *QUIET))]
        return " \\\n  ".join(lines)


def command(kind: str, spec: EngineSpec, setup: Setup, python: str) -> Command:
    """How a job of `kind` is trained by `python`; raises Problem for overrides of a person that can't be read."""
    typed = split(spec.verl_overrides or "")
    check_managed(typed)
    environment = {"VERL_USE_EXTERNAL_MODULES": PLUGIN, "VERL_FILE_LOGGER_PATH": str(setup.metrics_file)}
    if setup.device == "cpu":
        environment |= {"VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"}
    if isinstance(spec, SFTSpec):
        processes = f"--nproc-per-node={setup.gpus_per_node}"
        torchrun = (python, "-P", "-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0")
        program = (*torchrun, "--local-addr=127.0.0.1", processes, "-m", "runners.engines.verl.main_sft")
        return Command(sft.CONFIG, program, tuple(sft.overrides(spec, setup)), typed, environment)
    assert isinstance(spec, RolloutSpec)
    return Command(
        rl.CONFIG,
        (python, "-P", "-m", "runners.engines.verl.main_rl"),
        tuple(rl.overrides(spec, setup)),
        typed,
        environment | ray_environment(spec, setup),
    )


def ray_environment(spec: RolloutSpec, setup: Setup) -> dict[str, str]:
    """Ray for this job alone: on the loopback address, with a token (added when it starts), no statistics sent.

    Its workers compute as eagerly as any other training: Ray would put them behind everything else on the machine.
    """
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if setup.device == "cpu":
        quiet["CUDA_VISIBLE_DEVICES"] = "0"  # of the GPU that Ray is told of
    if spec.ray_address:
        # Tries of 40 seconds to reach the head; Ray by itself takes 20 before it says that there is none.
        return {**quiet, "RAY_gcs_server_port_wait_time_s": "2"}
    # By this name Ray decides whether a node is reachable from others; 0 keeps it on 127.0.0.1.
    return {**quiet, "RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}


def check_managed(typed: Sequence[str]) -> None:
    """Raise Problem for a key that is lathe's to set: files, steps and checkpoints."""
    for override in typed:
        key = override.partition("=")[0].lstrip("+")
        if key in MANAGED or key.startswith("hydra"):
            raise Problem(
                "“{key}” is set by lathe, which keeps files, steps and checkpoints together: leave it out.",
                fields=("verl_overrides",),
                key=key,
            )
