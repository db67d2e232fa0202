"""Every change that is made to verl 0.9.1 and its Ray from outside, in one place; `TARGETS` are held by a test.

A process of verl imports this while verl itself is being imported, so that targets are named as text and loaded late.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any

TARGETS = {
    "verl.utils.import_utils": ("is_trl_available",),
    "verl.utils.model": ("load_valuehead_model",),
    "verl.workers.config.optimizer": ("FSDPOptimizerConfig.__post_init__",),
    "verl.workers.engine.fsdp.transformer_impl": (
        "FSDPEngineWithValueHead.disable_adapter",
        "FSDPEngine._build_lr_scheduler",
    ),
    "ray._private.services": ("get_node",),
    "torch.distributed": ("init_process_group",),
    "torch": ("Tensor.pin_memory",),
}
"""Module → what of it is replaced."""
START_SECONDS = 180.0


def everywhere() -> None:
    """What is needed on GPUs, too."""
    on_import("verl.utils.import_utils", without_trl)
    on_import("ray._private.services", a_slow_start_is_a_start)
    on_import("verl.workers.config.optimizer", linear_is_allowed)
    on_import("verl.workers.engine.fsdp.transformer_impl", critic_without_adapter, linear_schedule)
    if importlib.util.find_spec("flash_attn") is None:
        on_import("verl.utils.model", value_model_without_flash_attention)


def on_cpu() -> None:
    """What a machine without an accelerator needs."""
    import torch
    import torch.distributed

    one_backend(torch.distributed)
    if not torch.accelerator.is_available():
        nothing_to_pin(torch)


def without_trl(module: Any) -> None:
    """verl imports AutoModelForCausalLMWithValueHead wherever TRL is installed; TRL 1 has it no more."""
    module.is_trl_available = lambda: False


def a_slow_start_is_a_start(module: Any) -> None:
    """Ray gives up when its own node is not there within 30 seconds, which a busy machine does not always manage."""
    look_up = module.get_node

    def get_node(*args: Any, **more: Any) -> Any:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return look_up(*args, **more)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    module.get_node = get_node


def critic_without_adapter(module: Any) -> None:
    """With LoRA, the reference's `no_lora_adapter` reaches the critic, too, which asks for an adapter it lacks."""
    module.FSDPEngineWithValueHead.disable_adapter = lambda self: nullcontext()


def linear_is_allowed(module: Any) -> None:
    """FSDP's optimizer config knows constant and cosine; `linear_schedule` adds the third."""
    check = module.FSDPOptimizerConfig.__post_init__

    def post_init(self: Any) -> None:
        asked = self.lr_scheduler_type
        if asked == "linear":
            self.lr_scheduler_type = "constant"
        check(self)
        if asked == "linear":
            self.lr_scheduler_type = asked

    module.FSDPOptimizerConfig.__post_init__ = post_init


def linear_schedule(module: Any) -> None:
    """A learning rate that falls linearly to zero after the warm-up, which verl has for Megatron only."""
    build = module.FSDPEngine._build_lr_scheduler

    def build_lr_scheduler(self: Any, optimizer: Any) -> Any:
        config = self.optimizer_config
        if config.lr_scheduler_type != "linear":
            return build(self, optimizer)
        from transformers import get_linear_schedule_with_warmup

        return get_linear_schedule_with_warmup(optimizer, max(0, config.lr_warmup_steps), config.total_training_steps)

    module.FSDPEngine._build_lr_scheduler = build_lr_scheduler


def value_model_without_flash_attention(module: Any) -> None:
    """verl loads critics with flash_attention_2, installed or not."""

    def load(local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool) -> Any:
        from transformers import AutoModelForTokenClassification

        model_config.num_labels = 1
        return AutoModelForTokenClassification.from_pretrained(
            local_path,
            dtype=torch_dtype,
            config=model_config,
            attn_implementation="sdpa",
            trust_remote_code=trust_remote_code,
        )

    module.load_valuehead_model = load


def one_backend(module: Any) -> None:
    """verl asks for "cpu:gloo,<device>:<backend>", which on a CPU names it twice."""
    start = module.init_process_group

    def init_process_group(backend: Any = None, *args: Any, **more: Any) -> Any:
        twice = isinstance(backend, str) and backend.count("cpu:") > 1
        return start("gloo" if twice else backend, *args, **more)

    module.init_process_group = init_process_group
    module.distributed_c10d.init_process_group = init_process_group


def nothing_to_pin(module: Any) -> None:
    """FSDP2 pins the memory of offloaded weights; without an accelerator there is nothing to pin it for."""
    module.Tensor.pin_memory = lambda self, *args, **more: self


def on_import(name: str, *changes: Callable[[Any], None]) -> None:
    """Change a module now, or as soon as it is imported."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _Changing(name, changes))
        return
    for change in changes:
        change(sys.modules[name])


class _Changing(MetaPathFinder):
    """Lets the others find a module, and changes it when it has been loaded."""

    def __init__(self, name: str, changes: Sequence[Callable[[Any], None]]) -> None:
        self.name, self.changes = name, changes

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _ChangingLoader(spec.loader, self.changes)
        return spec


class _ChangingLoader(Loader):
    def __init__(self, loader: Any, changes: Sequence[Callable[[Any], None]]) -> None:
        self.loader, self.changes = loader, changes

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        for change in self.changes:
            change(module)
