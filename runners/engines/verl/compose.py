"""Compose verl's own Hydra config: run by path with the interpreter of a job, it needs nothing of ours.

One JSON object in: `config` (name of verl's config) and `overrides`. One out: `config` as verl will see it, `error` of
Hydra, or `missing`, the package that this interpreter lacks.
"""

import importlib.util
import json
import os
import sys


def composed(config: str, overrides: list[str]) -> dict[str, object]:
    """What verl would be given; interpolations and `???` stay as they are."""
    try:
        from hydra import compose, initialize_config_dir
        from hydra.errors import HydraException
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        return {"missing": error.name or "hydra"}
    found = importlib.util.find_spec("verl")
    if found is None or not found.submodule_search_locations:
        return {"missing": "verl"}
    folder = os.path.join(next(iter(found.submodule_search_locations)), "trainer", "config")
    try:
        with initialize_config_dir(os.path.abspath(folder), version_base=None):
            return {"config": OmegaConf.to_container(compose(config, overrides))}
    except (HydraException, OmegaConfBaseException) as error:
        return {"error": f"{error}" + (f" ({error.__cause__})" if error.__cause__ else "")}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(composed(asked["config"], asked["overrides"]), sys.stdout)
