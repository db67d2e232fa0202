"""What the writer has taken over from the runner and not yet committed; it stays whole through a failed flush."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from platform_core.metrics import sealing
from platform_core.metrics.sealing import Row, Tail


@dataclass
class Pending:
    """Rows by step, reports in order, and the step after which everything older than them is to be forgotten."""

    rows: dict[int, Row] = field(default_factory=dict)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    samples: list[tuple[Any, ...]] = field(default_factory=list)
    vectors: dict[tuple[tuple[str, str], int], tuple[float, bytes]] = field(default_factory=dict)
    progress: tuple[float, dict[str, Any]] | None = None
    cut: int | None = None

    def __bool__(self) -> bool:
        return bool(self.rows or self.events or self.samples or self.vectors or self.progress) or self.cut is not None

    def add_row(self, step: int, time: float, values: dict[str, float], tail: Tail) -> None:
        """Merge the values of a step into those logged before, also into those of a row already stored."""
        old = self.rows.get(step)
        if old is None and (self.cut is None or step <= self.cut):
            old = tail.rows.get(step)
        self.rows[step] = (time, {**old[1], **values} if old else values)

    def add_report(self, kind: str, row: tuple[Any, ...]) -> None:
        """Take over an event, a sample, a vector or the progress."""
        if kind == "event":
            self.events.append(row)
        elif kind == "sample":
            self.samples.append(row)
        elif kind == "vector":
            layout, step, time, numbers = row
            self.vectors[layout, step] = (time, numbers)
        else:
            before = self.progress[1] if self.progress else {}
            self.progress = (row[0], {**before, **row[1]})

    def cut_after(self, step: int) -> None:
        """Drop what is later than `step` here, and have the file cut before anything is written."""
        self.rows = {at: row for at, row in self.rows.items() if at <= step}
        self.samples = [row for row in self.samples if row[1] <= step]
        self.vectors = {at: row for at, row in self.vectors.items() if at[1] <= step}
        self.cut = step if self.cut is None else min(self.cut, step)

    def write(self, connection: sqlite3.Connection, tail: Tail, seal_all: bool) -> Tail:
        """Everything into the open transaction; returns the tail that holds once it is committed."""
        if self.cut is not None:
            tail = sealing.cut(connection, tail, self.cut)
            connection.execute("DELETE FROM sample WHERE step>?", (self.cut,))
            connection.execute("DELETE FROM vector WHERE step>?", (self.cut,))
        if self.rows or seal_all:
            tail = sealing.write(connection, tail, self.rows, seal_all)
        event = "INSERT INTO event(time, step, level, kind, text, data) VALUES(?,?,?,?,?,?)"
        connection.executemany(event, self.events)
        connection.executemany("INSERT INTO sample(time, step, data) VALUES(?,?,?)", self.samples)
        layouts: dict[tuple[str, str], int] = {}
        for (layout, step), (time, numbers) in self.vectors.items():
            if layout not in layouts:
                connection.execute("INSERT OR IGNORE INTO layout(key, names) VALUES(?,?)", layout)
                query = "SELECT id FROM layout WHERE key=? AND names=?"
                layouts[layout] = connection.execute(query, layout).fetchone()[0]
            connection.execute("REPLACE INTO vector VALUES(?,?,?,?)", (layouts[layout], step, time, numbers))
        return tail
