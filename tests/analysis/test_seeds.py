"""Anybody's seeds: columns found or named, scores of which higher is better, reports of a CSV, and what is wrong with a table in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import Columns, Rule, Study, frame, judge, pairs_of
from analysis.__main__ import main
from analysis.columns import read
from analysis.statistics import wins
from ltm.errors import UserError


def table(**levels: float) -> pd.DataFrame:
    """Twenty seeds a model, accuracies around these levels, and a measurement."""
    rng = np.random.default_rng(0)
    return pd.concat(
        [
            pd.DataFrame({"model": model, "seed": range(20), "accuracy": level + rng.normal(0, 0.01, 20), "seconds": rng.random(20)})
            for model, level in levels.items()
        ],
        ignore_index=True,
    )


LEVELS = table(mine=0.9, theirs=0.8, same=0.9)


def test_columns_are_found_and_a_measurement_makes_no_conditions() -> None:
    study = Study.of(LEVELS)
    assert [one.name for one in study] == ["mine", "theirs", "same"]
    assert (study.metric, study.rule.sign, list(study.series)) == ("accuracy", -1, ["all"])
    assert study.conditions[0].mean == pytest.approx(LEVELS["accuracy"][:20].mean())


def test_further_columns_that_vary_make_conditions_and_K_is_a_length() -> None:
    grid = pd.concat([LEVELS.assign(lr=lr, K=K) for lr in (0.1, 0.01) for K in (5, 9)], ignore_index=True)
    study = Study.of(grid)
    assert [one.name for one in study][:4] == ["mine K=5 lr=0.1", "theirs K=5 lr=0.1", "same K=5 lr=0.1", "mine K=9 lr=0.1"]
    assert ("all", "mine lr=0.1") in study.lengths()
    with pytest.raises(UserError, match=r"the table, row 120: seed 0 of 'mine K=5' stands in row 0 already; .* --by COL"):
        Study.of(grid, columns=Columns(by=[]))


def test_columns_may_be_named() -> None:
    other = LEVELS.rename(columns={"model": "who", "seed": "number", "accuracy": "points"}).assign(where="here", K=3)
    columns = Columns(model="who", seed="number", score="points", dataset="where", by=())
    study = Study.of(other, Rule(higher_is_better=True), columns=columns)
    assert next(one.label for one in study) == "mine K=3 / here"
    assert study.conditions[0].median == pytest.approx(LEVELS["accuracy"][:20].median())


def test_higher_is_better_is_the_same_question_with_the_signs_turned() -> None:
    losses = LEVELS.rename(columns={"accuracy": "loss"}).assign(loss=2 - LEVELS["accuracy"])
    higher, lower = (analysis.compare(one, "mine", "theirs").iloc[0] for one in (LEVELS, losses))
    assert higher["verdict"] == lower["verdict"] == "better"
    assert (higher["theta"], higher["p"]) == (lower["theta"], lower["p"]) == (1.0, lower["p"])
    assert higher["difference"] == pytest.approx(-lower["difference"])
    assert (higher["low"], higher["high"]) == pytest.approx((-lower["high"], -lower["low"]))
    assert higher["low"] < 0.1 < higher["high"]
    assert (higher["mean_a"], higher["mean_b"]) == pytest.approx((2 - lower["mean_a"], 2 - lower["mean_b"]))
    forced = analysis.compare(LEVELS, "mine", "theirs", higher_is_better=False).iloc[0]
    assert (forced["theta"], forced["verdict"]) == (0.0, "worse")


def test_a_margin_is_per_cent_of_a_reward_and_points_of_an_accuracy() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(0.9, 0.001, 40)
    near, far = (pd.DataFrame({"model": "x", "seed": range(40), "accuracy": base * share}) for share in (0.985, 0.975))
    theirs = pd.DataFrame({"model": "y", "seed": range(40), "accuracy": base})
    for name in ("reward", "accuracy"):  # 2 % of 0.9 is 0.018, and 2 points are 0.02
        verdicts = [analysis.compare(pd.concat([one, theirs]).rename(columns={"accuracy": name}), "x", "y").iloc[0] for one in (near, far)]
        assert verdicts[0]["p_no_worse_adjusted"] < 1e-5
        assert verdicts[1]["p_no_worse_adjusted"] == 1
    between = pd.DataFrame({"model": "x", "seed": range(40), "accuracy": base - 0.019})
    apart = [
        analysis.compare(pd.concat([between, theirs]).rename(columns={"accuracy": name}), "x", "y").iloc[0]
        for name in ("reward", "accuracy")
    ]
    assert [one["p_no_worse"] == 1 for one in apart] == [True, False]
    assert apart[1]["p_no_worse"] == wins.each_no_worse(-base[None] + 0.019, -base[None], 2.0, sign=-1, points=100.0)[0]


def test_per_cent_of_scores_below_0_have_no_meaning_and_nothing_is_asked() -> None:
    reward = pd.concat([LEVELS.assign(K=K) for K in (5, 9)], ignore_index=True).rename(columns={"accuracy": "reward"})
    reward["reward"] -= 0.9
    study = Study.of(reward)
    verdicts = judge(study, pairs_of(study, "mine", "theirs"))
    assert all(one.below_0 for one in study)
    assert frame(verdicts.comparisons)["p_no_worse"].isna().all()
    assert verdicts.tests == len(verdicts.comparisons) + len(verdicts.trends)
    beside = Study.of(
        pd.concat([reward, LEVELS.rename(columns={"accuracy": "reward"}).assign(K=5, model="high", seed=range(60))], ignore_index=True)
    )
    assert np.isnan(judge(beside, pairs_of(beside, "high", "mine")).comparisons[0].p_no_worse)
    assert not beside.by_label["high K=5"].below_0, "a third model has no say"
    assert "below 0 have no meaning" in str(analysis.recommend(study))


def test_a_diverged_seed_is_last_either_way_it_is_marked() -> None:
    for mark in (np.inf, -np.inf):
        marked = LEVELS.copy()
        marked.loc[3, "accuracy"] = mark
        mine = Study.of(marked).by_label["mine"]
        assert (mine.diverged, mine.errors[3], len(mine.finished)) == (1, np.inf, 19)
    marked = LEVELS.assign(status="completed")
    marked.loc[3, ["accuracy", "status"]] = np.nan, "diverged"
    assert Study.of(marked).by_label["mine"].diverged == 1


def test_what_to_take_is_said() -> None:
    lengths = pd.concat([LEVELS.assign(K=K, series="tree") for K in (5, 9)], ignore_index=True)
    found = analysis.recommend(lengths)
    assert set(found.best.loc[found.best["may_be_best"], "condition"]) == {
        f"{name} K={K} / tree" for name in ("mine", "same") for K in (5, 9)
    }
    assert list(found.lengths["recommended"]) == [5, 5, 5]
    assert str(found).startswith("tree: ")
    assert list(analysis.summarise(LEVELS)["name"]) == ["mine", "theirs", "same"]


BROKEN = {
    "seed,model,loss\n1,a,\n": "runs.csv, line 2: column 'loss' is empty; fill it in, or take the row out; a seed that diverged is written as inf",
    "seed,model,loss\n1,a,0.5\n2,a,nan\n": "runs.csv, line 3: column 'loss' is NaN; fill",
    "seed,model,loss\n1,a,0.5\n\n2,a,x\n": "runs.csv, line 4: column 'loss' is 'x'; expected a number",
    "seed,model,loss\n1,,0.5\n": "runs.csv, line 2: column 'model' is empty",
    "seed,model,loss\n1.5,a,0.5\n": "runs.csv, line 2: column 'seed' is '1.5'; expected a whole number.",
    "seed,model,loss,K\n1,a,0.5,x\n": "runs.csv, line 2: column 'K' is 'x'; expected a whole number, or nothing",
    "seed,model,loss\n1,a,0.5\n2,a,0.5\n1,a,0.6\n": "runs.csv, line 4: seed 1 of 'a' stands in line 2 already",
    "seed,model,x\n1,a,0.5\n": "runs.csv has no column for the score; it has seed, model, x; name one with --score COL",
    "seed,model,loss,mae\n1,a,0.5,1\n": "runs.csv has several columns that could be the score: loss, mae; name one with --score COL",
    "model,loss\na,0.5\n": "runs.csv has no column for the seed",
    "seed,model,loss\n": "runs.csv has a header but no rows",
    "": "runs.csv cannot be read",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_table_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs.csv").write_text(text)
    assert main(["report", str(tmp_path / "runs.csv")]) == 2
    shown = capsys.readouterr()
    assert BROKEN[text] in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "runs_report").exists()


def test_spaces_after_commas_are_no_part_of_names_or_values(tmp_path: Path) -> None:
    lines = [f"{row.model}, {row.seed}, {row.accuracy}" for row in LEVELS.itertuples()]
    (tmp_path / "runs.csv").write_text("\n".join(["model , seed, accuracy", *lines]))
    assert [one.name for one in Study.of(read(tmp_path / "runs.csv"))] == ["mine", "theirs", "same"]


def test_an_export_of_a_ledger_is_read_as_its_rows(tmp_path: Path) -> None:
    rows = LEVELS.rename(columns={"accuracy": "test_rmse"}).assign(
        run_id=range(60),
        condition=LEVELS["model"] + " / a",
        dataset="a",
        status="completed",
        K=pd.array([25, *[pd.NA] * 59], dtype="Int64"),
    )
    rows.to_csv(tmp_path / "all.csv", index=False)
    back, there = Study.of(read(tmp_path / "all.csv")), Study.of(rows)
    assert [(one.label, one.K, *one.seeds, one.mean) for one in back] == [(one.label, one.K, *one.seeds, one.mean) for one in there]


def test_a_table_that_has_a_ledgers_columns_and_is_none_is_checked_as_any(tmp_path: Path) -> None:
    rows = LEVELS.assign(condition=LEVELS["model"], dataset="a", status="completed")
    pd.concat([rows, rows[:1]]).to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(UserError, match=r"line 62: seed 0 of .* stands in line 2 already"):
        Study.of(read(tmp_path / "runs.csv"), source="runs.csv")


def test_the_report_of_a_csv_lies_beside_it_and_has_no_part_that_needs_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LEVELS.to_csv(tmp_path / "runs.csv", index=False)
    assert main(["report", str(tmp_path / "runs.csv")]) == 0
    assert capsys.readouterr().out.rstrip().endswith("runs_report/index.html")
    page = (tmp_path / "runs_report" / "index.html").read_text()
    assert "mine beats theirs. P(higher accuracy) = 1.00" in page
    assert page.index("May be the best") < page.index("Verdicts on the row") < page.index("Scores by condition")
    assert not any(words in page for words in ("Training", "Long memory", "best baseline", "smaller error", ">nan<"))
    tests = pd.read_csv(tmp_path / "runs_report" / "tables" / "tests.csv")
    assert list(tests["verdict"]) == list(analysis.compare(LEVELS)["verdict"])
    LEVELS.to_parquet(tmp_path / "other.parquet")
    assert main(["report", str(tmp_path / "other.parquet"), "--to", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "index.html").read_text().count("<figure ") == page.count("<figure ") > 0
    assert analysis.report(LEVELS, to=tmp_path / "frame").endswith("frame/index.html")


def test_compare_and_power_take_a_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LEVELS.to_csv(tmp_path / "runs.csv", index=False)
    assert main(["compare", str(tmp_path / "runs.csv"), "--a", "mine", "--b", "theirs"]) == 0
    assert "mine beats theirs" in capsys.readouterr().out
    assert main(["power", str(tmp_path / "runs.csv"), "--a", "mine", "--b", "theirs"]) == 0
    assert "mine beats theirs, probability 1.00" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["compare", "--help"], prog="ltm")
    assert capsys.readouterr().out.startswith("usage: ltm compare ")


def test_a_column_of_paths_makes_claims_about_the_process(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"model": model, "path": path, "seed": seed, "rmse": 5 * path + gap + rng.normal()}
        for path in range(8)
        for model, gap in (("mine", 0.0), ("theirs", 3.0))
        for seed in range(6)
    ]
    table = pd.DataFrame(rows)
    found = analysis.compare(table, "mine", "theirs")
    assert found[["a", "b", "paths", "verdict"]].to_numpy().tolist() == [["mine", "theirs", 8, "better"]]
    origins = analysis.compare(table.rename(columns={"path": "origin"}), "mine", "theirs")
    assert len(origins) == 8, "origins of one series share data: each is compared for itself"
    page = Path(analysis.report(table, to=tmp_path)).read_text()
    assert "a seed of mine beats one of theirs with probability" in page
    with pytest.raises(UserError, match="column 'path' is 'a'; expected a whole number"):
        analysis.compare(table.assign(path=table["path"].map(lambda path: "abcdefgh"[path])), "mine", "theirs")


def test_importing_the_analysis_costs_nothing() -> None:
    code = (
        "import sys, analysis; assert not {'numpy', 'pandas', 'matplotlib', 'torch'} & set(sys.modules);"
        "from analysis import compare, summarise, recommend, report, Study, judge, Columns;"
        "assert not {'matplotlib', 'statsmodels', 'torch', 'ray', 'hydra', 'wandb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(hasattr(analysis, name) for name in analysis.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = analysis.nothing
