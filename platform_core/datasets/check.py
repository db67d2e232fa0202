"""Whether a dataset can be used: a look at its report and at its first rows, before a job takes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from platform_core.datasets.formats import check_columns
from platform_core.datasets.needs import NEEDS, convert, fitting, misfit
from platform_core.datasets.read import Rows
from platform_core.datasets.rows import Row
from platform_core.datasets.samples import Columns, Unusable
from platform_core.datasets.service import get, report
from platform_core.errors import Problem, Text

SAMPLED = 1000
"""Rows that are tried before a job may take a dataset."""


def check_dataset(home: Path, name: str, to: str, columns: Columns | None = None, asker: Text | None = None) -> None:
    """Raise Problem when the dataset does not hold what `to` (a key of NEEDS) takes; `asker`: who takes it, where that
    is not the family itself.
    """
    made = report(home, name)
    names = [f.name for f in made.fields]
    missing = [column for column in (columns or {}).values() if column not in names]
    if missing:
        known = ", ".join(f"`{n}`" for n in names[:12])
        raise Problem(
            "{file} has no column `{column}`; it has {known}.",
            fields=("columns",),
            file=name,
            column=missing[0],
            known=known,
        )
    form = fitting(made.guesses, to, columns)
    if form is None:
        raise misfit(name, made.guesses, names, to, asker)
    check_columns(form, columns)
    if made.readable_rows and not any(_fits(row, form, to, columns) for row in _sample(home, name)):
        problem = made.problems[0] if made.problems else None
        raise Problem(
            "No row of {file} can be used for {family}: row {row} {reason}.",
            fields=("dataset",),
            file=name,
            family=asker or Text(NEEDS[to].title),
            row=problem.row if problem else 1,
            reason=problem.reason if problem else Text("does not fit"),
        )
    if to == "kto" and made.readable_rows <= SAMPLED:
        _check_labels(home, name, form, columns)


def _check_labels(home: Path, name: str, form: str, columns: Columns | None) -> None:
    """Raise Problem when all answers are rated alike; longer datasets are looked at when the training reads them."""
    labels = {
        convert(form, row.value, "kto", columns)["label"]
        for row in _sample(home, name)
        if _fits(row, form, "kto", columns)
    }
    if len(labels) == 1:
        raise Problem(
            "All rows of {file} have the same label, so there is nothing to prefer: KTO needs good and bad answers.",
            fields=("dataset",),
            file=name,
        )


def _sample(home: Path, name: str) -> Iterator[Row]:
    with Rows(get(home, name).path) as source:
        yield from islice(source, SAMPLED)


def _fits(row: Row, form: str, to: str, columns: Columns | None) -> bool:
    try:
        convert(form, row.value, to, columns)
    except Unusable:
        return False
    return True
