"""How figures look: powers of ten, decimals, published names, and what a screen reader hears."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.reporting import tables

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "power"),
    [([0.0025, 0.0026], 2), ([0.28, 0.3], 0), ([330.0], 0), ([2.5e7], -5), ([0.0, NAN, np.inf], 0), ([1e-9, 1e-9, 1.0], 8), ([0.1], 0), ([99999.0], 0)],
)  # fmt: skip
def test_errors_of_a_column_share_a_power_of_ten(values: list[float], power: int) -> None:
    assert tables.power_of_ten(values) == power
    finite = np.abs([x for x in values if x and np.isfinite(x)])
    assert not len(finite) or 0.1 <= np.median(finite) * 10.0**power < 1e5


def test_the_power_stands_in_the_head() -> None:
    assert [tables.times(power) for power in (0, 2, 3, 5, -4)] == ["", " × 100", " × 1000", " × 1e5", " × 1e-4"]


def test_numbers_of_a_column_have_as_many_decimals() -> None:
    assert tables.column([0.0024801, 0.0026, 0.0032], 2) == ["0.2480", "0.2600", "0.3200"]
    assert tables.column([336.44, NAN, np.inf]) == ["336.4", "–", "∞"]
    table = pd.DataFrame({"m": [1.0847, 2.0], "low": [1.067, NAN], "high": [1.113, NAN]})
    assert tables.column_with_intervals(table, ("m", "low", "high")) == ["1.085 (1.067 to 1.113)", "2.000"]


def test_models_are_called_by_their_published_names() -> None:
    assert tables.called("mlstmf K=25 lr=0.01") == "MLSTMF K=25 lr=0.01"
    assert tables.called("my_rnn K=25") == "my_rnn K=25"


@pytest.mark.parametrize(
    "cell", ["0.28", "-1.2", "–", "< 1e-12", "1.085 (1.067 to 1.113)", "22 (15 to 31 %)", "9 of 10", "3e-05", "∞", "+0.5"]
)
def test_numbers_with_their_intervals_stand_on_the_right(cell: str) -> None:
    assert tables.NUMBER.fullmatch(cell)


@pytest.mark.parametrize("cell", ["rnn", "no: MRNN, p = 0.01", "▲ 0.83", "1 power law of 4", ""])
def test_words_do_not(cell: str) -> None:
    assert not tables.NUMBER.fullmatch(cell)


def test_the_sign_of_a_verdict_is_heard_as_a_word() -> None:
    page = tables.as_html(pd.DataFrame({"a": ["RNN"], "b": ["▲ 0.83"]}), "c")
    assert '<span aria-hidden="true">▲</span><span class="heard">better</span> 0.83' in page
    assert '<th scope="row">RNN</th>' in page


def test_heads_of_two_levels_span_their_series() -> None:
    table = pd.DataFrame([["RNN", "1", "2", "3"]], columns=pd.MultiIndex.from_tuples([("a", ""), ("x_y", "p"), ("x_y", "q"), ("z", "p")]))
    page = tables.as_html(table, "c")
    assert '<th scope="colgroup" colspan="2">x_y</th><th scope="colgroup" colspan="1">z</th>' in page
    assert 'data-head="x_y: q"' in page
    assert list(tables.flat(table).columns) == ["a", "x_y: p", "x_y: q", "z: p"]
    assert tables.as_markdown(table).startswith("| a | x_y: p |")


def test_markup_in_names_is_text() -> None:
    page = tables.as_html(pd.DataFrame({"<b>": ["<i>", "&"], 'q"': ["<u>", "x"]}), "c")
    assert not any(tag in page for tag in ("<b>", "<i>", "<u>", 'q""'))
