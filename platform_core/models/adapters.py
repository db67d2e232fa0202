"""Adapters (LoRA): small weights that need the model they were trained on.

An adapter's folder names its base twice: `adapter_config.json` by an absolute path, as other programs read it, and
`lathe.json` relative to the folder itself, so that a workspace can be moved.
"""

from __future__ import annotations

import os
from pathlib import Path

from platform_core.errors import Problem
from platform_core.files import read_json


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and not a whole model."""
    return (folder / "adapter_config.json").is_file()


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter was trained on; raises Problem when it is not there."""
    named = str((read_json(folder / "adapter_config.json") or {}).get("base_model_name_or_path") or "")
    relative = (read_json(folder / "lathe.json") or {}).get("base")
    places = [folder / relative] if isinstance(relative, str) else []
    for place in [*places, *([Path(named)] if os.path.isabs(named) else [])]:
        if (place / "config.json").is_file():
            return place.resolve()
    raise Problem(
        "The adapter {folder} was trained on {base}, which is not there: put that model back, or merge the adapter "
        "where its base is.",
        fields=("model",),
        folder=str(folder),
        base=named or "?",
    )


def config_folder(folder: Path) -> Path:
    """Where the `config.json` of a model stands: the folder itself, or the base of an adapter; raises Problem."""
    return base_of(folder) if is_adapter(folder) else folder
