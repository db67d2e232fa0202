"""What the tests of datasets share: files and rows, and all that comes of reading a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.datasets.read import Rows, rows
from platform_core.datasets.rows import Limits
from platform_core.errors import Problem

FILES = Path(__file__).parent / "files"
SUMS = [{"prompt": f"{a}+{a + 1}=", "response": str(2 * a + 1)} for a in range(40)]
CHAT = [{"role": "user", "content": "2+3="}, {"role": "assistant", "content": "5"}]


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def everything(path: Path, limits: Limits | None = None) -> tuple[list[dict[str, object]], list[tuple[int, str]], Rows]:
    source = rows(path, limits=limits) if limits else rows(path)
    values = [row.value for row in source]
    return values, [(p.row, str(p.reason)) for p in source.problems.first], source


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(Problem) as caught:
        everything(path, limits)
    return str(caught.value)


def sums(n: int) -> Iterator[dict[str, object]]:
    return ({"prompt": f"{a}+{a}=", "response": str(2 * a)} for a in range(n))


def left_behind(home: Path) -> list[str]:
    return [p.name for p in (home / "datasets").iterdir() if p.name.startswith(".")]
