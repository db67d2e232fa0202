"""The environment of a runner: its threads, repeatable, offline, and without anybody's secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from platform_core.root import python_path

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
SECRET = re.compile(
    r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH|COOKIE)S?($|_)|PASSWORD$", re.I
)
NOT_FOR_RUNNERS = ("PLATFORM_DATABASE_URL", "SSH_AUTH_SOCK", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT")
LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def runner_environment(
    home: Path, threads: int, given: Mapping[str, str] | None = None, gpus: Sequence[str] | None = None
) -> dict[str, str]:
    """The environment for a runner, made from ours: it needs no network, no database and no secret.

    `gpus`: the UUIDs that it may see, an empty list for none; None leaves that as it is.
    """
    found = dict(os.environ if given is None else given)
    kept = {k: v for k, v in found.items() if not SECRET.search(k) and k not in NOT_FOR_RUNNERS}
    return {
        **kept,
        **{name: str(threads) for name in THREADS},
        "PYTHONPATH": python_path(kept.get("PYTHONPATH", "")),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's only thread: the warm parent forks
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": kept.get("HF_HOME") or str(home / "cache" / "huggingface"),
        "PLATFORM_HOME": str(home),
        **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}),
    }


def redacted(environment: Mapping[str, str]) -> dict[str, str]:
    """The same for reading: what looks like a secret, also a login inside a URL, is masked."""
    return {k: "***" if SECRET.search(k) else LOGIN_IN_URL.sub("***", v) for k, v in sorted(environment.items())}
