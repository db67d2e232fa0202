"""Evaluate a model: `python -m runners.programs.evaluate <job folder>`."""

from __future__ import annotations

import sys
from pathlib import Path

from runners.programs import run_engine


def main(folder: Path) -> int:
    """Run the job in `folder`; the exit code is 0 unless it failed."""
    return run_engine(folder, "evaluate")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
