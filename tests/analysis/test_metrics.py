"""Every metric of a ledger, or of anybody's table: which way is better, how it is judged, and how it is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import Rule, Study, judge
from analysis.columns import METRICS, metric_of
from analysis.reporting import sentences, tables
from analysis.statistics import wins
from analysis.statistics.success import shares, survival
from ltm.errors import UserError
from tests.analysis.rows import classified


def test_the_way_of_a_metric_is_a_consequence_of_what_it_is() -> None:
    higher = {name for name in METRICS if Rule(name).sign < 0}
    assert higher == {"test_accuracy", "test_precision", "test_recall", "test_f1", "test_ranked", "test_success", *(
        f"validation_{name}" for name in ("accuracy", "precision", "recall", "f1", "ranked")
    )}  # fmt: skip
    assert [metric_of(name).kind for name in ("acc", "val_auc", "mse", "success", "sequences", "reward")] == [
        "score", "gain", "error", "success", "time", "gain",
    ]  # fmt: skip
    assert (Rule("test_accuracy").better, Rule("test_rmse").better, Rule("points").better) == (
        "higher accuracy",
        "smaller error",
        "smaller points",
    )
    assert Rule("points", higher_is_better=True).better == "higher points"
    assert (Rule("test_accuracy").within, Rule("test_rmse").within) == ("2 points", "2 %")


def test_a_study_is_judged_by_what_its_seed_runs_have() -> None:
    runs = classified(lstm=[0.9, 0.8], rnn=[0.5, 0.5])
    assert Study.of(runs).metric == "test_accuracy"
    assert Study.of(runs, Rule("test_success")).metric == "test_success"
    assert Study.of(runs.drop(columns=["test_accuracy"])).metric == "test_success"
    assert Study.of(runs.assign(test_rmse=1.0)).metric == "test_rmse"
    with pytest.raises(UserError, match="have no test_f1; choose another metric of test_accuracy, test_success"):
        Study.of(runs, Rule("test_f1"))


def test_a_margin_of_accuracies_is_in_points_and_equal_ones_stay_equal() -> None:
    a = np.repeat([0.90, 0.92, 0.94, 0.96], 15)
    near, far = (classified(rnn=list(a), mrnn=list(a - gap)) for gap in (0.0, 0.02))
    first = judge(Study.of(near)).comparisons[0]
    assert first.verdict == "equivalent"
    assert (
        judge(Study.of(far), [tuple(reversed(Study.of(far).conditions))]).comparisons[0].p_no_worse == 1
    )  # worse by the margin is not no worse
    x, y = -a[None], -(a[None] + 0.02)
    assert wins.each_no_worse(x, y, 2.0, sign=-1, points=100.0)[0] == 1
    assert wins.each_no_worse(x, y, 3.0, sign=-1, points=100.0)[0] < 1
    in_per_cent = pd.concat([near.assign(test_accuracy=100 * near["test_accuracy"])])
    assert judge(Study.of(in_per_cent)).comparisons[0].p_equivalent == first.p_equivalent


def test_accuracies_are_shown_in_per_cent_and_their_differences_in_points() -> None:
    verdicts = judge(Study.of(classified(rnn=[0.5] * 10 + [0.9] * 10, lstm=list(np.linspace(0.92, 0.98, 20).round(2)))))
    said = sentences.claim(verdicts.comparisons[0], verdicts)
    assert said.startswith("RNN is beaten by LSTM. P(higher accuracy) = 0.00")
    assert "points)" in said
    assert "The means of finished seeds are 70.0 % and 95.0 %." in said
    assert tables.scale([0.9, 0.8], 100.0) == (2, ", %")
    assert tables.scale([90.0], 1.0) == (0, ", %")


def test_success_is_compared_by_shares_and_time_by_survival() -> None:
    runs = classified(lstm=[0.9] * 15 + [0.5] * 5, rnn=[0.9] * 4 + [0.5] * 16)
    (solved,) = judge(Study.of(runs, Rule("test_success"))).comparisons
    assert (solved.test, solved.verdict) == ("shares", "worse" if solved.a.model == "rnn" else "better")
    counts = (15, 20, 4, 20) if solved.a.model == "lstm" else (4, 20, 15, 20)
    assert solved.theta.p == shares.barnard(*counts).p
    assert solved.difference == shares.newcombe(*counts)
    assert solved.theta.estimate == 0.5 + solved.difference.estimate / 2
    (waits,) = judge(Study.of(runs, Rule("test_sequences"))).comparisons
    assert (waits.test, waits.a.diverged + waits.b.diverged) == ("log-rank", 21)
    assert waits.theta.p == survival.log_rank(waits.a.errors, waits.b.errors).p
    assert (waits.theta.estimate > 0.5) == (waits.a.model == "lstm")


def test_a_model_that_never_succeeds_is_a_result() -> None:
    runs = classified(lstm=[0.9] * 12, rnn=[0.5] * 12)
    study = Study.of(runs, Rule("test_sequences"))
    assert (study.without, [len(one.finished) for one in study]) == ((), [12, 0])
    assert judge(study).comparisons[0].p_adjusted < 0.001
    lost = Study.of(classified(lstm=[np.nan] * 3 + [0.9] * 9, rnn=[0.5] * 12), Rule("test_success"))
    assert lost.conditions[0].errors.tolist() == [0.0] * 3 + [-1.0] * 9  # a diverged seed failed


def test_anybodys_successes_and_times() -> None:
    table = pd.DataFrame({"model": ["a"] * 9 + ["b"] * 9, "seed": [*range(9)] * 2, "success": ["yes"] * 9 + ["no"] * 8 + ["yes"]})
    found = analysis.compare(table, "a", "b").iloc[0]
    assert (found["test"], found["verdict"], found["difference"]) == ("shares", "better", pytest.approx(8 / 9))
    times = table.drop(columns="success").assign(sequences=[*range(100, 109), *[""] * 8, 500])
    found = analysis.compare(times, "a", "b").iloc[0]
    assert (found["test"], found["verdict"], found["diverged_b"]) == ("log-rank", "better", 8)
    with pytest.raises(UserError, match="success of 'a' seed 0 is 0.5; expected 0 or 1"):
        Study.of(table.assign(success=0.5))


def test_a_share_of_seeds_over_K() -> None:
    runs = classified(**{f"mrnn_{K}": [0.9] * n + [0.5] * (30 - n) for K, n in ((5, 2), (10, 12), (20, 29))})
    verdicts = judge(Study.of(runs, Rule("test_success")))
    (found,) = verdicts.trends
    assert found.p == shares.trend([2, 12, 29], [30] * 3).p
    assert found.J > 0
    assert found.no_worse[20] == max(shares.no_worse(29, 30, k, 30, 0.02) for k in (2, 12))
    assert "A longer filter has the higher rate of success" in sentences.length(found, verdicts)
    assert "Cochran and Armitage" in sentences.length(found, verdicts)


def test_accuracies_are_held_against_the_best_classifier_without_a_network() -> None:
    runs = classified(rnn=[0.5] * 12 + [0.62, 0.7, 0.9], lstm=[0.9] * 15)
    rows = [("majority", 0.5), ("linear last", 0.62), ("linear mean", 0.6)]
    held = pd.DataFrame([{"fingerprint": "data of latching", "baseline": name, "label": name, "test_accuracy": x} for name, x in rows])
    verdicts = judge(Study.of(runs, baselines=held))
    rnn, lstm = verdicts.shares
    assert (rnn.baseline, rnn.beating, rnn.above_level, rnn.learned, lstm.verdict) == ("linear last", 2, 3, True, "beats")
    assert "The accuracy is higher in 15 of 15 seeds" in sentences.share(lstm, verdicts)
    assert "Its mean is not above: 54.8 % and 62.0 %." in sentences.share(rnn, verdicts)
