"""`lathe data …`: the datasets of the workspace."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, cut, paint, plain, show, show_json, table
from app.sizes import bytes_text
from platform_core.clock import now
from platform_core.datasets import service
from platform_core.datasets.check import check_dataset
from platform_core.datasets.needs import NEEDS
from platform_core.datasets.receive import tidy_name
from platform_core.datasets.report import Report
from platform_core.datasets.service import DatasetInfo


@click.group("data", cls=Commands, help="List, add, look at, check and delete datasets.")
def command() -> None:
    """A dataset is a JSON, JSONL, CSV or Parquet file, or a folder of such files, in `datasets/`."""


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List datasets by name."""
    found = service.list_datasets(workspace().home)
    if as_json:
        show_json([info_json(i) for i in found])
        return
    if not found:
        show("No datasets yet. Add one: lathe data add FILE")
        return
    rows = [
        [
            i.name,
            "unreadable" if i.unreadable else i.report.format if i.report else "",
            i.report.rows if i.report else "",
            bytes_text(i.size_bytes),
            ago(now() - i.modified),
        ]
        for i in found
    ]
    for line in table(["NAME", "FORMAT", "ROWS", "SIZE", "CHANGED"], rows):
        show(line)


@command.command("add")
@click.argument("source", metavar="FILE", type=click.Path(exists=True))
@click.option("--name", metavar="TEXT", help="What it is called here. [default: the file's name]")
@click.option("--replace", is_flag=True, help="Replace a dataset of that name.")
@verb
def add(source: str, name: str | None, replace: bool, as_json: bool) -> None:
    """Copy a file, or a folder of files, into the workspace and say what it holds."""
    home, real = workspace().home, Path(os.path.realpath(source))
    wanted = name or tidy_name(Path(source).name)
    info = service.register(home, real, wanted, allowed_roots=[real.parent], replace=replace)
    _tell_new(home, info, as_json)


@command.command("show")
@click.argument("name", metavar="NAME")
@click.option(
    "-n", "--rows", type=click.IntRange(0, 1000), default=3, show_default=True, help="How many rows to print."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="Rows to leave out before them.")
@verb
def show_(name: str, rows: int, offset: int, as_json: bool) -> None:
    """Show what a dataset holds, with its first rows."""
    home = workspace().home
    info, made = service.get(home, name), service.report(home, name)
    preview = service.preview(home, name, offset, rows)
    if as_json:
        shown = [{"row": r.number, "value": r.value} for r in preview]
        show_json({**info_json(info), **report_json(made), "preview": shown})
        return
    _tell(made)
    for row in preview:
        show(f"\nrow {row.number}")
        for key, value in row.value.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            show(f"  {plain(key)}: {cut(plain(text), 500)}")


@command.command("check")
@click.argument("name", metavar="NAME")
@click.option("--for", "family", type=click.Choice(list(NEEDS)), help="What it shall be used for.")
@verb
def check(name: str, family: str | None, as_json: bool) -> int:
    """Read every row and say what is wrong with which; exit code 1 when something is."""
    home = workspace().home
    made = service.report(home, name)
    if family is not None:
        check_dataset(home, name, family)
    if as_json:
        show_json(report_json(made))
    else:
        _tell(made)
    return 1 if made.problems else 0


@command.command("convert")
@click.argument("name", metavar="NAME")
@click.option("--for", "family", type=click.Choice(list(NEEDS)), required=True, help="What the copy shall be used for.")
@click.option(
    "--name", "new_name", metavar="TEXT", help="What the copy is called. [default: the name and what it is for]"
)
@verb
def convert(name: str, family: str, new_name: str | None, as_json: bool) -> None:
    """Make a copy for another kind of training: pairs for KTO, rated answers for DPO, good ones for SFT."""
    home = workspace().home
    info = service.make_copy(home, name, family, new_name)
    _tell_new(home, info, as_json)


@command.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@verb
def delete(names: tuple[str, ...], as_json: bool) -> None:
    """Move datasets to the trash; `lathe data restore` brings them back."""
    home = workspace().home
    for name in names:
        entry = service.delete(home, name)
        if as_json:
            show_json({"id": entry.id, "name": entry.name, "deleted_at": entry.deleted_at})
        else:
            show(f"{plain(name)} is in the trash. Undo: lathe data restore {entry.id}")


@command.command("restore")
@click.argument("entry_id", metavar="ID")
@verb
def restore(entry_id: str, as_json: bool) -> None:
    """Take a dataset out of the trash again."""
    info = service.restore(workspace().home, entry_id)
    if as_json:
        show_json(info_json(info))
    else:
        show(f"{plain(info.name)} is back.")


def _tell_new(home: Path, info: DatasetInfo, as_json: bool) -> None:
    """Say what a dataset that has just come holds."""
    made = service.report(home, info.name)
    if as_json:
        show_json({**info_json(info), **report_json(made)})
    else:
        _tell(made)


def _tell(made: Report) -> None:
    show(paint(plain(made.name), 1))
    show(f"  {made.good_rows:,} of {made.rows:,} rows are good")
    show("  " + " · ".join(x for x in (bytes_text(made.size_bytes), made.container, made.encoding) if x))
    holds = service.holds(made)
    show(
        f"  holds {holds} ({made.format})"
        if holds is not None
        else "  of no known format: rename its fields, such as to prompt and response, or text"
    )
    for field in made.fields[:20]:
        kinds = ", ".join(field.kinds)
        show(f"  {plain(field.name)}: {kinds}, filled in {field.filled:.0%} · {cut(plain(field.example), 60)}")
    for note in made.notes:
        show(f"  {plain(note)}")
    for problem in made.problems[:20]:
        show(f"  row {problem.row:,}: {plain(problem.reason)}")
    rest = sum(c.count for c in made.problem_counts) - min(20, len(made.problems))
    if rest > 0:
        show(f"  … and {rest:,} more rows with problems")


def info_json(info: DatasetInfo) -> dict[str, Any]:
    """A dataset as the command line's JSON gives it."""
    known = info.report
    return {
        "name": info.name,
        "path": str(info.path),
        "size_bytes": info.size_bytes,
        "modified": info.modified,
        "splits": list(info.splits),
        "format": known.format if known else None,
        "rows": known.rows if known else None,
    }


def report_json(made: Report) -> dict[str, Any]:
    """What was found out about a dataset: counts, columns and the problems as sentences."""
    return {
        "rows": made.rows,
        "good_rows": made.good_rows,
        "format": made.format,
        "columns": made.columns,
        "container": made.container,
        "encoding": made.encoding,
        "fields": [{"name": f.name, "kinds": f.kinds, "filled": f.filled} for f in made.fields],
        "notes": [str(note) for note in made.notes],
        "problem_counts": [{"reason": str(c.reason), "count": c.count} for c in made.problem_counts],
        "problems": [{"row": p.row, "reason": str(p.reason), "file": p.file} for p in made.problems],
        "problem_count": sum(c.count for c in made.problem_counts),
    }
