"""The verbs for rewards: list, get, save, copy, rename, delete and restore. `home` is the workspace folder.

Saved rewards are folders in `home/rewards`, found by listing; built-in ones are there by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platform_core import files
from platform_core.errors import Problem, Text
from platform_core.rewards import store
from platform_core.rewards.cases import Case
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import Saved
from platform_core.security.paths import check_name
from platform_core.workspace import trash
from platform_core.workspace.trash import TrashEntry


@dataclass(frozen=True)
class RewardInfo:
    """A reward as listed: its functions' kinds and number of test cases, or why it can't be read."""

    name: str
    kinds: tuple[str, ...]
    cases: int
    modified: float | None
    unreadable: Text | None = None

    @property
    def built_in(self) -> bool:
        return self.modified is None


def folder(home: Path) -> Path:
    return home / "rewards"


def list_rewards(home: Path) -> list[RewardInfo]:
    """The built-in rewards, then the saved ones by name; hidden and foreign folders are left out."""
    built_in = [RewardInfo(name, _kinds(preset.reward()), 0, None) for name, preset in PRESETS.items()]
    top = folder(home)
    saved = sorted(top.iterdir(), key=lambda p: p.name.lower()) if top.is_dir() else []
    return built_in + [_info(p) for p in saved if not p.name.startswith(".") and store.is_reward(p)]


def _info(path: Path) -> RewardInfo:
    modified = path.stat().st_mtime
    try:
        found = store.load(path)
    except Problem as problem:
        return RewardInfo(path.name, (), 0, modified, problem.text)
    return RewardInfo(path.name, _kinds(found.reward), len(found.cases), modified)


def _kinds(reward: Reward) -> tuple[str, ...]:
    return tuple(function.kind for function in reward.functions)


def get(home: Path, name: str) -> Saved:
    """A reward by name, built-in or saved; raises Problem when there is none or it can't be read."""
    if name in PRESETS:
        return Saved(name, PRESETS[name].reward())
    path = folder(home) / check_name(name)
    if not store.is_reward(path):
        raise Problem(
            "There is no reward “{name}” here: it was renamed or deleted, or never saved.",
            fields=("reward",),
            name=name,
        )
    return store.load(path)


def save(
    home: Path, name: str, reward: Reward, code: str | None = None, cases: Sequence[Case] = (), replace: bool = False
) -> Saved:
    """Save a reward; what it replaces goes to the trash. Raises Problem for a bad or taken name."""
    target = folder(home) / check_name(name)
    if name in PRESETS:
        raise Problem("“{name}” is a built-in reward: save yours under another name.", fields=("name",), name=name)
    if target.exists():
        if not replace:
            raise Problem(
                "A reward named “{name}” exists already: choose another name, or replace it.",
                fields=("name",),
                name=name,
            )
        before = store.load(target)  # a copy: the old one is there until the new one is whole
        store.save(trash.place(home, trash.new_entry(home, "reward", target)), *_all_of(before))
    store.save(target, reward, code, cases)
    return get(home, name)


def _all_of(saved: Saved) -> tuple[Reward, str | None, Sequence[Case]]:
    return saved.reward, saved.code, saved.cases


def copy(home: Path, name: str, new: str) -> Saved:
    """Save a reward under a second name."""
    return save(home, new, *_all_of(get(home, name)))


def rename(home: Path, name: str, new: str) -> Saved:
    """Give a saved reward another name; jobs that named the old one no longer find it."""
    found = get(home, name)
    if found.folder is None:
        raise Problem("“{name}” is a built-in reward: copy it instead.", name=name)
    target = folder(home) / check_name(new)
    if target.exists() or new in PRESETS:
        raise Problem("A reward named “{name}” exists already: choose another name.", fields=("name",), name=new)
    files.move_whole(found.folder, target)
    return get(home, new)


def delete(home: Path, name: str) -> TrashEntry:
    """Move a saved reward into the trash; `restore` brings it back."""
    if name in PRESETS:
        raise Problem("“{name}” is a built-in reward and stays.", name=name)
    path = folder(home) / check_name(name)
    if not store.is_reward(path):
        raise Problem("There is no reward “{name}” here: it was renamed or deleted, or never saved.", name=name)
    return trash.put(home, "reward", path)


def deleted(home: Path) -> list[TrashEntry]:
    """Deleted rewards, the latest first."""
    return trash.entries(home, "reward")


def restore(home: Path, entry_id: str) -> Saved:
    """Bring a deleted reward back; raises Problem when its name is taken or the trash was emptied."""
    entry = trash.find(home, "reward", entry_id)
    if entry is None:
        raise Problem("This reward is not in the trash any more.")
    target = folder(home) / entry.name
    if target.exists():
        raise Problem(
            "A reward named “{name}” exists again: delete or rename it before you restore the old one.", name=entry.name
        )
    trash.take_back(home, "reward", entry, target)
    return get(home, entry.name)
