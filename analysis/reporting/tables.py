"""Tables as people read them: for the page, for a paper, for the terminal. Numbers come in; only their looks are decided here."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from rich.table import Column
from rich.table import Table as RichTable

PUBLISHED = {name: name.upper() for name in ("rnn", "rnn2", "rwa", "mist", "mrnn", "mrnnf", "lstm", "mlstm", "mlstmf", "gru")}

LATEX = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"})

NUMBER = re.compile(r"(< |[-+–])?[\d.,∞–]+(e[-+]?\d+)?( ?[%(][^a-z]*| (to|of) .*|\s*\(.*)?")
"""A cell that is a number, perhaps with its interval or count: it stands on the right."""

SIGN = re.compile(r"([▲▼=≥·?◆]) (.*)")
SIGNS = {
    "▲": "better",
    "▼": "worse",
    "=": "equivalent",
    "≥": "no worse",
    "·": "not told apart",
    "?": "too few seeds",
    "◆": "mean and seeds disagree",
}
"""The signs of verdicts, and what they are read out as."""

LONG = 26
"""Characters up to which a cell does not wrap."""


def called(name: str) -> str:
    """A model or condition by its published name: ``MRNN K=100`` of ``mrnn K=100``; an own model keeps the name it was given."""
    return re.sub(r"^[^\s/]+", lambda word: PUBLISHED.get(word[0], word[0]), name)


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


def p_cell(p: float) -> str:
    """``0.012``, ``< 1e-12``: under a head that names the test."""
    return "–" if np.isnan(p) else "< 1e-12" if p < 1e-12 else f"{p:.2g}"


def power_of_ten(values: Iterable[float]) -> int:
    """By which errors are multiplied so that most begin with at most one zero: 2 for 0.0025, 0 for 0.25, -4 for 2.5e7."""
    sizes = np.abs(np.array([*values], float))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        return 0
    middle = float(np.log10(np.median(sizes)))
    return int(np.ceil(-1 - middle)) if middle < -1 else 2 - int(middle) if middle >= 5 else 0


def times(power: int) -> str:
    """`` × 100``, for the head of a column; empty for 0."""
    return "" if power == 0 else f" × {10**power}" if 0 < power <= 3 else f" × 1e{power}"


def scale(values: Iterable[float], points: float = 0.0) -> tuple[int, str]:
    """By which power of ten scores of one column are multiplied, and what its head says of it; shares are shown in per cent.

    Args:
        points: percentage points in 1 of a score, 0 where it is no share.
    """
    if points:
        return (2, ", %") if points == 100 else (0, ", %")
    power = power_of_ten(values)
    return power, times(power)


def score(value: float, points: float = 0.0) -> str:
    """A score in a sentence: ``0.0123``; ``91.2 %`` of a share."""
    return f"{value * points:.1f} %" if points and np.isfinite(value) else shown(value)


def column(values: Iterable[float], power: int = 0, digits: int = 4) -> list[str]:
    """Numbers of one column, multiplied by a power of ten, all with as many decimals as give the middle one these digits."""
    numbers = np.array([*values], float) * 10.0**power
    places = decimals(numbers, digits)
    return [fixed(x, places) for x in numbers]


def decimals(numbers: np.ndarray, digits: int) -> int:
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    return int(np.clip(digits - 1 - np.floor(np.log10(np.median(sizes))), 0, 8)) if len(sizes) else 0


def fixed(x: float, places: int) -> str:
    """So many decimals; four significant digits where a number is far larger than the others of its column."""
    return shown(float(x)) if not np.isfinite(x) or abs(x) >= 1e7 else f"{x:.{places}f}"


def with_interval(value: float, low: float, high: float, places: int) -> str:
    """``0.83 (0.77 to 0.88)``."""
    ends = f" ({fixed(low, places)} to {fixed(high, places)})" if np.isfinite([low, high]).all() else ""
    return fixed(value, places) + ends


def column_with_intervals(table: pd.DataFrame, names: tuple[str, str, str], power: int = 0, digits: int = 4) -> list[str]:
    """As :func:`column`, each with its interval: the columns of the value, and of its low and high end."""
    numbers = table[list(names)].to_numpy(float) * 10.0**power
    places = decimals(numbers[:, 0], digits)
    return [with_interval(x, low, high, places) for x, low, high in numbers.tolist()]


def as_html(table: pd.DataFrame, caption: str) -> str:
    """A table for the page: its first column are the heads of its rows; columns of two levels have two rows of heads.

    Args:
        caption: HTML.
    """
    rows, names = cells_of(table), heads(table)
    right = [all(NUMBER.fullmatch(row[i]) for row in rows) and any(row[i] != "–" for row in rows) for i in range(len(names))]

    def cell(text: str, i: int) -> str:
        if i == 0:
            return f'<th scope="row"{" class=long" * (len(text) > LONG)}>{html.escape(text)}</th>'
        sign = SIGN.fullmatch(text)
        kind = {"▲": " up", "▼": " down"}.get(sign[1], "") if sign else " number" if right[i] else ""
        look = f"{kind}{' short' * (len(text) <= LONG)}".strip()
        inside = (
            f'<span aria-hidden="true">{sign[1]}</span><span class="heard">{SIGNS[sign[1]]}</span> {html.escape(sign[2])}'
            if sign
            else html.escape(text)
        )
        return f'<td{f" class={chr(34)}{look}{chr(34)}" if look else ""} data-head="{html.escape(names[i])}"><span>{inside}</span></td>'

    body = "\n".join(f"<tr>{''.join(cell(text, i) for i, text in enumerate(row))}</tr>" for row in rows)
    return f"<table><caption>{caption}</caption><thead>{head(table, right)}</thead>\n<tbody>{body}</tbody></table>"


def head(table: pd.DataFrame, right: Sequence[bool]) -> str:
    """The rows of heads of a table for the page."""

    def one(name: object, i: int) -> str:
        return f'<th scope="col"{" class=number" if right[i] else ""}>{html.escape(str(name))}</th>'

    if not isinstance(table.columns, pd.MultiIndex):
        return f"<tr>{''.join(one(said(name), i) for i, name in enumerate(table.columns))}</tr>"
    over = [str(name) for name in table.columns.get_level_values(0)]
    spans = [(name, over.count(name)) for name in dict.fromkeys(over[1:])]
    first = f'<th scope="col" rowspan="2">{html.escape(str(table.columns[0][0]))}</th>'
    upper = "".join(f'<th scope="colgroup" colspan="{count}">{html.escape(name)}</th>' for name, count in spans)
    lower = "".join(one(name, i + 1) for i, name in enumerate(table.columns.get_level_values(1)[1:]))
    return f"<tr>{first}{upper}</tr><tr>{lower}</tr>"


def said(name: object) -> str:
    """The head of a column; the name of a series stays as it is."""
    return ": ".join(filter(None, map(str, name))) if isinstance(name, tuple) else str(name).replace("_", " ")


def heads(table: pd.DataFrame) -> list[str]:
    """One head a column; of two levels, ``series: other``."""
    return [said(name) for name in table.columns]


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """With one head a column, for a CSV."""
    return table.set_axis(heads(table), axis=1) if isinstance(table.columns, pd.MultiIndex) else table


def cells_of(table: pd.DataFrame) -> list[list[str]]:
    return [[shown(value) for value in row] for row in table.itertuples(index=False)]


def is_number(table: pd.DataFrame) -> list[bool]:
    """Whether a column stands on the right: numbers, or text that is."""
    rows = cells_of(table)
    return [all(NUMBER.fullmatch(row[i]) for row in rows) for i in range(table.shape[1])]


def as_markdown(table: pd.DataFrame) -> str:
    """A pipe table."""
    rows = [heads(table), ["---:" if number else "---" for number in is_number(table)], *cells_of(table)]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |\n" for row in rows)


def as_latex(table: pd.DataFrame) -> str:
    """A ``tabular`` with booktabs rules (``\\usepackage{booktabs}``)."""
    signs = {"–": "--", "±": r"$\pm$", "×": r"$\times$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "≥": r"$\ge$", "·": r"$\cdot$", "◆": r"$\blacklozenge$", "∞": r"$\infty$", "−": "$-$"}  # fmt: skip

    def row(cells: list[str]) -> str:
        return " & ".join(re.sub("[–±×▲▼≥·◆∞−]", lambda sign: signs[sign[0]], cell.translate(LATEX)) for cell in cells) + r" \\" + "\n"

    columns = "".join("r" if number else "l" for number in is_number(table))
    body = "".join(row(cells) for cells in cells_of(table))
    return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{row(heads(table))}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def as_csv(table: pd.DataFrame) -> str:
    """All digits."""
    return str(table.to_csv(index=False))


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"csv": as_csv, "md": as_markdown, "tex": as_latex}


def for_terminal(table: pd.DataFrame, title: str) -> RichTable:
    """A rich table: the first column whole, numbers right."""
    columns = [
        Column(name, justify="right" if number else "left", no_wrap=i == 0)
        for i, (name, number) in enumerate(zip(heads(table), is_number(table), strict=True))
    ]
    out = RichTable(*columns, title=title, title_justify="left")
    for cells in cells_of(table):
        out.add_row(*cells)
    return out
