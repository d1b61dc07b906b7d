"""Summaries and tests against closed forms and scipy; the report on whole and half studies."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import by_filter_length, compare, mean_interval, summarise, welch
from analysis.compare import against_baselines, holm
from ltm.errors import UserError


def runs(**models: list[float]) -> pd.DataFrame:
    """Rows of a ledger with these test errors by model; NaN is a diverged seed."""
    parts = []
    for model, values in models.items():
        name, _, K = model.partition("_")
        label = f"{name} K={K} / tree" if K else f"{name} / tree"
        parts.append(
            pd.DataFrame(
                {
                    "dataset": "tree", "model": name, "K": int(K) if K else None, "condition": label, "seed": range(len(values)),
                    "status": ["diverged" if np.isnan(v) else "completed" for v in values], "test_rmse": values,
                }
            )
        )  # fmt: skip
    return pd.concat([p.astype({"K": "Int64"}) for p in parts], ignore_index=True)


def test_welch_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.normal(0, 1, rng.integers(3, 40)), rng.normal(0.5, 3, rng.integers(3, 40))
        va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        t = (a.mean() - b.mean()) / np.sqrt(va + vb)
        dof = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
        got = welch(a, b)
        assert got["t"] == pytest.approx(t)
        assert got["dof"] == pytest.approx(dof)
        assert got["p"] == pytest.approx(2 * stats.t.sf(abs(t), dof))
        assert got["low"] == pytest.approx(a.mean() - b.mean() - stats.t.ppf(0.975, dof) * np.sqrt(va + vb))


def test_holm_is_the_step_down_rule_and_passes_over_missing_tests() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04, 0.03])), [0.03, np.nan, 0.06, 0.06])


def test_mean_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(2.0, 1.0, (4000, 8))
    covered = [low <= 2.0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(mean_interval(np.array([1.0]))).all()


def test_a_diverged_seed_is_counted_and_has_no_error() -> None:
    (row,) = summarise(runs(rnn=[1.0, 2.0, np.nan, 3.0])).itertuples()
    assert (row.runs, row.diverged, row.n) == (4, 1, 3)
    assert (row.mean, row.sd, row.min, row.median) == (2.0, 1.0, 1.0, 2.0)


def test_every_model_is_tested_against_rnn_and_lstm() -> None:
    rng = np.random.default_rng(2)
    table = against_baselines(runs(rnn=list(rng.normal(1, 0.1, 9)), lstm=list(rng.normal(1, 0.1, 9)), mrnn_5=list(rng.normal(0.5, 0.1, 9))))
    assert {(r.a, r.b) for r in table.itertuples()} == {
        ("rnn / tree", "lstm / tree"), ("mrnn K=5 / tree", "rnn / tree"), ("mrnn K=5 / tree", "lstm / tree")
    }  # fmt: skip
    mine = table[(table["a"] == "mrnn K=5 / tree") & (table["b"] == "rnn / tree")].iloc[0]
    assert mine["difference"] < 0
    assert mine["p_holm"] < 0.001


def test_one_seed_and_equal_seeds_give_no_p_value() -> None:
    table = compare(runs(rnn=[1.0], mrnn_5=[0.5, 0.6]), "mrnn", "rnn")
    assert np.isnan(table["p"][0])
    assert table["difference"][0] == pytest.approx(-0.45)
    assert np.isnan(compare(runs(rnn=[1.0, 1.0], mrnn_5=[1.0, 1.0]), "mrnn", "rnn")["p"][0])


def test_an_unknown_condition_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"'gru'.*There are: lstm"):
        compare(runs(rnn=[1.0, 2.0], lstm=[1.0, 2.0]), "gru", "rnn")


def test_filter_lengths_are_in_order_and_only_where_K_varies() -> None:
    table = by_filter_length(runs(rnn=[1.0, 2.0], mrnn_50=[1.0, 3.0], mrnn_5=[2.0, 4.0], mlstm_5=[1.0, 1.0]))
    assert list(table["model"]) == ["mrnn", "mrnn"]
    assert list(table["K"]) == [5, 50]
    assert list(table["mean"]) == [3.0, 2.0]


def test_analysis_imports_neither_ray_nor_torch() -> None:
    code = "import analysis, analysis.report, sys; assert not {'ray', 'torch', 'wandb', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_without_results_is_one_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("analysis", "report", str(tmp_path / "nothing"), status=2)
    assert done.stderr.startswith("error:")
    assert "no finished seed run" in done.stderr
    assert not (tmp_path / "nothing").exists()
