"""The verbs for datasets: list, look, preview, check, receive, register, delete and restore. `home` is the workspace
folder.

Datasets are files or folders of files in `home/datasets`, found by listing; reports are a cache that can be thrown
away.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import uuid
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from platform_core import files
from platform_core.datasets.containers import is_data_name
from platform_core.datasets.convert import converted
from platform_core.datasets.formats import FORMATS
from platform_core.datasets.inspect import EVERY, Progress, inspect
from platform_core.datasets.needs import NEEDS, fitting, misfit, offered
from platform_core.datasets.read import Rows, data_files
from platform_core.datasets.receive import Part, blocks, data_name
from platform_core.datasets.report import Report
from platform_core.datasets.rows import Row
from platform_core.errors import Problem, Text
from platform_core.security.paths import check_name, resolve_inside
from platform_core.workspace import trash
from platform_core.workspace.trash import TrashEntry

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset as listed; `report` is None until someone looked inside, `unreadable` says why that failed; `splits`
    are the files of a folder."""

    name: str
    path: Path
    size_bytes: int
    modified: float
    report: Report | None
    splits: tuple[str, ...] = ()
    unreadable: Text | None = None


def folder(home: Path) -> Path:
    return home / "datasets"


def list_datasets(home: Path) -> list[DatasetInfo]:
    """All datasets by name; hidden, unfinished, linked and foreign files are left out."""
    top = folder(home)
    if not top.is_dir():
        return []
    return [
        info for path in sorted(top.iterdir(), key=lambda p: p.name.lower()) if (info := _info(home, path)) is not None
    ]


def get(home: Path, name: str) -> DatasetInfo:
    """One dataset by name; raises Problem when there is none."""
    info = _info(home, folder(home) / check_name(name))
    if info is None:
        raise Problem(
            "There is no dataset “{name}” here: it was renamed or deleted, or never uploaded.",
            fields=("dataset",),
            name=name,
        )
    return info


def _info(home: Path, path: Path) -> DatasetInfo | None:
    if path.name.startswith(".") or path.is_symlink():
        return None
    try:
        found = data_files(path) if path.is_dir() or (path.is_file() and is_data_name(path.name)) else []
        stats = [file.stat() for file, _ in found]
    except (Problem, OSError):
        return None
    if not stats:
        return None
    splits = tuple(label for _, label in found) if path.is_dir() else ()
    made, unreadable = _cached(home, path)
    size, modified = sum(s.st_size for s in stats), max(s.st_mtime for s in stats)
    return DatasetInfo(path.name, path, size, modified, made, splits, unreadable)


def fingerprint(path: Path) -> str:
    """Changes whenever name, size or time of a dataset's files do."""
    digest = hashlib.sha256(path.name.encode())
    for file, label in data_files(path):
        stat = file.stat()
        digest.update(f"\0{label}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def _cache_file(home: Path, path: Path) -> Path:
    return home / "cache" / "datasets" / f"{fingerprint(path)}.json"


def _cached(home: Path, path: Path) -> tuple[Report | None, Text | None]:
    try:
        data = files.read_json(_cache_file(home, path))
        if data is not None and UNREADABLE in data:
            return None, Text.from_json(data[UNREADABLE])
        return (Report.from_json(data) if data is not None else None), None
    except (ValueError, KeyError, TypeError, OSError):
        return None, None


def report(home: Path, name: str, progress: Progress | None = None) -> Report:
    """The report of a dataset, from the cache or made now. Raises Problem when the file can't be read."""
    info = get(home, name)
    if info.report is not None:
        return info.report
    target = _cache_file(home, info.path)
    try:
        made = inspect(info.path, progress)
    except Problem as problem:
        files.write_json(target, {UNREADABLE: problem.text.as_json()})
        raise
    if target == _cache_file(home, info.path):  # not replaced while it was read
        files.write_json(target, made.to_json())
    return made


def preview(home: Path, name: str, offset: int, limit: int) -> list[Row]:
    """Readable rows `offset` (from 0) to `offset + limit`, reading on from the nearest place in the report's index."""
    made = report(home, name)
    if offset >= made.readable_rows or limit <= 0:
        return []
    offset = max(offset, 0)
    place = min(offset // EVERY, len(made.index) - 1)
    with Rows(folder(home) / check_name(name), made.index[place]) as source:
        return list(islice(source, offset - place * EVERY, offset - place * EVERY + limit))


def make_copy(home: Path, name: str, to: str, new_name: str | None = None) -> DatasetInfo:
    """A new dataset whose rows are those of `name` as the family `to` (a key of NEEDS) takes them; JSON Lines.

    Raises Problem when the rows fit already, when there is no way, and when no row comes out.
    """
    made = report(home, name)
    family = Text(NEEDS[to].title)
    if fitting(made.guesses, to) is not None:
        raise Problem("{family} takes {file} as it is: no copy is needed.", file=name, family=family)
    if to not in offered(made.guesses):
        raise misfit(name, made.guesses, [f.name for f in made.fields], to)
    wanted = new_name or _free_name(home, f"{Path(name).stem}-{to}")
    with Rows(get(home, name).path) as source, _part(home, wanted, False) as part:
        empty = True
        for row in converted((r.value for r in source), made.guesses[0].format, to):
            part.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            empty = False
        if empty:
            raise Problem(
                "No row of {file} can be used for {family}: there is no good and bad answer to the same prompt.",
                fields=("dataset",),
                file=name,
                family=family,
            )
        part.publish()
    return get(home, wanted)


def _free_name(home: Path, stem: str) -> str:
    names = (f"{stem}{number}.jsonl" for number in ("", *(f"-{n}" for n in range(2, 10_000))))
    return next(name for name in names if not (folder(home) / name).exists())


def holds(made: Report) -> Text | None:
    """What a dataset holds, in words; None when its format is not known."""
    return Text(FORMATS[made.format].holds) if made.format else None


def receive(home: Path, name: str, chunks: Iterable[bytes], replace: bool = False) -> DatasetInfo:
    """Store an upload; what it replaces goes to the trash.

    Raises Problem for a bad or taken name, an empty file, a full disk; then nothing is left behind.
    """
    with _part(home, name, replace) as part:
        for chunk in chunks:
            part.write(chunk)
        part.publish()
    return get(home, name)


async def receive_async(home: Path, name: str, chunks: AsyncIterable[bytes], replace: bool = False) -> DatasetInfo:
    """`receive` for a web server: writes in a thread, so that a slow disk holds up nobody else."""
    with _part(home, name, replace) as part:
        async for chunk in chunks:
            await asyncio.to_thread(part.write, chunk)
        await asyncio.to_thread(part.publish)
    return await asyncio.to_thread(get, home, name)


def _part(home: Path, name: str, replace: bool) -> Part:
    return Part(folder(home) / data_name(name), replace, set_aside=lambda: delete(home, name))


def register(
    home: Path, source: str | Path, name: str | None = None, *, allowed_roots: list[Path], replace: bool = False
) -> DatasetInfo:
    """Copy a data file (or the data files of a folder) that is on this server and inside `allowed_roots` into the
    workspace."""
    real = resolve_inside(source, allowed_roots)
    wanted = name or real.name
    if real.is_dir():
        return _register_folder(home, real, check_name(wanted), allowed_roots)
    if not real.is_file():
        raise Problem("{path} is neither a file nor a folder.", path=str(source))
    return receive(home, wanted, blocks(real, allowed_roots), replace)


def _register_folder(home: Path, real: Path, name: str, allowed_roots: list[Path]) -> DatasetInfo:
    target = folder(home) / name
    if target.exists():
        raise Problem(
            "A dataset named “{name}” exists already: choose another name, or replace it.", fields=("name",), name=name
        )
    staging = target.with_name(f".{name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for file, label in data_files(real):
            with Part(staging / label, False) as part:
                for block in blocks(file, allowed_roots):
                    part.write(block)
                part.publish()
        files.publish(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return get(home, name)


def delete(home: Path, name: str) -> TrashEntry:
    """Move a dataset into the trash, whole; `restore` brings it back."""
    info = get(home, name)
    return trash.put(home, "dataset", info.path, info.size_bytes)


def deleted(home: Path) -> list[TrashEntry]:
    """Deleted datasets, the latest first."""
    return trash.entries(home, "dataset")


def restore(home: Path, entry_id: str) -> DatasetInfo:
    """Bring a deleted dataset back; raises Problem when its name is taken or the trash was emptied."""
    entry = trash.find(home, "dataset", entry_id)
    if entry is None:
        raise Problem("This dataset is not in the trash any more.")
    target = folder(home) / entry.name
    if target.exists():
        raise Problem(
            "A dataset named “{name}” exists again: delete or rename it before you restore the old one.",
            name=entry.name,
        )
    trash.take_back(home, "dataset", entry, target)
    return get(home, entry.name)
