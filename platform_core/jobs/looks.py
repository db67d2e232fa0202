"""How the curve of a run is told from others: its colour and its dash, the same on every page and in reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from zlib import crc32

COLOURS = 7
"""Chart colours of a theme and of a report."""
Dash = Literal["solid", "dash", "dot", "dashdot"]
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")


def colour_of(job_id: str) -> int:
    """A run's place in the list of chart colours, the same on every page."""
    return crc32(job_id.encode()) % COLOURS


def looks(ids: Sequence[str]) -> dict[str, tuple[int, Dash]]:
    """Colour and dash of each run of a chart, no two alike up to 28.

    A run keeps its own colour where it comes first with it, else it gets the next free one; dashes come when all
    colours are taken.
    """
    made: dict[str, tuple[int, Dash]] = {}
    for job_id in ids:
        taken = {colour for colour, dash in made.values() if dash == DASHES[len(made) // COLOURS % len(DASHES)]}
        first = colour_of(job_id)
        colour = next((c for c in ((first + i) % COLOURS for i in range(COLOURS)) if c not in taken), first)
        made.setdefault(job_id, (colour, DASHES[len(made) // COLOURS % len(DASHES)]))
    return made
