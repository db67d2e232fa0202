"""`python -m runners.engines.verl.merge BACKEND SHARDS TARGET`: verl's model merger, with weights in float32."""

from __future__ import annotations

import os
import sys
from typing import Any

import torch


def keep_float32() -> None:
    """verl's merger rounds all weights to bfloat16; the shards hold float32."""
    torch.Tensor.bfloat16 = lambda self, *more: self  # type: ignore[method-assign]


def main(backend: str, shards: str, target: str) -> None:
    """Merge the shards of one model."""
    os.environ.setdefault("VERL_USE_EXTERNAL_MODULES", "runners.engines.verl.plugin")
    from verl.model_merger.base_model_merger import ModelMergerConfig

    merger_class: Any
    if backend == "fsdp":
        keep_float32()
        from verl.model_merger.fsdp_model_merger import FSDPModelMerger as merger_class
    else:
        from verl.model_merger.megatron_model_merger import MegatronModelMerger as merger_class

    config = os.path.join(shards, *(("huggingface",) if backend == "fsdp" else ("model", "huggingface")))
    asked = ModelMergerConfig(
        operation="merge", backend=backend, local_dir=shards, target_dir=target, hf_model_config_path=config
    )
    os.makedirs(target, exist_ok=True)
    merger = merger_class(asked)
    merger.merge_and_save()
    merger.cleanup()


if __name__ == "__main__":
    main(*sys.argv[1:])
