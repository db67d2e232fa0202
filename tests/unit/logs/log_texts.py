"""What the tests of logs share: logs written, and the lines that are shown of one."""

from datetime import datetime, timedelta
from pathlib import Path

from platform_core.logs.page import tail


def log(folder: Path, content: str | bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(path: Path, **options: object) -> list[str]:
    return [line.text for line in tail(path, **options).lines]


START = datetime(2026, 5, 1, 22, 0, 0)  # noqa: DTZ001 (a log tells no zone)


def dated(lines: int) -> str:
    """A line every ten seconds."""
    return "".join(f"{START + timedelta(seconds=10 * i)},000 INFO x: line {i}\n" for i in range(lines))
