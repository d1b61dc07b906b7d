"""Tables as people read them: for the page, for a paper, for the terminal. Numbers come in; only their looks are decided here."""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Column, Table

from analysis.study import name_of

LATEX = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"})


def shown(value: object) -> str:
    """A cell as text: four significant digits; a dash where there is nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, float) and np.isinf(value):
        return "∞" if value > 0 else "-∞"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def p_value(p: float) -> str:
    """``p = 0.012``, ``p < 1e-12``."""
    if np.isnan(p):
        return "no p"
    return "p < 1e-12" if p < 1e-12 else f"p = {p:.2g}"


LONG = 60
"""Characters from which a cell of the page is a sentence, and wraps; beside paragraphs of twice that, shorter cells do, too."""


def as_html(table: pd.DataFrame) -> str:
    """A table for the page: words left, numbers right; scrolls where it is too wide."""
    words = [not pd.api.types.is_numeric_dtype(table[name]) for name in table]
    rows = cells_of(table)
    long = LONG / 3 if any(len(cell) > 2 * LONG for cells in rows for cell in cells) else LONG

    def look(cell: str, text: bool) -> str:
        return " class=words" if len(cell) > 2 * LONG else " class=long" if text and len(cell) > long else " class=text" if text else ""

    def row(tag: str, cells: list[str]) -> str:
        marked = zip(words, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{look(cell, text)}>{html.escape(cell)}</{tag}>" for text, cell in marked) + "</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    return f'<div class="scroll"><table><thead>{row("th", heads(table))}</thead><tbody>{body}</tbody></table></div>'


def as_markdown(table: pd.DataFrame) -> str:
    """A pipe table."""
    right = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    rows = [heads(table), ["---:" if number else "---" for number in right], *cells_of(table)]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |\n" for row in rows)


def as_latex(table: pd.DataFrame) -> str:
    """A ``tabular`` with booktabs rules (``\\usepackage{booktabs}``)."""

    def row(cells: list[str]) -> str:
        return " & ".join(cell.translate(LATEX).replace("–", "--").replace("±", r"$\pm$") for cell in cells) + r" \\" + "\n"

    columns = "".join("r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in table)
    body = "".join(row(cells) for cells in cells_of(table))
    return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{row(heads(table))}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def as_csv(table: pd.DataFrame) -> str:
    """All digits."""
    return str(table.to_csv(index=False))


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"csv": as_csv, "md": as_markdown, "tex": as_latex}


def heads(table: pd.DataFrame) -> list[str]:
    return [str(name).replace("_", " ") for name in table.columns]


def cells_of(table: pd.DataFrame) -> list[list[str]]:
    return [[shown(value) for value in row] for row in table.itertuples(index=False)]


def for_terminal(table: pd.DataFrame, title: str) -> Table:
    """A rich table: the first column whole, numbers right."""
    columns = [
        Column(head, justify="right" if pd.api.types.is_numeric_dtype(table[name]) else "left", no_wrap=i == 0)
        for i, (head, name) in enumerate(zip(heads(table), table.columns, strict=True))
    ]
    out = Table(*columns, title=title, title_justify="left")
    for cells in cells_of(table):
        out.add_row(*cells)
    return out


def by_length(lengths: pd.DataFrame) -> pd.DataFrame:
    """The K table: a row a series and model, a column a K; mean, half its interval, seeds finished (of how many, where some are missing)."""

    def cell(row: pd.Series) -> str:
        half = (row["high"] - row["low"]) / 2
        seeds = f"{int(row['finished'])}" + (f" of {int(row['runs'])}" if row["finished"] < row["runs"] else "")
        return f"{shown(float(row['mean']))}{'' if np.isnan(half) else f' ± {half:.2g}'} ({seeds})"

    rows = []
    for (dataset, model), group in lengths.groupby(["dataset", "model"], sort=False):
        rows.append({"series": dataset, "model": model, **{f"K={row['K']}": cell(row) for _, row in group.iterrows()}})
    columns = [f"K={K}" for K in sorted(lengths["K"].unique())]
    return pd.DataFrame(rows, columns=["series", "model", *columns])


def beside_lengths(table: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The K table with what has no K after each series, under "no K": the other models, and the baselines."""
    others = summary[summary["K"].isna()]
    rows = pd.DataFrame(
        {
            "series": others["dataset"], "model": [name_of(row["condition"], row["dataset"]) for row in others.to_dict("records")],
            "no K": [shown(mean) + ("" if pd.isna(n) else f" ({n})") for mean, n in zip(others["mean"], others["finished"], strict=True)],
        }
    )  # fmt: skip
    if rows.empty:
        return table
    parts = [part[part["series"] == dataset] for dataset in table["series"].unique() for part in (table, rows)]
    return pd.concat(parts, ignore_index=True).fillna("–")


def conditions(summary: pd.DataFrame) -> pd.DataFrame:
    """The table of conditions as the page shows it: seeds as "n of N", intervals as one column; rows of baselines have no seeds."""
    beside: dict[str, object] = {}
    if "beating" in summary:
        rows = summary.to_dict("records")
        beside["beat the baseline"] = [
            "–"
            if pd.isna(row["beating"])
            else f"{row['beating']} of {row['runs']} ({100 * row['share_low']:.0f} to {100 * row['share_high']:.0f} %)"
            for row in rows
        ]
        beside["mean beats it"] = ["–" if pd.isna(row["mean_beats"]) else "yes" if row["mean_beats"] else "no" for row in rows]
    return pd.DataFrame(
        {
            "condition": summary["condition"],
            "finished": ["–" if pd.isna(N) else f"{n} of {N}" for n, N in zip(summary["finished"], summary["runs"], strict=True)],
            "mean": summary["mean"], "95 % interval": intervals(summary, "low", "high"), "sd": summary["sd"],
            "median": summary["median"], "IQM": summary["iqm"],
            "min": summary["min"], "best of 10": summary["best_of_10"], **beside,
        }
    )  # fmt: skip


def comparisons(tests: pd.DataFrame) -> pd.DataFrame:
    """A table of comparisons as the page shows it."""
    rows = tests.to_dict("records")
    return pd.DataFrame(
        {
            "a": tests["a"], "b": [name_of(row["b"], row["dataset"]) for row in rows], "verdict": tests["verdict"],
            "seeds (diverged)": [f"{counted(row, 'a')}, {counted(row, 'b')}" for row in rows],
            "P(a beats b)": tests["theta"], "95 % interval": intervals(tests, "theta_low", "theta_high"), "p": tests["p_adjusted"],
            "typical difference": tests["difference"], "its 95 % interval": intervals(tests, "low", "high"), "%": tests["percent"],
            "p no worse": tests["p_no_worse_adjusted"], "difference of means": intervals(tests, "mean_low", "mean_high"),
            "p any time": tests["p_anytime"],
        }
    )  # fmt: skip


def counted(row: Mapping[Hashable, Any], side: str) -> str:
    """``100 (2)``: seeds, and how many of them diverged, if any."""
    return f"{row[f'n_{side}']}" + (f" ({row[f'diverged_{side}']})" if row[f"diverged_{side}"] else "")


def best(rows: pd.DataFrame) -> pd.DataFrame:
    """Who may be the best, as the page shows it."""
    beaten = [name_of(row["beaten_by"], row["dataset"]) if not row["may_be_best"] else None for row in rows.to_dict("records")]
    return pd.DataFrame(
        {
            "condition": rows["condition"], "median": rows["median"], "may be best": rows["may_be_best"], "beaten by": beaten, "with P": rows["theta"],
            "p": rows["p_adjusted"], "among": rows["among"],
        }
    )  # fmt: skip


def trends(rows: pd.DataFrame) -> pd.DataFrame:
    """Trends over K as the page shows them."""
    return pd.DataFrame(
        {
            "series": rows["dataset"], "model": rows["model"], "K": rows["lengths"], "seeds": rows["seeds"], "diverged": rows["diverged"],
            "P(longer wins)": 0.5 + rows["J"], "p trend": rows["p_adjusted"], "recommended": rows["recommended"], "p recommended": rows["p_recommended"],
        }
    )  # fmt: skip


def intervals(table: pd.DataFrame, low: str, high: str) -> list[str]:
    return [
        "–" if np.isnan(a) else f"{shown(a)} to {shown(b)}"
        for a, b in zip(table[low].astype(float), table[high].astype(float), strict=True)
    ]
