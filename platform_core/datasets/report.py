"""What one pass over a dataset found out: sizes, formats, fields, problems, lengths and where to jump in. Kept as
JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from platform_core.datasets.formats import Guess
from platform_core.datasets.rows import FileFacts, ReasonCount, RowProblem, Start
from platform_core.errors import Text

VERSION = 1


@dataclass(frozen=True)
class Field:
    """A column: the kinds of its values by count, the share of rows that fill it, one example."""

    name: str
    kinds: dict[str, int]
    filled: float
    example: str


@dataclass(frozen=True)
class Lengths:
    """Lengths of a field's texts in characters (percentiles to within 1%); `histogram` is (upper bound, rows)."""

    field: str
    rows: int
    least: int
    mean: float
    p50: int
    p95: int
    most: int
    histogram: list[tuple[int, int]]


@dataclass
class Report:
    """All that is known about a dataset.

    `rows` counts every row, `readable_rows` those that could be parsed, `good_rows` those that also fit `format`
    (the best guess; all readable ones when there is none). `problem_counts` has the most frequent first. `index` has
    the place of every 500th readable row.
    """

    name: str
    size_bytes: int
    sha256: str
    rows: int = 0
    readable_rows: int = 0
    good_rows: int = 0
    format: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    lengths: list[Lengths] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    problem_counts: list[ReasonCount] = field(default_factory=list)
    files: list[FileFacts] = field(default_factory=list)
    file_rows: dict[str, int] = field(default_factory=dict)
    index: list[Start] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def encoding(self) -> str:
        return ", ".join(sorted({f.encoding for f in self.files if f.encoding}))

    @property
    def container(self) -> str:
        return ", ".join(sorted({f.container for f in self.files}))

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["version"] = VERSION
        data["guesses"] = [{"format": g.format, "share": g.share, "why": g.why.as_json()} for g in self.guesses]
        data["problems"] = [[p.row, p.offset, p.reason.as_json(), p.file] for p in self.problems]
        data["problem_counts"] = [[c.reason.as_json(), c.count] for c in self.problem_counts]
        data["notes"] = [note.as_json() for note in self.notes]
        data["index"] = [[s.file, s.offset, s.number] for s in self.index]
        for raw, facts in zip(data["files"], self.files, strict=True):
            raw["notes"] = [note.as_json() for note in facts.notes]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        """Read back what `to_json` wrote; raises ValueError or KeyError on anything else."""
        if data.get("version") != VERSION:
            raise ValueError("a report of another version")
        known = {k: v for k, v in data.items() if k != "version"}
        known["guesses"] = [Guess(g["format"], g["share"], Text.from_json(g["why"])) for g in data["guesses"]]
        known["problems"] = [
            RowProblem(row, offset, Text.from_json(reason), file) for row, offset, reason, file in data["problems"]
        ]
        known["problem_counts"] = [ReasonCount(Text.from_json(reason), n) for reason, n in data["problem_counts"]]
        known["notes"] = [Text.from_json(note) for note in data["notes"]]
        known["index"] = [Start(*place) for place in data["index"]]
        known["fields"] = [Field(**f) for f in data["fields"]]
        known["lengths"] = [
            Lengths(**{**one, "histogram": [(a, b) for a, b in one["histogram"]]}) for one in data["lengths"]
        ]
        known["files"] = [FileFacts(**{**f, "notes": [Text.from_json(n) for n in f["notes"]]}) for f in data["files"]]
        try:
            return cls(**known)
        except TypeError as error:
            raise ValueError(str(error)) from None
