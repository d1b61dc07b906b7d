"""Conditions against the best baseline of their series: counts, intervals, and baselines as rows of the summary."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st
from statsmodels.stats.proportion import proportion_confint

from analysis import summarise
from analysis.reporting.parts import series
from analysis.studies import baselines
from analysis.studies.verdicts import judge
from analysis.study import Study
from analysis.table import frame
from tests.analysis.rows import ALL, held, rows


def test_shares_are_held_against_the_best_baseline_and_diverged_seeds_do_not_beat_it() -> None:
    values = [0.9] * 7 + [1.0] + [1.2] * 10 + [np.nan] * 2
    (row,) = frame(baselines.against(Study.of(rows(mrnn=values), baselines=ALL))).to_dict("records")
    assert (row["baseline"], row["error"], row["beating"], row["n"], row["diverged"]) == ("AR(1)", 1.0, 7, 20, 2)  # equal does not beat
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(7, 20, method="wilson"))
    assert row["p"] == pytest.approx(min(2 * st.binom.cdf(7, 19, 0.5), 1))  # the equal one is neither
    assert row["mean"] == pytest.approx((7 * 0.9 + 1 + 12) / 18)
    assert not row["mean_beats"]
    assert row["learned"]


@pytest.mark.parametrize("K", ["", "_5"])
def test_baselines_are_rows_of_the_summary_without_seeds(K: str) -> None:
    study = Study.of(rows(**{f"rnn{K}": [1.3, 1.4], f"mrnn{K}": [0.9, 1.3]}), baselines=ALL)
    found = baselines.summary_rows(summarise(study), judge(study).shares, study)
    assert list(found["condition"]) == [*(one.label for one in study), *(f"{name} / tree" for name in ALL["label"])]
    shown = series.of_conditions(found, judge(study).best, study).set_index("condition")
    assert shown.loc["AR(1)", "seeds"] == "–"
    assert shown.loc["AR(1)", "mean (95 %)"] == "1.000"
    assert shown.loc[f"MRNN{K.replace('_', ' K=')}", "beat the baseline"] == "1 (9 to 91 %)"
    assert set(shown.loc[[f"RNN{K.replace('_', ' K=')}"], "best?"]) == {"yes"}


def test_a_study_without_baselines_has_no_shares() -> None:
    assert not baselines.against(Study.of(rows(rnn=[1.0, 2.0]), baselines=held("another", AR=1.0)))
    assert not judge(Study.of(rows(rnn=[1.0, 2.0]))).shares
