"""What the engine must know of a model before verl loads it."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig

from platform_core.errors import Problem
from runners.engines.hf.adapter import is_adapter


def context_length(folder: Path) -> int | None:
    """Positions that the model can see, or None when its config does not say; raises Problem for an adapter alone."""
    if is_adapter(folder):
        raise Problem(
            "{folder} is an adapter, and verl starts from whole models: choose a result that is merged, or the engine "
            "hf.",
            fields=("model", "engine"),
            folder=str(folder),
        )
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
    length = getattr(config, "max_position_embeddings", None)
    return int(length) if length else None
