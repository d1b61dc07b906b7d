"""From the parts of a report to files: one HTML page that needs nothing beside it, and every table and figure on its own."""

from __future__ import annotations

import html
from collections.abc import Sequence

from analysis.report import plots, tables
from analysis.report.section import Section

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ margin-bottom: 0 }} h2 {{ margin-top: 2.4rem; border-bottom: 1px solid #ddd }} h3 {{ margin: 1.2rem 0 .2rem; font-size: 1rem }}
.quiet, figcaption {{ color: #666 }} ul {{ margin: .2rem 0; padding-left: 1.2rem }} li {{ margin: .15rem 0 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 12.5px; margin: .6rem 0 }}
th, td {{ padding: .18rem .6rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap }}
th {{ border-bottom: 1px solid #888 }} td.text, th.text {{ text-align: left }}
td.long {{ text-align: left; white-space: normal; min-width: 9rem }} td.words {{ text-align: left; white-space: normal; min-width: 24rem }}
td {{ vertical-align: top }}
figure {{ margin: 1rem 0 }} .scroll {{ overflow-x: auto }} svg {{ max-width: 100%; height: auto }}
pre {{ background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: 12px }}
@media print {{ body {{ max-width: none; margin: 0; font-size: 10pt }} h2, h3 {{ break-after: avoid }} figure, tr {{ break-inside: avoid }}
  .scroll {{ overflow: visible }} table {{ font-size: 7.5pt }} th, td {{ padding: .1rem .3rem; white-space: normal }} }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


def rendered(parts: Sequence[Section]) -> dict[str, bytes]:
    """Every table as CSV (all digits), Markdown and LaTeX, every figure as SVG and PDF: file names and contents."""
    files: dict[str, bytes] = {}
    for part in parts:
        for name, table in (part.shown | part.kept).items():
            for suffix, text in tables.FORMATS.items():
                source = part.kept.get(name, table) if suffix == "csv" else part.shown.get(name, table)
                files[f"tables/{name}.{suffix}"] = text(source).encode()
        for name, figure in part.figures.items():
            files[f"figures/{name}.svg"] = plots.svg(figure).encode()
            figure.set_layout_engine("none")  # laid out once, for both
            files[f"figures/{name}.pdf"] = plots.pdf(figure)
    return files


def page(title: str, parts: Sequence[Section], files: dict[str, bytes]) -> str:
    """The HTML of the report; its figures are those among the files of :func:`rendered`."""
    body = []
    for part in parts:
        body += [f"<h2>{html.escape(part.title)}</h2>"] if part.title else []
        body.append(part.text)
        if part.title == "Verdicts":
            body += [tables.as_html(table) for table in part.shown.values()]
            for dataset, lines in part.kept["sentences"].groupby("dataset", sort=False):
                items = "".join(f"<li>{html.escape(str(line))}</li>" for line in lines["sentence"])
                body.append(f"<h3>{html.escape(str(dataset))}</h3><ul>{items}</ul>")
            continue
        body += [f"<figure>{files[f'figures/{name}.svg'].decode()}</figure>" for name in part.figures]
        body += [tables.as_html(table) for table in part.shown.values()]
    return PAGE.format(title=html.escape(title), body="\n".join(body))
