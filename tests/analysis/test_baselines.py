"""Conditions against the best baseline of their series: counts, intervals, one family of tests, the report's first words."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from statsmodels.stats.proportion import proportion_confint

from analysis import against_baselines, baselines, families, summarise, tables, verdict
from analysis.compare import together


def held(dataset: str = "tree", fingerprint: str = "f", **errors: float) -> pd.DataFrame:
    """Baselines of one series with these test errors, by kind."""
    names = {"last": "last value", "AR": "AR", "mean": "mean", "constant": "constant"}
    return pd.DataFrame(
        [
            {"fingerprint": fingerprint, "version": 1, "dataset": dataset, "baseline": names[k], "label": f"{names[k]}(1)", "test_rmse": v}
            for k, v in errors.items()
        ]
    )


def runs(**models: list[float]) -> pd.DataFrame:
    """Rows of a ledger with these test errors by model; NaN is a diverged seed."""
    parts = [
        pd.DataFrame(
            {
                "dataset": "tree", "fingerprint": "f", "model": model, "condition": f"{model} / tree", "seed": range(len(values)),
                "status": ["diverged" if np.isnan(v) else "completed" for v in values], "test_rmse": values,
            }
        )
        for model, values in models.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(K=pd.array([pd.NA] * sum(map(len, models.values())), dtype="Int64"))


ALL = held(mean=2.0, last=1.5, AR=1.0, constant=1.9)


def test_shares_are_held_against_the_best_baseline_and_diverged_seeds_do_not_beat_it() -> None:
    values = [0.9] * 7 + [1.0] + [1.2] * 10 + [np.nan] * 2
    for rule in ("worst", "drop", "best"):
        (row,) = baselines.against(runs(mrnn=values), ALL, rule=rule).to_dict("records")
        assert (row["baseline"], row["error"], row["beating"], row["n"]) == ("AR(1)", 1.0, 7, 20)  # equal does not beat
        assert (row["low"], row["high"]) == pytest.approx(proportion_confint(7, 20, method="wilson"))
        assert row["p"] == pytest.approx(min(2 * st.binom.cdf(7, 20, 0.5), 1))
        assert not row["mean_beats"]
        assert row["learned"]


def test_the_shares_and_the_comparisons_are_one_family() -> None:
    rng = np.random.default_rng(0)
    table = runs(rnn=list(rng.normal(1.1, 0.1, 20)), lstm=list(rng.normal(1, 0.1, 20)), mrnn=list(rng.normal(0.85, 0.1, 20)))
    alone = against_baselines(table)
    tests, shares = together(alone, baselines.against(table, ALL))
    whole = np.concatenate([tests["p"], shares["p"]]).astype(float)
    np.testing.assert_allclose(np.concatenate([tests["p_adjusted"], shares["p_adjusted"]]).astype(float), families.adjust(whole))
    assert (tests["p_adjusted"] >= alone["p_adjusted"]).all()
    assert dict(zip(shares["condition"], shares["verdict"], strict=True))["mrnn / tree"] == "beats"
    without, none = together(alone, baselines.against(table, ALL.iloc[:0]))
    pd.testing.assert_frame_equal(without, alone)
    assert none.empty
    matrix = verdict.matrix(tests, shares).set_index("against")
    assert matrix.loc["mrnn", "tree: AR(1)"].startswith("▲")
    assert "mrnn beats AR(1): " in baselines.claim(shares.iloc[2], "holm", len(whole))


def test_too_few_seeds_for_a_verdict_are_told_apart_from_no_difference() -> None:
    for values, words in (
        ([1.3] * 5, "rnn has too few seeds for a verdict (tests: 1) against AR(1): 0 of 5"),
        ([1.3, 0.9] * 6, "rnn is not told apart from"),
    ):
        table = runs(rnn=values)
        _, shares = together(against_baselines(table), baselines.against(table, ALL))
        assert baselines.claim(shares.iloc[0], "holm", 1).startswith(words)


def said(table: pd.DataFrame, of: pd.DataFrame = ALL) -> str:
    (line,) = baselines.first_words(baselines.against(table, of), of, "test_rmse")["sentence"]
    return str(line)


def test_the_first_words_say_whether_a_network_is_worth_it() -> None:
    worse = said(runs(rnn=[1.3, 1.4], mrnn=[0.9, 1.3]))
    assert worse.startswith("tree: no network beats a linear forecast on average: AR(1) tests at 1, the best network's mean (mrnn) is 1.1;")
    assert "1 of 2 of its seeds beat it (95 % interval of the share" in worse
    assert said(runs(rnn=[1.3, 1.4], mrnn=[0.9, 0.8])).startswith("tree: 1 of 2 networks beat a linear forecast on average")
    assert "No better on average than a constant: rwa." in said(runs(rwa=[2.3, 1.9], mrnn=[0.9, 0.8]))
    assert "tree: no network finished; AR(1) tests at 1." in said(runs(rnn=[np.nan, np.nan]))


def test_networks_that_learn_nothing_are_told_so() -> None:
    line = said(runs(rnn=[2.3, 2.4], mrnn=[2.1, 2.2]))
    assert line.startswith("tree: the networks learned nothing: no condition's mean beats the mean of the training part (2).")
    level = said(runs(rnn=[1.95, 1.96]))
    assert level.startswith("tree: the networks learned nothing: no condition's mean beats a constant (the best in hindsight, 1.9).")


@pytest.mark.parametrize("K", [pd.NA, 5])
def test_baselines_are_rows_of_the_summary_without_seeds(K: object) -> None:
    table = runs(rnn=[1.3, 1.4], mrnn=[0.9, 1.3]).assign(K=pd.array([K] * 4, dtype="Int64"))
    _, shares = together(against_baselines(table), baselines.against(table, ALL))
    rows = baselines.summary_rows(summarise(table), shares, ALL, "test_rmse")
    assert list(rows["condition"]) == ["rnn / tree", "mrnn / tree", *(f"{name} / tree" for name in ALL["label"])]
    shown = tables.conditions(rows).set_index("condition")
    assert shown.loc["AR(1) / tree", "finished"] == "–"
    assert shown.loc["AR(1) / tree", "mean"] == 1.0
    assert shown.loc["mrnn / tree", "beat the baseline"] == "1 of 2 (9 to 91 %)"
    assert shown.loc["rnn / tree", "mean beats it"] == "no"


def test_a_study_without_baselines_has_no_shares() -> None:
    assert baselines.against(runs(rnn=[1.0, 2.0]), held(fingerprint="another", AR=1.0)).empty
