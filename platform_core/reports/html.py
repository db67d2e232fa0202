"""A report as one HTML file: no script, nothing loaded, charts as SVG, light and dark by the reader's wish."""

from __future__ import annotations

from html import escape
from pathlib import Path

from platform_core.reports.parts import STROKES, Chart, Document, Facts, Grid, Line, Part, Prose, scale_of

WIDTH, HEIGHT = 640.0, 220.0
LEFT, TOP, BOTTOM = 64.0, 10.0, 34.0
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
STYLE = Path(__file__).with_name("report.css").read_text("utf-8")


def to_html(document: Document) -> str:
    """The report as one page; every text of a person or program is escaped."""
    parts = "\n".join(_part(part, at) for at, part in enumerate(document.parts))
    return (
        f'<!doctype html>\n<html lang="{escape(document.lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1 dir="auto">{_text(document.title)}</h1>'
        f'<p class="soft" dir="auto">{_text(document.subtitle)}</p></header>\n'
        f'<main>\n{parts}\n</main>\n<footer dir="auto">{_text(document.footer)}</footer>\n</body>\n</html>\n'
    )


def _part(part: Part, at: int) -> str:
    if isinstance(part, Chart):
        drawn = _chart(part, at)
        return f'<section><h2 dir="auto">{_text(part.title)}</h2>{drawn}</section>' if drawn else ""
    if isinstance(part, Grid) and part.folded:
        return f'<details><summary dir="auto">{_text(part.title)}</summary>{_grid(part)}</details>'
    inner = _grid(part) if isinstance(part, Grid) else _facts(part) if isinstance(part, Facts) else _prose(part)
    return f'<section><h2 dir="auto">{_text(part.title)}</h2>{inner}</section>'


def _facts(part: Facts) -> str:
    rows = (f'<dt>{_text(label)}</dt><dd dir="auto">{_text(value)}</dd>' for label, value in part.rows)
    return f"<dl>{''.join(rows)}</dl>"


def _prose(part: Prose) -> str:
    if part.code:
        return f'<pre tabindex="0">{_text(part.text)}</pre>'
    return f'<p class="prose" dir="auto">{_text(part.text)}</p>'


def _grid(part: Grid) -> str:
    head = "".join(f'<th scope="col" dir="auto">{_text(h)}</th>' for h in part.headings)
    rows = []
    for i, row in enumerate(part.rows):
        cells = (
            f'<td dir="auto"{" class=best" if (i, j) in part.strong else ""}>{_text(cell)}</td>'
            for j, cell in enumerate(row)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(part.title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _chart(part: Chart, at: int) -> str:
    scale = scale_of(part, WIDTH, HEIGHT)
    if scale is None:
        return ""
    marks = []
    for y, label in scale.ticks_y():
        marks.append(f'<line class="grid" x1="0" x2="{WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{_text(label)}</text>')
    marks += [
        f'<text x="{x:.1f}" y="{HEIGHT + 18:g}" text-anchor="middle">{_text(t)}</text>' for x, t in scale.ticks_x()
    ]
    for line in part.lines:
        for points in scale.place(line):
            colour = f"var(--c{line.colour % 7})"
            if len(points) == 1:
                marks.append(f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3" style="fill:{colour}"/>')
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            marks.append(f'<polyline class="curve" style="{_stroke(line)}" points="{path}"/>')
    box = f"{-LEFT:g} {-TOP:g} {WIDTH + LEFT + 12:g} {HEIGHT + TOP + BOTTOM:g}"
    key = "".join(
        f'<li dir="auto"><svg class="stroke" viewBox="0 0 24 4" aria-hidden="true"><line class="curve" x1="0" x2="24"'
        f' y1="2" y2="2" style="{_stroke(line)}"/></svg>{_text(line.name)}</li>'
        for line in part.lines
    )
    key = f'<ul class="key">{key}</ul>' if part.named else ""
    return (
        f'<figure>{key}<svg viewBox="{box}" role="img" aria-labelledby="chart-{at}">'
        f'<title id="chart-{at}">{_text(part.title)}</title>{"".join(marks)}</svg></figure>'
    )


def _stroke(line: Line) -> str:
    dash = " ".join(map(str, STROKES[line.dash])) or "none"
    return f"stroke:var(--c{line.colour % 7});stroke-dasharray:{dash}"


def _text(value: str) -> str:
    """Escaped, without the characters that HTML forbids and those that turn the direction of what follows."""
    kept = "".join(c for c in value if c in "\n\t" or (c >= " " and c != "\x7f" and not _steers(c)))
    return escape(kept.encode("utf-8", "replace").decode())


def _steers(char: str) -> bool:
    return char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
