"""From the parts of a report to files: one HTML page that needs nothing beside it, and tables and figures on their own."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.reporting import drawing, tables
from analysis.reporting.section import Plot, Section, Table

TABLES, FIGURES = ("csv", "md", "tex"), ("svg", "pdf")
FORMATS = (*TABLES, *FIGURES)
DEFAULT = ("csv",)
"""Formats that a report writes beside its page."""

LEAST_WIDE = 14
"""Columns from which a table may have to scroll."""

WIDE = 5.5
"""Inches from which a panel of a figure has to scroll on a phone, so that it can be read."""


@dataclass(frozen=True)
class Head:
    """What stands above all parts and below them: the study's name, what was run, the answer, and where it comes from (HTML)."""

    title: str
    run: str
    answer: str
    foot: str


def rendered(parts: Iterable[Section], formats: Collection[str] = DEFAULT) -> dict[str, bytes]:
    """Tables as CSV (all digits), Markdown and LaTeX, figures as SVG and PDF: file names and contents."""
    files: dict[str, bytes] = {}
    for part in parts:
        if "csv" in formats:
            whole = {table.name: tables.flat(table.shown) for table in part.every_table if table.source is None} | part.kept
            files |= {f"tables/{name}.csv": tables.as_csv(table).encode() for name, table in whole.items()}
        for table in part.every_table:
            files |= {f"tables/{table.name}.{end}": tables.FORMATS[end](table.shown).encode() for end in ("md", "tex") if end in formats}
        for plot in part.every_plot:
            if not set(FIGURES) & set(formats) or any(f"figures/{plot.name}.{end}" in files for end in FIGURES):
                continue  # drawn with all its panels, once
            figure = plot.drawing.whole()
            if "svg" in formats:
                files[f"figures/{plot.name}.svg"] = drawing.svg(figure).encode()
            if "pdf" in formats:
                files[f"figures/{plot.name}.pdf"] = drawing.pdf(figure)
    return files


def page(head: Head, parts: Sequence[Section], files: Collection[str]) -> str:
    """The HTML of the report; it links to those of its tables and figures that are among ``files``."""
    first, *rest = parts
    title = html.escape(head.title)
    links = "".join(f'<li><a href="#{slug(part.title)}">{html.escape(part.title)}</a></li>' for part in rest)
    body = [
        f'<a class="skip" href="#main">Skip to the findings</a><header><h1>{title}</h1><p class="run quiet">{head.run}</p></header>',
        f'<main id="main"><p class="answer">{head.answer}</p>',
        first.text,
        side(first, files),
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>',
        *(section(part, files) for part in rest),
        f"</main><footer><p>{head.foot}</p></footer>",
    ]
    style, whole = (Path(__file__).parent / "page.css").read_text(), "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>\n{style}</style></head>\n<body>{whole}</body></html>\n"
    )


def section(part: Section, files: Collection[str]) -> str:
    """A part under its heading: what is seen at once, then what unfolds."""
    name = slug(part.title)
    shown = side(part, files)
    folded = ""
    if part.sentences:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in part.sentences)
        folded += details(f"In words: {counted(len(part.sentences), 'sentence')}", f"<ul>{items}</ul>")
    for words, some in part.more.items():
        folded += details(words, "".join(table(one, files) if isinstance(one, Table) else figure(one, files) for one in some))
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{html.escape(part.title)}</h2>{part.text}{shown}{folded}</section>'


def side(part: Section, files: Collection[str]) -> str:
    """Figures and tables, side by side where there is room."""
    seen = [*(figure(one, files) for one in part.plots), *(table(one, files) for one in part.tables)]
    return f'<div class="side">{"".join(seen)}</div>' if seen else ""


def details(words: str, inside: str) -> str:
    return f"<details><summary>{html.escape(words)}</summary>{inside}</details>"


def figure(one: Plot, files: Collection[str]) -> str:
    """The panels side by side where there is room, under one caption."""
    names = one.panels if one.panels is not None else one.drawing.names
    drawn = "".join(
        drawing.inline(
            drawing.svg(one.drawing.panel(name, one.titled)), f"{one.name}-{one.drawing.names.index(name)}", one.finds.get(name, one.name)
        )
        for name in names
    )
    width = f' style="--panel:{one.drawing.size[0] * 5.6:.0f}rem; --count:{len(names)}"'
    scroll = ' panels-wide" role="region" tabindex="0" aria-label="Figure"' if one.drawing.size[0] > WIDE else '"'
    return (
        f'<figure class="figure"{width}><div class="panels{scroll}>{drawn}</div>'
        f"<figcaption>{one.caption}{linked(f'figures/{one.name}', FIGURES, files)}</figcaption></figure>"
    )


def table(one: Table, files: Collection[str]) -> str:
    """The table under its caption; one of many columns scrolls where it has to."""
    wide = one.shown.shape[1] >= LEAST_WIDE
    label = html.escape(re.sub(r"<[^>]+>", "", one.caption).partition(".")[0])
    scroll = f' class="table scroll" role="region" tabindex="0" aria-label="{label}"' if wide else ' class="table"'
    links = linked(f"tables/{one.source or one.name}", ("csv",), files) + linked(f"tables/{one.name}", ("md", "tex"), files)
    return f"<div{scroll}>{tables.as_html(one.shown, one.caption + links)}</div>"


def linked(stem: str, ends: Iterable[str], files: Collection[str]) -> str:
    """Links to these files, as far as they are there."""
    links = [f'<a href="{stem}.{end}">{end.upper()}</a>' for end in ends if f"{stem}.{end}" in files]
    return f' <span class="files">{" ".join(links)}</span>' if links else ""


def slug(words: str, start: str = "part-") -> str:
    """What names a part within the page: a word that begins with a letter."""
    return start + re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def counted(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"


def as_paragraph(words: str, quiet: bool = False) -> str:
    return f"<p{' class=quiet' * quiet}>{html.escape(words)}</p>"
