"""Rows of a dataset that were left out or cut, or a dataset that can't be read."""

from __future__ import annotations

import re

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix, Level
from platform_core.doctor.rule import Rule
from platform_core.errors import Text, text
from platform_core.metrics.reader import Event

MANY, MOST = 0.05, 0.5
"""Share of the rows; a few odd rows are usual."""
READING = re.compile(r'File "[^"]*(?:platform_core/datasets/|runners/engines/hf/data\.py)')
OURS = re.compile(r'File "')
KINDS = ("skipped_rows", "dropped_rows", "cut_rows")


def examine(case: Case) -> Diagnosis | None:
    """A failed attempt whose traceback ends where datasets are read; else the share of rows left out or cut."""
    if case.failed and (lines := _broke_while_reading(case)):
        return Diagnosis(
            RULE.name,
            "critical",
            text("The dataset can't be used: {reason}", reason=case.job.reason or text("its log says why.")),
            text("Nothing is trained before it can be read: its page shows which rows are wrong."),
            Fix(text("Mend the dataset, or choose another one.")),
            None,
            Evidence(lines=lines),
        )
    found = [(d, share) for event in case.events if event.kind in KINDS for d, share in [_rows(case, event)] if d]
    return max(found, key=lambda pair: pair[1])[0] if found else None


def _broke_while_reading(case: Case) -> tuple[str, ...]:
    """The last lines of the log's last traceback when one of its inner frames reads data."""
    lines = case.log_lines
    starts = [at for at, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    if not starts:
        return ()
    rest = lines[starts[-1] :]
    frames = [line for line in rest if OURS.search(line)]
    if not any(READING.search(line) for line in frames):
        return ()
    return tuple(line[:300] for line in rest[-3:] if line.strip())


def _rows(case: Case, event: Event) -> tuple[Diagnosis | None, float]:
    count, total = event.data.get("count"), event.data.get("of")
    if not isinstance(count, int) or not isinstance(total, int) or total <= 0:
        return None, 0.0
    share = count / total
    weight = share if event.kind != "cut_rows" else share / 2  # a cut row still teaches its beginning
    level: Level = "critical" if weight >= MOST else "warning" if weight >= MANY else "info"
    length = case.setting("max_length")
    fix = None
    if event.kind != "skipped_rows" and isinstance(length, int):
        longer = min(10_000_000, length * 2)
        fix = Fix(text("Allow {tokens} tokens a row.", tokens=longer), {"max_length": longer})
    return (
        Diagnosis(
            RULE.name,
            level,
            _says(event.kind, count, total, share),
            text("The model never sees what was left out: it learns from another dataset than the one you chose."),
            fix,
            None,
            Evidence(lines=(event.text[:300],)),
        ),
        weight,
    )


def _says(kind: str, count: int, total: int, share: float) -> Text:
    if kind == "cut_rows":
        return text(
            "{count} of {total} rows ({share:.0%}) were cut at the sequence length.",
            count=count,
            total=total,
            share=share,
        )
    if kind == "dropped_rows":
        return text(
            "{count} of {total} rows ({share:.0%}) have no answer within the sequence length and were left out.",
            count=count,
            total=total,
            share=share,
        )
    return text(
        "{count} of {total} rows ({share:.0%}) are faulty and were left out.", count=count, total=total, share=share
    )


RULE = Rule(
    name="dataset_broken",
    title=text("Dataset broken"),
    level="critical",
    explains=text(
        "A training failed while it read its dataset, or 5 % of the rows were left out (10 % cut): a warning; half of "
        "them: critical; fewer: information."
    ),
    suggests=text("Twice the sequence length for rows that were cut or left out by it; else another dataset."),
    examine=examine,
)
