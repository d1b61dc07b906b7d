"""The report of a study: tables on the terminal and as CSV, and one HTML page that needs nothing beside it."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Column, Table

from analysis import plots
from analysis.compare import against_baselines
from analysis.filter_length import by_filter_length
from analysis.summary import summarise
from ltm.errors import UserError
from sweeps.ledger import Ledger

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ margin-bottom: 0 }} h2 {{ margin-top: 2.2rem; border-bottom: 1px solid #ddd }} .quiet {{ color: #666 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }}
th, td {{ padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap }}
th {{ border-bottom: 1px solid #888 }} td.text, th.text {{ text-align: left }}
.scroll {{ overflow-x: auto }} svg {{ max-width: 100%; height: auto }} pre {{ background: #f6f6f6; padding: .7rem; overflow-x: auto }}
@media print {{ body {{ max-width: none; margin: 0 }} h2 {{ break-after: avoid }} }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


def write(study: str | Path, console: Console | None = None) -> Path:
    """Write ``report/`` of a study: ``index.html`` and every table as CSV; print the main table if given a console.

    Returns:
        The path of ``index.html``.

    Raises:
        UserError: no such study, or one without a finished seed run.
    """
    ledger = Ledger(study)
    record = yaml.safe_load(ledger.text("config.yaml") or "{}") or {}
    runs = ledger.runs()
    if runs.empty:
        raise UserError(f"{ledger.path} has no finished seed run; expected a study's folder, such as results/k_sweep.")
    runs = in_order(runs, list(record.get("conditions", {})))
    lengths, summary, tests = by_filter_length(runs), summarise(runs), against_baselines(runs)
    if console:
        console.print(length_table(lengths) if len(lengths) else summary_table(summary))
    folder = ledger.local() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {"summary": summary, "filter_length": lengths, "tests": tests}.items():
        if len(table):
            table.to_csv(folder / f"{name}.csv", index=False)
    index = folder / "index.html"
    index.write_text(page(str(record.get("study", ledger.path)), record, runs, lengths, summary, tests))
    return index


def in_order(runs: pd.DataFrame, condition_ids: list[str]) -> pd.DataFrame:
    """Rows in the order of the study's grid, whatever order they finished in."""
    place = {condition: i for i, condition in enumerate(condition_ids)}
    keys = pd.DataFrame({"place": runs["condition_id"].map(place).fillna(len(place)), "seed": runs["seed"]})
    return runs.loc[keys.sort_values(["place", "seed"], kind="stable").index].reset_index(drop=True)


def page(
    title: str, record: dict[str, object], runs: pd.DataFrame, lengths: pd.DataFrame, summary: pd.DataFrame, tests: pd.DataFrame
) -> str:
    """The HTML of the report."""
    diverged = int(summary["diverged"].sum())
    parts = [
        f'<p class="quiet">{len(runs)} seed runs of {len(summary)} conditions; {diverged} diverged (counted in every table, without an error).'
        " Errors are on the test part, on the series' original scale.</p>"
    ]
    if len(lengths):
        parts += [
            "<h2>Error against filter length K</h2><p>Mean test RMSE over seeds with its 95 % interval (Student's t).</p>",
            plots.svg(plots.filter_length(lengths)),
            html_table(lengths),
        ]
    parts += [
        "<h2>Conditions</h2><p>Test RMSE over seeds; <i>low</i> and <i>high</i> bound the mean (95 %).</p>",
        html_table(summary.drop(columns=["dataset", "model", "K"])),
    ]
    if len(tests):
        parts += [
            "<h2>Against RNN and LSTM</h2><p>Welch's t-test of mean test RMSE; null hypothesis: equal means. A negative difference means that"
            f" <i>a</i> has the smaller error. <i>p_holm</i> is corrected over the {int(tests['p'].notna().sum())} tests of this table (Holm).</p>",
            html_table(tests.drop(columns=["dataset", "t", "dof"])),
        ]
    parts += [
        "<h2>Spread over seeds</h2>",
        plots.svg(plots.box(runs)),
        "<h2>Where these figures come from</h2><p>Every seed run, with its run_id, config, code version and data fingerprint, is a row of"
        " <code>runs/*.parquet</code> beside this report.</p>",
        f"<pre>{html.escape(str(record.get('command', '')))}\ncode {html.escape(', '.join(runs['code'].unique()))}"
        f"\nengine {html.escape(', '.join(runs['engine'].unique()))}</pre>",
        f"<pre>{html.escape(yaml.safe_dump(record.get('config', {}), sort_keys=False))}</pre>",
    ]
    return PAGE.format(title=html.escape(title), body="\n".join(parts))


def shown(value: object) -> str:
    """A cell as text: four significant digits; a dash where there is nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def html_table(table: pd.DataFrame) -> str:
    """A table for the page: words left, numbers right."""
    texts = [not pd.api.types.is_numeric_dtype(table[name]) for name in table]

    def row(tag: str, values: list[str]) -> str:
        return (
            "<tr>"
            + "".join(f"<{tag}{' class=text' if t else ''}>{html.escape(v)}</{tag}>" for t, v in zip(texts, values, strict=True))
            + "</tr>"
        )

    body = "".join(row("td", [shown(value) for value in values]) for values in table.itertuples(index=False))
    return f'<div class="scroll"><table>{row("th", list(table.columns))}{body}</table></div>'


def length_table(lengths: pd.DataFrame) -> Table:
    """The K table of the terminal: a row a series and model, a column a K."""
    columns = sorted(lengths["K"].unique())
    title = "test RMSE, mean ± half its 95 % interval (n)"
    table = Table("series", "model", *(Column(f"K={K}", no_wrap=True) for K in columns), title=title, title_justify="left")
    for (dataset, model), group in lengths.groupby(["dataset", "model"], sort=False):
        at = group.set_index("K")
        table.add_row(str(dataset), str(model), *(with_interval(at.loc[K]) if K in at.index else "–" for K in columns))
    return table


def with_interval(row: pd.Series) -> str:
    half = (row["high"] - row["low"]) / 2
    interval = "" if np.isnan(half) else f" ± {half:.2g}"
    return f"{shown(float(row['mean']))}{interval} ({int(row['n'])})"


def summary_table(summary: pd.DataFrame) -> Table:
    """The conditions table of the terminal."""
    columns = ("n", "diverged", "mean", "sd", "min", "median")
    table = Table(Column("condition", no_wrap=True), *columns, title="test RMSE", title_justify="left")
    for row in summary.itertuples():
        figures = (shown(float(value)) for value in (row.mean, row.sd, row.min, row.median))  # type: ignore[arg-type]
        table.add_row(str(row.condition), f"{row.n} of {row.runs}", str(row.diverged), *figures)
    return table
