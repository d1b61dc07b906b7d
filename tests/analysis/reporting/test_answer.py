"""The paragraph that answers, the matrix and the forest of the first screen, and the comparisons of the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.reporting import answer
from analysis.reporting.parts import first
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import Study
from tests.analysis.rows import ALL, held, rows

NAN = float("nan")
RNG = np.random.default_rng(0)
GOOD, BASE = list(RNG.normal(0.9, 0.01, 20)), list(RNG.normal(1.1, 0.01, 20))


def judged(of: pd.DataFrame | None = ALL, **models: list[float]) -> Verdicts:
    return judge(Study.of(rows(**models), baselines=of))


def two_series(**models: list[float]) -> Verdicts:
    table = pd.concat([rows("tree", **models), rows("dji", **{name: values[::-1] for name, values in models.items()})], ignore_index=True)
    return judge(Study.of(table, baselines=pd.concat([ALL, held("dji", mean=2.0, AR=1.0, constant=1.9)], ignore_index=True)))


def test_whether_a_network_is_worth_it_is_said_first() -> None:
    lost = answer.paragraph(judged(rnn=BASE, lstm=BASE))
    assert lost.startswith("Every network loses to the best forecast without a network (AR(1)), with every seed.")
    assert answer.paragraph(judged(rnn=BASE, mrnn=GOOD)).startswith("The best forecast without a network (AR(1)) is beaten by MRNN.")
    undecided = answer.worth(judged(rnn=BASE, mrnn=[0.9, 1.1] * 10))
    assert undecided == "No network is shown to beat the best forecast without a network (AR(1)); the closest is MRNN, with 10 of 20 seeds."
    assert answer.worth(judged(rnn=[2.3] * 20)) == "The networks learned nothing: no mean beats a constant."
    assert answer.worth(judged(rnn=[1.3] * 3)).startswith(
        "3 seeds are too few for a verdict against forecasts without a network (6 are needed)."
    )
    assert answer.worth(judged(None, rnn=BASE)) == ""


def test_series_are_counted_and_named() -> None:
    both = two_series(rnn=BASE, mrnn=GOOD)
    assert answer.worth(both) == "The best forecast without a network is beaten by MRNN on all 2 series."
    assert answer.best(both) == "May be the best network: MRNN on all 2 series. Each other one is beaten by another."
    assert answer.worth(two_series(rnn=BASE)).startswith("Every network loses to the best forecast without a network on all 2 series")


def test_who_may_be_the_best_is_said_by_model_and_filter_length() -> None:
    assert answer.best(judged(a=GOOD[:4], b=BASE[:4])) == "4 seeds cannot tell which network is the best (6 each are needed)."
    assert answer.best(judged(a=BASE, b=BASE[::-1])) == "Any network may be the best: none is beaten by another."
    several = answer.best(judged(mrnn_5=GOOD, mrnn_9=GOOD[::-1], lstm=BASE))
    assert several.startswith("May be the best network: MRNN (K = 5, 9).")
    assert answer.best(judged(mrnn_5=GOOD, lstm=BASE)).startswith("May be the best network: MRNN.")  # one K says nothing of K


def test_which_filter_will_do_is_said() -> None:
    assert answer.lengths(judged(mrnn_5=GOOD, mrnn_9=GOOD)) == "The shortest filter shown to be within 2 % of every other: K = 5 for MRNN."
    wide = list(RNG.normal(1, 0.3, 8))
    assert answer.lengths(judged(mrnn_5=wide, mrnn_9=wide[::-1])).endswith("none is for MRNN.")
    assert answer.lengths(judged(rnn=BASE)) == ""


def test_what_the_inference_is_about_ends_the_paragraph() -> None:
    assert answer.paragraph(judged(None, rnn=[NAN, NAN])).endswith(
        "on one path and one split of each series; it says nothing of another path."
    )


def test_the_terminal_has_at_most_ten_comparisons_the_best_of_every_series_first() -> None:
    models = {f"m{i}": list(RNG.normal(1 + 0.1 * i, 0.01, 10)) for i in range(9)}
    table, title = answer.pairs(two_series(rnn=BASE[:10], lstm=BASE[10:], **models))
    assert len(table) == answer.MOST_PAIRS
    assert list(table["series"][:2]) == ["tree", "dji"]
    assert list(table["a"][:2]) == ["m0", "m0"]
    assert title.startswith("two-sided, null hypothesis P = 1/2, relabelling, Holm over")
    assert table["beat the baseline"].str.fullmatch("\\d+ of 10").all()
    alone, title = answer.pairs(judged(mrnn_5=GOOD, mrnn_9=BASE))
    assert list(alone["seeds of a that beat b"]) == ["20 of 20", "0 of 20"]
    assert title.startswith("exact binomial test, two-sided, null hypothesis half of the seeds")


def test_all_verdicts_at_a_glance() -> None:
    verdicts = judged(rnn=BASE, mrnn=GOOD, short=[1.0, 1.0])
    matrix = first.matrix(verdicts).set_index(("condition", ""))
    assert matrix.loc["MRNN", ("tree", "RNN")] == "▲ 1.00"
    assert matrix.loc["short", ("tree", "RNN")].startswith("?")
    assert matrix.loc["MRNN", ("tree", "AR(1)")] == "▲ 1.00"
    assert first.matrix(judge(Study.of(rows(mrnn=GOOD)))).empty


def test_the_key_names_the_signs_that_are_there_and_warns_of_equals_that_lose() -> None:
    key = first.key_of(judged(rnn=BASE, mrnn=BASE[::-1]))
    assert "▼ worse" in key
    assert "= equivalent within 2 %" in key
    assert "▲" not in key
    assert "loses to the baseline" in key


def test_effects_are_differences_in_per_cent_with_the_intervals_of_their_tests() -> None:
    verdicts = judged(rnn=BASE, mrnn=GOOD)
    rows_ = first.effects(verdicts)
    (one,) = verdicts.comparisons
    row = rows_[rows_["role"] == "RNN"].iloc[0]
    assert row["percent"] == pytest.approx(one.percent)
    assert row["low"] < row["percent"] < row["high"] < 0
    assert row["decided"]
    base = rows_[(rows_["role"] == first.BASELINE) & (rows_["name"] == "MRNN")].iloc[0]
    assert base["percent"] == pytest.approx(100 * (np.median(GOOD) - 1))
    assert (
        first.effects(judged(rnn=[0.0] * 20, mrnn=[NAN] * 20)).empty
        or np.isfinite(first.effects(judged(rnn=[0.0] * 20, mrnn=[NAN] * 20))["percent"]).all()
    )
