"""A report as PDF: A4, charts as vectors, Chinese by the reader's own font (STSong-Light), no font file needed."""

from __future__ import annotations

import io
import unicodedata
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from platform_core.reports.parts import INKS, STROKES, Chart, Document, Facts, Grid, scale_of

INK, SOFT, RULE, SHADE = "#1b1f24", "#5b6472", "#d5d9e0", "#f5f6f8"
HEIGHT = 130.0
MARGIN = 48.0
MOST_COLUMNS = 6
FRAME = 6.0
"""What reportlab leaves free inside its margins."""
STEERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def to_pdf(document: Document) -> bytes:
    """The report as a PDF file; reportlab is imported here, since only this needs it."""
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import CondPageBreak, KeepTogether, Paragraph, SimpleDocTemplate, Spacer

    styles, out = _styles(), io.BytesIO()
    made = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=_shown(document.title), author="lathe", lang=document.lang, invariant=1,
    )  # fmt: skip
    width = A4[0] - 2 * MARGIN - 2 * FRAME
    story: list[Any] = [
        Paragraph(_marked(document.title), styles["title"]),
        Paragraph(_marked(document.subtitle), styles["soft"]),
    ]
    for part in document.parts:
        head = Paragraph(_marked(part.title), styles["head"])
        body = _body(part, width, styles)
        if isinstance(part, Chart) and body:
            story.append(KeepTogether([head, *body]))
        elif body:
            story += [CondPageBreak(80), head, *body]
    story += [Spacer(1, 14), Paragraph(_marked(document.footer), styles["soft"])]

    def page_number(canvas: Any, _made: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(SOFT)
        canvas.drawRightString(A4[0] - MARGIN, MARGIN / 2, str(canvas.getPageNumber()))

    made.build(story, onFirstPage=page_number, onLaterPages=page_number)
    return out.getvalue()


@cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12.5, textColor=INK, wordWrap="CJK")
    return {
        "body": body,
        "title": ParagraphStyle("t", body, fontSize=17, leading=22, spaceAfter=2),
        "head": ParagraphStyle("h", body, fontSize=11.5, leading=15, spaceBefore=12, spaceAfter=4),
        "soft": ParagraphStyle("s", body, textColor=SOFT),
        "cell": ParagraphStyle("c", body, fontSize=8, leading=10.5),
        "code": ParagraphStyle("m", body, fontName="Courier", fontSize=7.5, leading=10, backColor=SHADE),
    }


def _body(part: Any, width: float, styles: dict[str, Any]) -> list[Any]:
    from reportlab.platypus import Paragraph

    if isinstance(part, Chart):
        return _chart(part, width)
    if isinstance(part, Facts):
        return [_table([[label, value] for label, value in part.rows], [width * 0.26, width * 0.74], styles)]
    if isinstance(part, Grid):
        return _grids(part, width, styles)
    style = styles["code" if part.code else "body"]
    lines = part.text.splitlines() or [""]
    return [Paragraph(_marked(line).replace("  ", "\u00a0 ") or "\u00a0", style) for line in lines]


def _grids(part: Grid, width: float, styles: dict[str, Any]) -> list[Any]:
    """A table; one with many columns becomes several that repeat the first column."""
    made = []
    others = range(1, len(part.headings))
    for begin in range(1, max(len(part.headings), 2), MOST_COLUMNS - 1):
        columns = [0, *others[begin - 1 : begin - 1 + MOST_COLUMNS - 1]]
        rows = [[part.headings[c] for c in columns], *([row[c] for c in columns] for row in part.rows)]
        strong = {(r + 1, columns.index(c)) for r, c in part.strong if c in columns}
        made.append(_table(rows, [width / len(columns)] * len(columns), styles, strong, head=True))
    return made


def _table(
    rows: list[list[str]],
    widths: list[float],
    styles: dict[str, Any],
    strong: set[tuple[int, int]] | None = None,
    head: bool = False,
) -> Any:
    from reportlab.platypus import Paragraph, Table, TableStyle

    cells = []
    for r, row in enumerate(rows):
        soft = head and r == 0
        texts = [f"<b>{_marked(c)}</b>" if (r, at) in (strong or ()) else _marked(c) for at, c in enumerate(row)]
        texts = [
            f'<font color="{SOFT}">{t}</font>' if soft or (not head and at == 0) else t for at, t in enumerate(texts)
        ]
        cells.append([Paragraph(t, styles["cell"]) for t in texts])
    rule = [("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    edges = [
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    return Table(cells, widths, repeatRows=int(head), style=TableStyle([*rule, *edges]), spaceAfter=6)


def _chart(part: Chart, width: float) -> list[Any]:
    from reportlab.graphics.shapes import Circle, Drawing, PolyLine, String
    from reportlab.graphics.shapes import Line as Stroke
    from reportlab.lib.colors import HexColor

    left, below, keys = 52.0, 20.0, part.lines if part.named else []
    scale = scale_of(part, width - left - 10, HEIGHT)
    if scale is None:
        return []
    above = 12.0 * -(-len(keys) // 2)
    drawing = Drawing(width, HEIGHT + below + above + 8)
    soft, rule = HexColor(SOFT), HexColor(RULE)
    small: dict[str, Any] = {"fontSize": 7, "fillColor": soft}
    for y, label in scale.ticks_y():
        at = below + HEIGHT - y
        drawing.add(Stroke(left, at, left + scale.width, at, strokeColor=rule, strokeWidth=0.4))
        drawing.add(String(left - 5, at - 2.5, label, textAnchor="end", fontName="Helvetica", **small))
    for x, label in scale.ticks_x():
        drawing.add(String(left + x, below - 11, label, textAnchor="middle", fontName="Helvetica", **small))
    for line in part.lines:
        colour = HexColor(INKS[line.colour % len(INKS)])
        for points in scale.place(line):
            placed = [v for x, y in points for v in (left + x, below + HEIGHT - y)]
            if len(points) == 1:
                drawing.add(Circle(placed[0], placed[1], 2, fillColor=colour, strokeColor=None))
            else:
                dash = list(STROKES[line.dash]) or None
                drawing.add(
                    PolyLine(placed, strokeColor=colour, strokeWidth=1.1, strokeLineJoin=1, strokeDashArray=dash)
                )
    for at, line in enumerate(keys):
        x, y = left + (at % 2) * scale.width / 2, below + HEIGHT + above - 12.0 * (at // 2) - 4
        ink, dash = HexColor(INKS[line.colour % len(INKS)]), list(STROKES[line.dash]) or None
        drawing.add(Stroke(x, y + 1, x + 20, y + 1, strokeColor=ink, strokeWidth=1.6, strokeDashArray=dash))
        name = _shown(line.name[:40])
        drawing.add(String(x + 24, y - 2, name, fontName=_font(name), **small))
    return [drawing]


def _shown(text: str) -> str:
    """Text as a PDF's fonts can hold it: steering characters left out, what no font has as its escape."""
    spaced = "".join(c if c >= " " else " " for c in text if c not in STEERING)
    return "".join(c if _latin(c) or _chinese(c) else _escape(c) for c in spaced)


def _escape(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    if all(_latin(c) or _chinese(c) for c in plain):
        return plain
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _font(text: str) -> str:
    return "Helvetica" if _latin(text) else "STSong-Light"


def _marked(text: str) -> str:
    """Escaped for reportlab's markup; whole in the Chinese font where Latin does not do: widths are right then."""
    shown = _shown(text)
    held = escape(shown)
    return held if _latin(shown) else f'<font name="STSong-Light">{held}</font>'


def _latin(text: str) -> bool:
    return _fits(text, "cp1252")


def _chinese(char: str) -> bool:
    return _fits(char, "gbk")


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
