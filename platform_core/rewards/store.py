"""The folder of a saved reward: `reward.yaml`, `code.py` where it has its own Python, `cases.jsonl`."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platform_core import files
from platform_core.errors import Problem
from platform_core.rewards.cases import LARGEST_FILE, Case, read_cases, write_cases
from platform_core.rewards.resources import CODE, LARGEST_CODE
from platform_core.rewards.spec import Reward, read_reward, write_reward

REWARD, CASES = "reward.yaml", "cases.jsonl"
FILES = (REWARD, CODE, CASES)


@dataclass(frozen=True)
class Saved:
    """All of a reward; `folder` is None for a built-in one."""

    name: str
    reward: Reward
    code: str | None = None
    cases: Sequence[Case] = ()
    folder: Path | None = None


def is_reward(folder: Path) -> bool:
    """Whether a folder holds a reward."""
    return (folder / REWARD).is_file() and not folder.is_symlink()


def load(folder: Path) -> Saved:
    """Read a reward; raises Problem naming the file that can't be read."""
    try:
        reward = read_reward(_text(folder / REWARD, LARGEST_CODE) or "")
        cases = read_cases((_text(folder / CASES, LARGEST_FILE) or "").splitlines())
    except Problem as problem:
        raise Problem("The reward “{name}” can't be read: {why}", name=folder.name, why=problem.text) from problem
    return Saved(folder.name, reward, _text(folder / CODE, LARGEST_CODE), cases, folder)


def save(folder: Path, reward: Reward, code: str | None, cases: Sequence[Case]) -> None:
    """Write a reward so that readers see the old one or the new one, whole. Raises Problem when it is too large."""
    said = write_cases(cases)
    if len(said.encode()) > LARGEST_FILE or len((code or "").encode()) > LARGEST_CODE:
        raise Problem("This reward is too large: its code may have 256 KiB, its test cases 8 MiB.")
    texts = {REWARD: write_reward(reward), CODE: code, CASES: said if cases else None}
    _publish(folder, {name: text.encode() for name, text in texts.items() if text})


def keep(folder: Path, target: Path) -> Path:
    """Copy a reward to `target` unless one is there: a job goes on with the reward that it began with."""
    if not is_reward(target):
        load(folder)
        _publish(target, {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()})
    return target


def _publish(folder: Path, contents: dict[str, bytes]) -> None:
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        for name, content in contents.items():
            (part / name).write_bytes(content)
        files.publish(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _text(file: Path, most: int) -> str | None:
    with suppress(FileNotFoundError):
        if file.is_symlink() or file.stat().st_size > most:
            raise Problem("{file} is too large, or a link.", file=file.name)
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise Problem("{file} is not UTF-8 text: save it as such.", file=file.name) from None
    return None
