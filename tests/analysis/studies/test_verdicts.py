"""The claims of a report: what is tested, what it is corrected over, and what no third model may change."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from analysis.statistics import families, wins
from analysis.studies import compare
from analysis.studies.filter_length import no_worse_lengths
from analysis.studies.verdicts import judge
from analysis.study import Rule, Study
from analysis.table import Finding, frame
from ltm.errors import UserError
from tests.analysis.rows import ALL, rows

NAN = float("nan")


def study(**models: list[float]) -> Study:
    return Study.of(rows(**models))


def test_a_diverged_seed_is_counted_and_comes_last() -> None:
    (rnn, lstm) = study(rnn=[1.0, NAN, 3.0, NAN, 2.0], lstm=[1.0, 5.0, 2.0, 2.0, 1.5])
    assert (rnn.diverged, len(rnn.finished), rnn.mean, rnn.median) == (2, 3, 2.0, 3.0)
    assert (lstm.diverged, lstm.median) == (0, 2.0)
    (none,) = study(rnn=[NAN, NAN])
    assert none.median == np.inf
    assert np.isnan(none.mean)
    table = rows(rnn=[1.0, 2.0])
    table.loc[0, "test_rmse"] = np.inf
    assert Study.of(table).conditions[0].diverged == 1, "a metric that is no finite number"


def test_a_condition_without_the_metric_is_left_out_by_name() -> None:
    table = rows(rnn=[1.0, 2.0], lstm=[1.0, 2.0])
    table.loc[table["model"] == "lstm", "test_rmse"] = NAN
    found = Study.of(table)
    assert ([one.name for one in found], found.without) == (["rnn"], ("lstm / tree",))
    with pytest.raises(UserError, match="no condition has a finite test_rmse; choose another metric"):
        Study.of(table[table["model"] == "lstm"])


def test_seeds_are_in_the_order_of_their_numbers() -> None:
    table = rows(rnn=[3.0, 1.0, 2.0], lstm=[1.0, 2.0, 3.0]).sample(frac=1, random_state=0)
    assert list(Study.of(table).by_label["rnn / tree"].errors) == [3.0, 1.0, 2.0]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UserError, match="metric 'rmse'.*test_rmse"):
        Study.of(rows(rnn=[1.0]), Rule("rmse"))


def test_every_model_is_held_against_rnn_and_lstm_once() -> None:
    pairs = compare.pairs_against(study(rnn=[1.0], lstm=[1.0], mrnn_5=[1.0]))
    assert [(a.name, b.name) for a, b in pairs] == [("rnn", "lstm"), ("mrnn K=5", "rnn"), ("mrnn K=5", "lstm")]


def test_an_unknown_condition_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"'gru'.*There are: lstm"):
        compare.pairs_of(study(rnn=[1.0], lstm=[1.0]), "gru", "rnn")
    two = Study.of(pd.concat([rows(rnn=[1.0]), rows("dji", lstm=[1.0])], ignore_index=True))
    with pytest.raises(UserError, match="share no series"):
        compare.pairs_of(two, "rnn", "lstm")


def test_one_report_is_two_families_over_all_its_series() -> None:
    rng = np.random.default_rng(0)
    parts = [
        rows(
            name, rnn=rng.normal(1, 0.1, 14), lstm=rng.normal(1, 0.1, 14), mrnn_5=rng.normal(0.9, 0.1, 14), mrnn_9=rng.normal(0.8, 0.1, 14)
        )
        for name in ("tree", "dji")
    ]
    found = judge(Study.of(pd.concat(parts, ignore_index=True), baselines=ALL))
    # a series: 5 pairs, each with a claim of no worse; a trend and two lengths; on tree, four shares
    assert (found.tests, found.best_tests) == (2 * (5 + 5 + 1 + 2) + 4, 2 * 6)
    tests, shares, trends = map(frame, (found.comparisons, found.shares, found.trends))
    tables = [(tests, "p"), (tests, "p_no_worse"), (shares, "p"), (trends, "p"), (no_worse_lengths(found.trends), "p")]
    whole = np.concatenate([table[column].to_numpy(float) for table, column in tables])
    then = np.full(len(whole), np.nan)
    then[10:20] = tests["p_equivalent"]
    corrected = np.concatenate([table[f"{column}_adjusted"].to_numpy(float) for table, column in tables])
    np.testing.assert_allclose(corrected, families.adjust_in_turn(whole, then)[0])
    assert (corrected >= families.adjust(whole) - 1e-15).all()
    assert found.needed == families.least_seeds(found.tests)


def test_verdicts_tell_better_worse_equivalent_no_worse_and_undecided_apart() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(1, 0.02, 60)
    found = judge(
        study(
            lstm=list(base), good=list(base - 0.1), bad=list(base + 0.1), same=list(rng.permutation(base)), near=list(rng.normal(0.995, 0.06, 60)),
            wild=list(rng.normal(1, 1, 60)),
        )
    )  # fmt: skip
    said = {one.a.name: one.verdict for one in found.comparisons}
    assert said == {"good": "better", "bad": "worse", "same": "equivalent", "near": said["near"], "wild": "undecided"}
    assert said["near"] in ("no worse", "equivalent", "undecided")


def test_seeds_are_paired_only_where_they_share_initial_parameters() -> None:
    rng = np.random.default_rng(4)
    start = rng.normal(5, 1, 30)
    table = rows(mrnn_25=start + rng.normal(0, 0.1, 30), mrnn_100=start + 0.1 + rng.normal(0, 0.1, 30), lstm=start)
    pair = ("mrnn K=25 / tree", "mrnn K=100 / tree")

    def test_of(table: pd.DataFrame, a: str, b: str) -> dict[str, object]:
        whole = Study.of(table)
        return compare.comparisons(compare.pairs_of(whole, a, b), 2.0)[0].row()

    assert test_of(table, *pair)["test"] == "wins", "an older ltm recorded no draws"
    table["draws"] = table["model"]
    lengths = test_of(table, *pair)
    assert (lengths["test"], lengths["p"]) == (
        "signs",
        wins.signs(table["test_rmse"][:30].to_numpy(), table["test_rmse"][30:60].to_numpy()).p,
    )
    assert test_of(table, pair[0], "lstm")["test"] == "wins"
    assert judge(Study.of(table)).trends[0].paired
    fewer = table.drop(index=3)
    assert test_of(fewer, *pair)["test"] == "wins", "not the same seeds"
    table["draws"] = table["condition"]  # as of an own cell whose parameters depend on K
    assert test_of(table, *pair)["test"] == "wins"


ERRORS = some.lists(some.one_of(some.floats(0.1, 10), some.just(NAN)), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None)
@given(ERRORS, ERRORS, ERRORS)
def test_a_third_model_changes_nothing_between_two_others_but_the_correction(a: list[float], b: list[float], third: list[float]) -> None:
    alone = judge(Study.of(rows(rnn=a, mrnn_5=b), baselines=ALL))
    beside = judge(Study.of(rows(rnn=a, mrnn_5=b, other=third, mrnn_9=third), baselines=ALL))

    def own(found: Sequence[Finding]) -> pd.DataFrame:
        return frame(found).drop(columns="verdict").filter(regex="^(?!.*adjusted)")

    mine = [one for one in beside.comparisons if (one.a.name, one.b.name) == ("mrnn K=5", "rnn")]
    pd.testing.assert_frame_equal(own(mine), own(alone.comparisons), check_exact=True)
    assert mine[0].p_adjusted >= alone.comparisons[0].p_adjusted - 1e-15
    shares = [one for one in beside.shares if one.condition.name in ("rnn", "mrnn K=5")]
    pd.testing.assert_frame_equal(own(shares), own(alone.shares), check_exact=True)


def test_means_are_stated_from_a_hundred_seeds_none_of_them_diverged() -> None:
    rng = np.random.default_rng(0)
    many, more = rng.normal(1, 0.1, 100), rng.normal(1.1, 0.1, 100)
    few = rng.normal(1, 0.1, 99)
    gone = np.where(np.arange(100) == 5, NAN, many)
    stated = {
        name: np.isfinite(judge(study(rnn=list(more), x=list(a))).comparisons[0].means.low)
        for name, a in {"many": many, "few": few, "gone": gone}.items()
    }
    assert stated == {"many": True, "few": False, "gone": False}


def test_where_the_mean_and_the_typical_seed_disagree_that_is_the_verdict() -> None:
    rng = np.random.default_rng(0)
    risky = np.where(np.arange(100) < 30, 4.0, 0.9) + rng.normal(0, 0.01, 100)  # better in 70 of 100 seeds, and far worse in the rest
    found = judge(study(rnn=list(rng.normal(1, 0.01, 100)), risky=list(risky))).comparisons[0]
    assert found.theta.estimate == pytest.approx(0.7, abs=0.01)
    assert found.verdict == "worse on average, better in most seeds"


def test_a_clear_winner_alone_may_be_the_best_and_ranks_agree() -> None:
    from analysis.studies.best import may_be_best, ranks, wins_matrix

    rng = np.random.default_rng(5)
    parts = [
        rows(name, rnn=rng.normal(1, 0.1, 20), lstm=rng.normal(1, 0.1, 20), mrnn_5=rng.normal(0.5, 0.1, 20)) for name in ("tree", "dji")
    ]
    whole = Study.of(pd.concat(parts, ignore_index=True))
    best, tests = may_be_best(whole)
    assert tests == 6
    assert {one.condition.label for one in best if one.may_be_best} == {"mrnn K=5 / tree", "mrnn K=5 / dji"}
    assert {one.beaten_by.label for one in best if one.beaten_by} == {"mrnn K=5 / tree", "mrnn K=5 / dji"}
    mean_ranks, difference = ranks(whole)
    assert mean_ranks.idxmin() == "mrnn K=5"
    assert mean_ranks.sum() == 6
    assert difference > 0
    one = wins_matrix(Study.of(parts[1]))
    np.testing.assert_allclose(one + one.T, 1.0)


def test_a_filter_length_is_recommended_where_it_is_shown_no_worse_than_every_other() -> None:
    rng = np.random.default_rng(7)
    found = judge(
        study(
            mrnn_5=list(rng.normal(1.3, 0.02, 40)), mrnn_20=list(rng.normal(1.0, 0.02, 40)), mrnn_50=list(rng.normal(1.0, 0.02, 40)),
            mlstm_5=list(rng.normal(1.0, 0.3, 40)), mlstm_20=list(rng.normal(1.0, 0.3, 40)), mlstm_50=list(rng.normal(1.0, 0.3, 40)),
        )
    ).trends  # fmt: skip
    mrnn, mlstm = found
    assert mrnn.recommended == 20
    assert mrnn.J > 0.2
    assert mrnn.p_adjusted < 1e-3
    assert mlstm.recommended is None


def test_simultaneous_intervals_are_wider_than_single_ones_and_K_is_in_order() -> None:
    from analysis import by_filter_length
    from analysis.statistics.intervals import mean_interval

    values = list(np.random.default_rng(8).normal(1, 0.1, 30))
    table = by_filter_length(study(rnn=values, mrnn_50=values, mrnn_5=values, mlstm_5=values))
    assert list(table["model"]) == ["mrnn", "mrnn"]
    assert list(table["K"]) == [5, 50]
    low, high = mean_interval(np.array(values))
    assert table["low"][0] < low < high < table["high"][0]


def test_unequal_K_of_one_model_with_another_key_varied_are_studied_apart() -> None:
    table = rows(mrnn_5=[1.0, 2.0], mrnn_9=[1.0, 2.0])
    table = table.assign(config=json.dumps({"training": {"lr": 0.01}}))
    other = table.assign(condition=table["condition"].str.replace(" /", " lr=0.1 /"), config=json.dumps({"training": {"lr": 0.1}}))
    whole = Study.of(pd.concat([table, other], ignore_index=True))
    assert set(whole.lengths()) == {("tree", "mrnn lr=0.01"), ("tree", "mrnn lr=0.1")}
