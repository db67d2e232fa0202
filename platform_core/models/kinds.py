"""What a folder is, told by its small files alone."""

from __future__ import annotations

from pathlib import Path

from platform_core.files import read_json


def is_reward_model(path: Path) -> bool:
    """Whether a folder holds a model, or an adapter, that scores texts and does not write any."""
    architectures = (read_json(path / "config.json") or {}).get("architectures")
    if isinstance(architectures, list) and any("ForSequenceClassification" in str(name) for name in architectures):
        return True
    return (read_json(path / "adapter_config.json") or {}).get("task_type") == "SEQ_CLS"
