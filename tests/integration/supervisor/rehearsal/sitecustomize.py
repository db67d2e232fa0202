"""Read by every Python that has this folder on PYTHONPATH: one more kind of job, `rehearsal`, for tests."""

import importlib.util
import os
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = {
    "platform_core.algorithms.rehearsal": HERE / "kinds" / "rehearsal.py",
    "runners.programs.rehearsal": HERE / "programs" / "rehearsal.py",
}


class Finder:
    """Finds the two modules of the kind, where their packages do not have them."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, MODULES[name]) if name in MODULES else None


def install() -> None:
    """Make the kind known in this process."""
    import platform_core.algorithms as kinds

    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)
        kinds.__path__.append(str(HERE / "kinds"))


def remove() -> None:
    """Make it unknown again."""
    import platform_core.algorithms as kinds

    sys.meta_path.remove(Finder)
    kinds.__path__.remove(str(HERE / "kinds"))


def shift_clock(seconds: float) -> None:
    """Let this process live in another time."""
    right = time.time
    time.time = lambda: right() + seconds


install()
if "LATHE_TEST_CLOCK" in os.environ:
    shift_clock(float(os.environ["LATHE_TEST_CLOCK"]))
