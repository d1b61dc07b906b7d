"""Claims about a process: which pairs become one, what family they are in, and what stays a matter of one path."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import seeds
from analysis.reporting.parts.paths.components import section
from analysis.statistics import families, paths, wins
from analysis.studies.compare import pairs_of
from analysis.studies.paths import claims
from analysis.studies.paths.components import beating, models_by_paths, of_paths
from analysis.studies.verdicts import judge
from analysis.study import Study
from tests.analysis.rows import held, on_paths, rows

GAPS = {"rnn": 0.0, "lstm": 0.0, "mrnn_5": -1.0}


def test_a_pair_on_all_paths_is_one_claim_and_one_p_of_the_family() -> None:
    study = Study.of(on_paths(12, 10, **GAPS))
    found = judge(study)
    assert [(one.a.name, one.b.name) for one in found.paths] == [("rnn", "lstm"), ("mrnn K=5", "rnn"), ("mrnn K=5", "lstm")]
    assert (found.tests, found.best_tests) == (3, 0)
    assert (found.comparisons, found.shares, found.trends, found.best) == ((), (), (), ())
    assert [one.verdict for one in found.paths] == ["undecided", "better", "better"]
    corrected = families.adjust(np.array([one.theta.p for one in found.paths]))
    assert [one.p_adjusted for one in found.paths] == pytest.approx(corrected.tolist())
    one = found.paths[1]
    assert [a.dataset for a, _ in one.pairs] == [f"arfima path={i}" for i in range(12)], "in the order of their numbers"
    theta, p = wins.p_values(np.stack([a.errors for a, _ in one.pairs]), np.stack([b.errors for _, b in one.pairs]))
    assert one.thetas == pytest.approx(theta)
    assert one.theta.estimate == pytest.approx(theta.mean())
    assert (one.ahead, one.equal) == (int((theta > 0.5).sum()), int((theta == 0.5).sum()))
    assert one.alone.count("better") <= int((p < 0.05).sum()), "corrected over the three pairs of a path"
    assert set(one.alone) <= {"better", "undecided"}
    assert np.isnan(one.means.low), "no interval of means below a hundred paths"


def test_the_level_of_a_path_does_not_enter() -> None:
    wide, narrow = (judge(Study.of(on_paths(12, 10, of_path=of_path, **GAPS))).paths for of_path in (100.0, 0.0))
    assert [one.theta.estimate for one in wide] == pytest.approx([one.theta.estimate for one in narrow])


def test_too_few_paths_are_too_few_however_many_seeds() -> None:
    found = judge(Study.of(on_paths(6, 12, rnn=0.0, a=-9.0, b=-9.0)))
    assert [one.verdict for one in found.paths] == ["too few paths"] * 2
    assert found.needed_paths == 7
    alone = judge(Study.of(on_paths(6, 12, rnn=0.0, a=-9.0))).paths
    assert [(one.verdict, set(one.alone)) for one in alone] == [("better", {"better"})]
    assert alone[0].p_adjusted == paths.floor(6)


def test_fewer_than_six_paths_and_overlapping_draws_are_judged_one_by_one() -> None:
    for table in (on_paths(5, 8, **GAPS), on_paths(8, 8, key="split_seed", **GAPS), on_paths(8, 8, key="origin", **GAPS)):
        study = Study.of(table)
        found = judge(study)
        assert claims.processes(study) == {}
        assert found.paths == ()
        assert len(found.comparisons) == 3 * len(study.series)
    assert set(claims.processes(Study.of(on_paths(6, 8, key="seed", **GAPS)))) == {"arfima"}


def test_seeds_that_start_alike_on_all_paths_make_no_claim_about_the_process() -> None:
    study = Study.of(on_paths(12, 10, elsewhere=False, **GAPS))
    assert claims.processes(study) == {}
    found = judge(study)
    assert found.paths == ()
    assert len(found.comparisons) == 3 * 12, "each path is a series of its own"
    part = section(study)
    assert "seeds start from the same initial values on every draw" in part.text
    (table, _) = part.tables
    assert {"of a seed", "of neither"} <= set(table.shown)


def test_a_claim_is_over_the_paths_that_both_have() -> None:
    table = on_paths(10, 6, **GAPS)
    short = table[~((table["model"] == "lstm") & table["fingerprint"].isin(["arfima 0", "arfima 9"]))]
    of_lstm = next(one for one in judge(Study.of(short)).paths if (one.a.name, one.b.name) == ("mrnn K=5", "lstm"))
    assert [a.dataset for a, _ in of_lstm.pairs] == [f"arfima path={i}" for i in range(1, 9)]


def test_diverged_seeds_lose_and_a_path_without_finished_seeds_has_no_means() -> None:
    table = on_paths(12, 6, rnn=0.0, lstm=0.0)
    bad = table["model"].eq("lstm") & table["fingerprint"].eq("arfima 3")
    table.loc[bad, ["status", "test_rmse"]] = ["diverged", np.nan]
    (one,) = judge(Study.of(table)).paths
    assert (one.a.name, one.thetas[3]) == ("rnn", 1.0)
    assert np.isnan(one.means.estimate)
    assert one.row()["diverged_b"] == 6


def test_other_series_keep_their_own_verdicts_in_one_family_with_the_claims() -> None:
    tree = rows("tree", rnn=np.arange(12.0), lstm=np.arange(12.0) + 100).assign(config='{"dataset": {"name": "tree", "train": 9}}')
    study = Study.of(pd.concat([on_paths(12, 8, rnn=0.0, lstm=3.0), tree], ignore_index=True))
    found = judge(study)
    assert [one.dataset for one in found.comparisons] == ["tree"]
    assert [one.process for one in found.paths] == ["arfima"]
    assert found.tests == 3, "better, no worse, and the claim"
    assert {one.dataset for one in claims.beside(study)} == {"tree"}
    assert {one.dataset for one in claims.example(study)} == {"tree", "arfima path=0"}
    assert not study.simulated


def test_two_conditions_can_be_asked_about_alone() -> None:
    study = Study.of(on_paths(12, 8, **GAPS))
    found = judge(study, pairs_of(study, "mrnn", "lstm"), whole=False)
    assert [(one.a.name, one.b.name, one.verdict) for one in found.paths] == [("mrnn K=5", "lstm", "better")]
    assert found.tests == 1
    table = seeds.compare(study, "mrnn", "lstm")
    assert table[["process", "paths", "verdict"]].to_numpy().tolist() == [["arfima", 12, "better"]]
    assert len(claims.path_by_path(found.paths)) == 12


def test_what_makes_errors_vary_is_told_apart() -> None:
    study = Study.of(on_paths(60, 8, of_path=3.0, tau=2.0, **GAPS))
    of = claims.processes(study)
    found = of_paths(study, of).set_index("condition")
    assert found["sd_draws"].between(2.2, 4.5).all()
    assert ((found["sd_low"] < found["sd_draws"]) & (found["sd_draws"] < found["sd_high"])).all()
    assert found["sd_seeds"].between(0.9, 1.1).all()
    (row,) = models_by_paths(study, of).to_dict("records")
    assert row["sd_paths"] == pytest.approx(3, rel=0.3)
    assert row["sd_product"] == pytest.approx(2 / np.sqrt(3), rel=0.35), "of one condition in three"
    assert row["sd_means"] == pytest.approx(1 / np.sqrt(8), rel=0.1)


def test_on_how_many_paths_most_seeds_beat_a_baseline_is_counted() -> None:
    table = on_paths(6, 8, of_path=0.0, rnn=0.0, lstm=-20.0)
    of_paths_ = [held(AR=0.0, mean=9.0).assign(fingerprint=f"arfima {i}") for i in range(6)]
    study = Study.of(table, baselines=pd.concat(of_paths_, ignore_index=True))
    assert beating(study, claims.processes(study)) == {("arfima", "rnn"): (0, 6), ("arfima", "lstm"): (6, 6)}
