"""Tables and verdicts on small studies: what is counted, what is tested, what is said; bad input in one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import (
    against_baselines,
    best_set,
    by_filter_length,
    compare,
    improvement_matrix,
    interaction,
    mean_interval,
    published,
    ranks,
    recommend,
    summarise,
    tables,
    trained,
    verdict,
)  # fmt: skip
from analysis.__main__ import main
from analysis.report import missing_runs
from analysis.sample import judged
from ltm.errors import UserError
from sweeps.ledger import Ledger, pack_of


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


def test_mean_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(2.0, 1.0, (4000, 8))
    covered = [low <= 2.0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(mean_interval(np.array([1.0]))).all()


def test_a_diverged_seed_is_counted_and_enters_by_the_rule() -> None:
    table = runs(rnn=[1.0, 2.0, np.nan, 3.0], lstm=[1.0, 5.0, 2.0, 2.0])
    means = {rule: summarise(table, rule=rule)["mean"][0] for rule in ("worst", "drop", "best")}
    assert means == {"worst": (1 + 2 + 5 + 3) / 4, "drop": 2.0, "best": (1 + 2 + 1 + 3) / 4}
    row = summarise(table).iloc[0]
    assert (row["runs"], row["diverged"], row["finished"]) == (4, 1, 3)
    assert list(judged(table)["value"][:4]) == [1, 2, 5, 3]
    compared = compare(table, "rnn", "lstm").iloc[0]
    assert (compared["diverged_a"], compared["diverged_b"]) == (1, 0)
    assert len({compared["p"], compared["p_drop"], compared["p_best"]}) == 3
    said = verdict.claim(compared, 2.0, "holm", 1)
    assert "3 of 4 against 4 of 4 seeds" in said
    assert "diverged seeds count as the worst (left out: p =" in said


def test_a_metric_that_is_infinite_counts_as_not_finished() -> None:
    assert summarise(runs(rnn=[1.0, np.inf, 3.0]))["finished"][0] == 2


def test_unknown_metrics_rules_and_margins_are_refused() -> None:
    table = runs(rnn=[1.0, 2.0], lstm=[1.0, 3.0])
    with pytest.raises(UserError, match="metric 'rmse'.*test_rmse"):
        summarise(table, "rmse")
    with pytest.raises(UserError, match="rule for diverged seeds 'skip'.*worst"):
        summarise(table, rule="skip")
    with pytest.raises(UserError, match="margin is 0 per cent"):
        compare(table, "rnn", "lstm", margin=0)


def test_every_model_is_tested_against_rnn_and_lstm() -> None:
    rng = np.random.default_rng(2)
    table = against_baselines(runs(rnn=list(rng.normal(1, 0.1, 9)), lstm=list(rng.normal(1, 0.1, 9)), mrnn_5=list(rng.normal(0.5, 0.1, 9))))
    assert {(r.a, r.b) for r in table.itertuples()} == {
        ("rnn / tree", "lstm / tree"), ("mrnn K=5 / tree", "rnn / tree"), ("mrnn K=5 / tree", "lstm / tree")
    }  # fmt: skip
    mine = table[(table["a"] == "mrnn K=5 / tree") & (table["b"] == "rnn / tree")].iloc[0]
    assert mine["difference"] < 0
    assert mine["p_adjusted"] < 0.001
    assert mine["verdict"] == "better"
    assert table["p_adjusted"].min() >= 3 * table["p"].min() * 0.999


def test_one_seed_and_equal_seeds_give_no_p_value() -> None:
    table = compare(runs(rnn=[1.0], mrnn_5=[0.5, 0.6]), "mrnn", "rnn")
    assert np.isnan(table["p"][0])
    assert table["difference"][0] == pytest.approx(-0.45)
    assert np.isnan(compare(runs(rnn=[1.0, 1.0], mrnn_5=[1.0, 1.0]), "mrnn", "rnn")["p"][0])


def test_an_unknown_condition_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"'gru'.*There are: lstm"):
        compare(runs(rnn=[1.0, 2.0], lstm=[1.0, 2.0]), "gru", "rnn")


def test_verdicts_tell_better_worse_equivalent_and_undecided_apart() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(1, 0.02, 60)
    table = against_baselines(
        runs(
            lstm=list(base), good=list(base - 0.1), bad=list(base + 0.1), same=list(rng.permutation(base)), wild=list(rng.normal(1, 1, 60))
        )
    )
    found = {str(row["a"]).split(" ")[0]: row for _, row in table.iterrows()}
    assert {name: row["verdict"] for name, row in found.items()} == {
        "good": "better", "bad": "worse", "same": "equivalent", "wild": "undecided"
    }  # fmt: skip
    words = {name: verdict.claim(row, 2.0, "holm", 4) for name, row in found.items()}
    assert words["good"].startswith("good beats lstm by 0.1 (10 %; 95 % interval 0.09")
    assert "bad is beaten by lstm" in words["bad"]
    assert "equivalent within 2 %" in words["same"]
    assert "would have been seen with probability 0.8" in words["wild"]
    assert list(verdict.matrix(table)["tree: lstm"].str[0]) == ["▲", "▼", "=", "·"]


def test_seeds_are_paired_only_where_they_share_initial_parameters() -> None:
    rng = np.random.default_rng(4)
    start = rng.normal(0, 1, 30)
    table = runs(mrnn_25=list(start + rng.normal(0, 0.1, 30)), mrnn_100=list(start + 0.1 + rng.normal(0, 0.1, 30)), lstm=list(start))
    assert compare(table, "mrnn K=25 / tree", "mrnn K=100 / tree")["test"][0] == "welch", "an older ltm recorded no draws"
    table["draws"] = table["model"]
    lengths = compare(table, "mrnn K=25 / tree", "mrnn K=100 / tree").iloc[0]
    assert lengths["test"] == "paired"
    assert lengths["correlation"] > 0.9
    assert lengths["p"] < 0.01
    models = compare(table, "mrnn K=25 / tree", "lstm").iloc[0]
    assert models["test"] == "welch"
    assert models["correlation"] > 0.9  # reported all the same
    table["draws"] = table["condition"]  # as of an own cell whose parameters depend on K
    assert compare(table, "mrnn K=25 / tree", "mrnn K=100 / tree")["test"][0] == "welch"


def test_a_clear_winner_is_alone_in_the_best_set_and_ranks_agree() -> None:
    rng = np.random.default_rng(5)
    parts = []
    for name in ("tree", "dji"):
        part = runs(rnn=list(rng.normal(1, 0.1, 20)), lstm=list(rng.normal(1, 0.1, 20)), mrnn_5=list(rng.normal(0.5, 0.1, 20)))
        parts.append(part.assign(dataset=name, condition=part["condition"].str.replace("tree", name)))
    table = pd.concat(parts, ignore_index=True)
    best = best_set(table)
    assert set(best.loc[best["p"] > 0.05, "condition"]) == {"mrnn K=5 / tree", "mrnn K=5 / dji"}
    mean_ranks, friedman, difference = ranks(table)
    assert mean_ranks.idxmin() == "mrnn K=5"
    assert mean_ranks.sum() == 6
    assert difference > 0
    assert 0 < friedman.p < 1
    one = improvement_matrix(table[table["dataset"] == "dji"])
    np.testing.assert_allclose(one + one.T, 1.0)


def test_a_reproduction_is_tested_against_published_figures(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    table = runs(rnn=list(rng.normal(0.2871, 0.0086, 100)), lstm=list(rng.normal(0.3, 0.007, 100)))
    found = published(table, "zhao2020_table2").set_index("condition")
    assert found.loc["rnn / tree", "p_adjusted"] > 0.05
    assert found.loc["lstm / tree", "p_adjusted"] < 1e-6
    with pytest.raises(UserError, match="'nobody'.*zhao2020_table2"):
        published(table, "nobody")
    (tmp_path / "mine.csv").write_text("dataset,model,K,metric,mean,sd,n\ntree,gru,,test_rmse,1,1,10\n")
    with pytest.raises(UserError, match="no model and series of this study; it has gru"):
        published(table, tmp_path / "mine.csv")


def test_a_filter_length_is_recommended_with_its_evidence() -> None:
    rng = np.random.default_rng(7)
    table = runs(
        mrnn_5=list(rng.normal(1.3, 0.02, 40)), mrnn_20=list(rng.normal(1.0, 0.02, 40)), mrnn_50=list(rng.normal(1.0, 0.02, 40)),
        mlstm_5=list(rng.normal(1.0, 0.1, 40)), mlstm_20=list(rng.normal(1.0, 0.1, 40)), mlstm_50=list(rng.normal(1.0, 0.1, 40)),
    )  # fmt: skip
    rows = recommend(table).set_index("model")
    assert rows.loc["mrnn", "recommended"] == 20
    assert rows.loc["mrnn", "plateau"] == 20
    assert rows.loc["mrnn", "slope_high"] < 0
    assert rows.loc["mrnn", "p_trend"] < 1e-6
    assert "mrnn on tree: K = 20" in rows.loc["mrnn", "evidence"]
    assert "40 seeds each" in rows.loc["mrnn", "evidence"]
    assert rows.loc["mlstm", "recommended"] == 5
    crossed = interaction(table).set_index("term")
    assert crossed.loc["model x K", "p"] < 1e-6


def test_simultaneous_intervals_are_wider_than_single_ones() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(1, 0.1, 30)
    (first, *_) = by_filter_length(runs(mrnn_5=list(values), mrnn_9=list(values))).itertuples()
    low, high = mean_interval(values)
    assert first.low < low < high < first.high


def test_tables_read_well_in_markdown_and_latex() -> None:
    table = pd.DataFrame({"a_b": ["x|y", "50 %"], "p": [0.01234567, np.nan]})
    assert tables.as_markdown(table) == "| a b | p |\n| --- | ---: |\n| x\\|y | 0.01235 |\n| 50 % | – |\n"
    latex = tables.as_latex(table)
    assert "\\begin{tabular}{lr}\n\\toprule\na b & p \\\\\n\\midrule" in latex
    assert "50 \\% & --" in latex


def test_what_a_half_finished_study_lacks_is_said() -> None:
    table = runs(rnn=[1.0, 2.0, 3.0], lstm=[1.0, 2.0]).assign(condition_id=["r"] * 3 + ["l"] * 2)
    words = missing_runs(table, {"conditions": {"r": "rnn / tree", "l": "lstm / tree", "m": "mrnn K=5 / tree"}})
    assert "1 of 3 conditions have no seed run (mrnn K=5 / tree)" in words
    assert "lstm / tree (2 of 3)" in words


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


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study, trained once: two models, two filter lengths, four seeds."""
    folder = tmp_path_factory.mktemp("study")
    command = [sys.executable, "-m", "ltm.sweep", "+experiment=smoke", "tracking=off", "compute.cpus=1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "results" / "smoke"


def test_the_report_stands_alone_and_every_table_and_figure_is_a_file(study: Path) -> None:
    page = (study / "report" / "index.html").read_text()
    assert page.index("Verdicts") < page.index("Conditions") < page.index("Comparisons")
    assert "mrnn K=5 beats rnn" in page or "mrnn K=5 and rnn" in page or "mrnn K=5 is " in page
    assert not any(f'{key}="http' in page for key in ("src", "href"))
    assert "<script" not in page
    assert "@import" not in page
    names = {path.stem for path in (study / "report" / "tables").iterdir()}
    assert {"summary", "tests", "best_set", "filter_length", "filter_trend", "memory", "training"} <= names
    assert page.index("the mean of the training part (") < page.index("Verdicts")  # five epochs teach nothing, and the page says so first
    assert "last value / arfima" in (study / "report" / "tables" / "summary.csv").read_text()
    for stem in names:
        assert {path.suffix for path in (study / "report" / "tables").glob(f"{stem}.*")} == {".csv", ".md", ".tex"}
    for stem in ("spread", "filter_length", "improvement", "learning_curves", "acf", "memory_left", "best_of"):
        assert (study / "report" / "figures" / f"{stem}.svg").read_text().startswith("<svg")
        assert (study / "report" / "figures" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_ledger_gives_the_same_report(study: Path, run) -> None:  # type: ignore[no-untyped-def]
    first = (study / "report" / "index.html").read_bytes()
    run("analysis", "report", str(study))
    assert (study / "report" / "index.html").read_bytes() == first


def test_a_study_without_baselines_is_reported_and_the_same_sweep_adds_them(study: Path, run) -> None:  # type: ignore[no-untyped-def]
    shutil.rmtree(study / "baselines")
    run("analysis", "report", str(study))
    assert "last value" not in (study / "report" / "index.html").read_text()
    command = ("ltm.sweep", "+experiment=smoke", "tracking=off", "compute.cpus=1")
    assert "last value" not in run(*command, "baselines=none", cwd=study.parents[1]).stdout
    assert not (study / "baselines").exists()
    assert "last value" in run(*command, cwd=study.parents[1]).stdout


def test_compare_power_memory_and_export_print_their_tables(study: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shown = run("analysis", "compare", str(study), "--a", "mrnn K=10 / arfima", "--b", "rnn", COLUMNS="160").stdout
    for name in ("Welch t", "Brunner-Munzel", "Hedges' g", "almost stochastic order", "confidence sequence", "Diebold-Mariano"):
        assert name in shown
    shown = run("analysis", "power", str(study), "--a", "mrnn", "--b", "rnn", COLUMNS="160").stdout
    assert "Mann-Whitney" in shown
    assert "read at any time" in shown
    shown = run("analysis", "memory", str(study), "--lags", "20", COLUMNS="160").stdout
    assert "rnn / arfima" in shown
    assert (study / "report" / "tables" / "responses.csv").is_file()
    run("analysis", "report", str(study))
    assert "Definition 3" in (study / "report" / "index.html").read_text()
    run("analysis", "export", str(study), "--to", str(tmp_path / "out"))
    assert len(pd.read_csv(tmp_path / "out" / "runs.csv")) == 12


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_a_new_report_takes_the_place_of_the_earlier_one(study: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "study"))
    report, notes = copy / "report", copy / "report" / "tables" / "mine.txt"
    assert main(["memory", str(copy), "--lags", "20"]) == 0
    notes.write_text("my own")
    assert main(["report", str(copy)]) == 0
    assert "<i>law of decay</i>" in (report / "index.html").read_text()
    whole = {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    assert {Path("figures/responses.svg"), Path("tables/responses.csv")} < whole
    ledger = Ledger(copy)
    kept = set(trained.typical(ledger.runs())["run_id"])
    for path in ledger.files("runs"):  # the study as it was before, without the models that have a filter length
        table = ledger.table(path)
        (copy / "runs" / Path(path).name).unlink()
        ledger.put_table(
            f"runs/{pack_of(path)}",
            table.filter(
                [K is None and key not in kept for K, key in zip(table["K"].to_pylist(), table["run_id"].to_pylist(), strict=True)]
            ),
        )
    assert main(["report", str(copy)]) == 0
    left = {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    assert not any("filter" in str(name) or "responses" in str(name) for name in left)
    assert "<i>law of decay</i>" not in (report / "index.html").read_text()
    assert notes.read_text() == "my own"
    assert main(["export", str(copy)]) == 0
    assert {path.relative_to(report) for path in report.rglob("*") if path.is_file()} == left | {Path("runs.csv")}


def test_a_report_goes_on_without_damaged_files_and_says_so(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "study"))
    first, second, *_ = Ledger(copy).files("runs")
    Path(first).write_bytes(b"")
    (curves,) = (path for path in Ledger(copy).files("curves") if pack_of(path) == pack_of(second))
    Path(curves).write_bytes(b"")
    for command in (
        ["report", str(copy)],
        ["compare", str(copy), "--a", "mrnn", "--b", "rnn"],
        ["export", str(copy), "--to", str(tmp_path / "out")],
    ):
        status = main(command)
        shown = capsys.readouterr()
        assert status == 0 or "There are" in shown.err  # what is compared may be what was damaged
        assert f"left out: {first}, which is damaged (it is empty)" in shown.out.replace(chr(10), " ")
        assert "verify --repair" in shown.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare"], "compare needs --a and --b"),
        (["compare", "--a", "gru", "--b", "rnn"], "'gru'"),
        (["compare", "--published", "nobody"], "zhao2020_table2"),
        (["power", "--a", "mrnn", "--b", "rnn", "--power", "2"], "between 0 and 1"),
        (["memory", "--lags", "3"], "at least 8"),
        (["memory", "--lags", "300"], "choose fewer"),
        (["report", "--margin", "-1"], "margin is -1"),
    ],
)
def test_bad_input_is_one_line(study: Path, run, arguments: list[str], words: str) -> None:  # type: ignore[no-untyped-def]
    done = run("analysis", arguments[0], str(study), *arguments[1:], status=2)
    assert done.stderr.startswith("error:")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_seed_gives_no_interval_and_says_so() -> None:
    (row,) = (compare(runs(rnn=[1.0], lstm=[2.0]), "rnn", "lstm").iloc[i] for i in range(1))
    assert "one seed carries no interval" in verdict.claim(row, 2.0, "holm", 0)
    assert np.isnan(summarise(runs(rnn=[1.0]))[["low", "high", "sd"]].to_numpy(float)).all()


def test_equal_seeds_and_unequal_counts_are_reported() -> None:
    table = runs(rnn=[1.0, 1.0, 1.0], lstm=[1.0, 1.0], mrnn_5=[0.5, 0.6, 0.7, 0.8])
    said = [verdict.claim(row, 2.0, "holm", 1) for _, row in against_baselines(table).iterrows()]
    assert any("the seeds do not differ" in line for line in said)
    assert any("4 of 4 against 2 of 2 seeds" in line for line in said)
    assert summarise(table)["low"][0] == summarise(table)["high"][0] == 1.0
