"""Pieces of a self-contained HTML page: tables that sort on a click, cells colored by value, pictures inside the file."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1c2530; max-width: 1200px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: 0 } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #d5dbe3 }
p.lead { color: #56616f; margin-top: .2em } figure { margin: 1em 0; display: inline-block; vertical-align: top }
figure img { max-width: 100%; border: 1px solid #e3e8ee } figcaption { color: #56616f; font-size: .9em; max-width: 60em }
table { border-collapse: collapse; margin: .8em 0; font-variant-numeric: tabular-nums } div.wide { overflow-x: auto }
th, td { padding: .25em .55em; border-bottom: 1px solid #e3e8ee; text-align: right; white-space: nowrap }
th:first-child, td:first-child, .words { text-align: left } td.text { text-align: left; white-space: normal }
th { background: #f3f6f9; cursor: pointer } small { color: #6b7683; display: block }
.note { background: #fff7e0; border-left: 4px solid #e0a800; padding: .4em .8em; margin: .4em 0 }
.failed { background: #fdecea; border-left: 4px solid #c62828; padding: .4em .8em; margin: .4em 0 }
@media print { body { max-width: none } h2 { break-after: avoid } figure { break-inside: avoid } }
"""
_SORT = """
document.querySelectorAll("th").forEach(function (head) {
  head.addEventListener("click", function () {
    var body = head.closest("table").tBodies[0], column = head.cellIndex, up = head.dataset.up !== "1";
    var key = function (row) { return row.cells[column].dataset.value || row.cells[column].textContent; };
    head.dataset.up = up ? "1" : "";
    Array.from(body.rows).sort(function (a, b) {
      var x = key(a), y = key(b), n = x - y;
      return (isNaN(n) ? x.localeCompare(y) : n) * (up ? 1 : -1);
    }).forEach(function (row) { body.appendChild(row); });
  });
});
"""


@dataclass(frozen=True)
class Cell:
    """One cell: what it shows, what it sorts by, and how good it is (0 worst .. 1 best; None for no color)."""

    text: str
    value: float | None = None
    quality: float | None = None
    detail: str = ""

    def to_html(self, kind: str = "") -> str:
        """The td element, of a style class where one is named."""
        style = ""
        if self.quality is not None:
            hue = round(120 * min(max(self.quality, 0.0), 1.0))
            style = f' style="background:hsl({hue},70%,90%)"'
        key = "" if self.value is None else f' data-value="{self.value!r}"'
        detail = f" <small>{html.escape(self.detail)}</small>" if self.detail else ""
        return f"<td{_class(kind)}{key}{style}>{html.escape(self.text)}{detail}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def number(value: float | None, digits: int = 3, quality: float | None = None, detail: str = "") -> Cell:
    """A number, or a dash where it is not defined."""
    if value is None:
        return Cell("-", value=-1.0)
    return Cell(f"{value:.{digits}f}", float(value), quality, detail)


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table whose columns sort on a click; columns without numbers are aligned as words."""
    kinds = ["" if any(row[column].value is not None for row in rows) else "words" for column in range(len(heads))]
    top = "".join(f"<th{_class(kind)}>{html.escape(head)}</th>" for head, kind in zip(heads, kinds, strict=True))
    lines = ("".join(cell.to_html(kind) for cell, kind in zip(row, kinds, strict=True)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def picture(png: bytes, caption: str) -> str:
    """A figure with the image inside the page."""
    data = base64.b64encode(png).decode("ascii")
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; kind "note" or "failed" sets it apart."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def section(title: str, *parts: str) -> str:
    """A heading and what belongs to it; nothing where all parts are empty."""
    content = "\n".join(part for part in parts if part)
    return f"<h2>{html.escape(title)}</h2>\n{content}\n" if content else ""


def page(title: str, lead: str, sections: Sequence[str]) -> str:
    """The whole document; it loads nothing from anywhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f'<body><h1>{html.escape(title)}</h1><p class="lead">{html.escape(lead)}</p>\n{"".join(sections)}'
        f"<script>{_SORT}</script></body></html>\n"
    )
