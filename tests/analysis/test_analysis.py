"""Tables and verdicts on small studies: what is counted, what is tested, what is said; bad input in one line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import Study, published, summarise
from analysis.__main__ import main
from analysis.reporting import tables
from analysis.reporting.build import missing_runs
from analysis.statistics.intervals import mean_interval
from analysis.studies.memory import networks
from analysis.studies.published import of_best
from ltm.errors import UserError
from sweeps.store.ledger import Ledger
from sweeps.store.storage import pack_of
from tests import waiting
from tests.analysis.rows import rows


def test_mean_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(2.0, 1.0, (4000, 8))
    covered = [low <= 2.0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(mean_interval(np.array([1.0]))).all()


def test_a_reproduction_is_tested_against_published_figures(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    table = rows(rnn=list(rng.normal(0.2871, 0.0086, 100)), lstm=list(rng.normal(0.3, 0.007, 100)))
    found = published(table, "zhao2020_table2").set_index("condition")
    assert found.loc["rnn / tree", "p_adjusted"] > 0.05
    assert found.loc["lstm / tree", "p_adjusted"] < 1e-6
    alike = published(rows(rnn=[0.25, 0.25], lstm=[0.3, 0.31]), "zhao2020_table2").set_index("condition")
    assert np.isnan(alike.loc["rnn / tree", "p_adjusted"]), "two seeds of one score say nothing of their spread"
    assert not np.isnan(alike.loc["lstm / tree", "p_adjusted"])
    with pytest.raises(UserError, match="'nobody'.*zhao2020_table2"):
        published(table, "nobody")
    (tmp_path / "mine.csv").write_text("dataset,model,K,metric,mean,sd,n\ntree,gru,,test_rmse,1,1,10\n")
    with pytest.raises(UserError, match="no model and series of this study; it has gru"):
        published(table, tmp_path / "mine.csv")


def test_the_best_seed_stands_beside_the_published_best() -> None:
    table = rows("reviews", rnn=[0.3, 0.42, np.nan]).rename(columns={"test_rmse": "test_accuracy"})
    table["test_loss"] = 2 - table["test_accuracy"]
    found = of_best(table, "zhao2020_table5").set_index("metric")
    assert (found.loc["test_accuracy", "best"], found.loc["test_accuracy", "published_best"], found.loc["test_accuracy", "n"]) == (
        0.42,
        0.36,
        2,
    )
    assert found.loc["test_loss", "best"] == pytest.approx(1.58)
    assert of_best(rows(rnn=[1.0, 2.0]), "zhao2020_table2").empty


def test_tables_read_well_in_markdown_and_latex() -> None:
    table = pd.DataFrame({"a_b": ["x|y", "50 %"], "p": [0.01234567, np.nan]})
    assert tables.as_markdown(table) == "| a b | p |\n| --- | ---: |\n| x\\|y | 0.01235 |\n| 50 % | – |\n"
    latex = tables.as_latex(table)
    assert "\\begin{tabular}{lr}\n\\toprule\na b & p \\\\\n\\midrule" in latex
    assert "50 \\% & --" in latex


def test_what_a_half_finished_study_lacks_is_said() -> None:
    table = rows(rnn=[1.0, 2.0, 3.0], lstm=[1.0, 2.0]).assign(condition_id=["r"] * 3 + ["l"] * 2)
    words = missing_runs(table, {"conditions": {"r": "rnn / tree", "l": "lstm / tree", "m": "mrnn K=5 / tree"}})
    assert "1 of 3 conditions have no seed run (mrnn K=5 / tree)" in words
    assert "lstm / tree (2 of 3)" in words


def test_analysis_imports_neither_ray_nor_torch() -> None:
    code = "import analysis, analysis.reporting.build, sys; assert not {'ray', 'torch', 'wandb', 'hydra'} & set(sys.modules)"
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
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=waiting.LONG)
    return folder / "results" / "smoke"


def test_the_report_stands_alone_with_its_tables_beside_it(study: Path) -> None:
    page = (study / "report" / "index.html").read_text()
    first = "A statement about this one simulated series, not about the process, as no other series was drawn"
    assert f"{first}: the networks learned nothing: no mean beats a constant." in page  # in five epochs, and the page says so first
    assert (
        page.index("learned nothing")
        < page.index("</svg>")
        < page.index('<nav aria-label="Contents">')
        < page.index("Filter length K</h2>")
    )
    assert "too few seeds for a verdict" in page  # four seeds each
    assert "http" not in page
    assert not any(mark in page for mark in ("<script", "@import", "src="))
    files = {str(path.relative_to(study / "report")) for path in (study / "report").rglob("*") if path.is_file()}
    linked = set(re.findall(r'href="([^"#]+)"', page))
    assert linked < files
    assert {path.suffix for path in map(Path, files)} == {".html", ".json", ".csv"}
    assert {f"tables/{name}.csv" for name in ("summary", "tests", "effects", "filter_length", "filter_trend", "memory", "training")} < files
    assert {f"tables/{name}.csv" for name in ("summary", "tests", "filter_length", "memory", "training", "verdicts")} < linked
    assert "last value / arfima" in (study / "report" / "tables" / "summary.csv").read_text()


def test_a_report_has_the_formats_that_were_asked_for(study: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "study"))
    assert main(["report", str(copy), "--formats", "md,tex,svg,pdf"]) == 0
    report, page = copy / "report", (copy / "report" / "index.html").read_text()
    for name in ("verdicts", "summary_arfima", "tests_arfima", "filter_length", "filter_trend", "memory", "training"):
        assert {path.suffix for path in (report / "tables").glob(f"{name}.*")} == {".md", ".tex"}
        assert f'href="tables/{name}.tex"' in page
    for name in ("effects", "spread", "filter_length", "wins", "learning_curves", "acf", "memory_left", "best_of"):
        assert (report / "figures" / f"{name}.svg").read_text().startswith("<svg")
        assert (report / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert f'href="figures/{name}.pdf"' in page
    assert ".csv" not in page


def test_the_same_ledger_gives_the_same_report_on_the_same_day(study: Path, run) -> None:  # type: ignore[no-untyped-def]
    run("analysis", "report", str(study), SOURCE_DATE_EPOCH="86400")
    first = (study / "report" / "index.html").read_bytes()
    assert b"Written on 1970-01-02 by ltm " in first
    run("analysis", "report", str(study), SOURCE_DATE_EPOCH="86400")
    assert (study / "report" / "index.html").read_bytes() == first


@pytest.mark.long
def test_a_study_without_baselines_is_reported_and_the_same_sweep_adds_them(study: Path, run) -> None:  # type: ignore[no-untyped-def]
    shutil.rmtree(study / "baselines")
    run("analysis", "report", str(study))
    assert "last value" not in (study / "report" / "index.html").read_text()
    command = ("ltm.sweep", "+experiment=smoke", "tracking=off", "compute.cpus=1")
    assert "no mean beats a constant" not in run(*command, "baselines=none", cwd=study.parents[1]).stdout
    assert not (study / "baselines").exists()
    assert "no mean beats a constant" in " ".join(run(*command, cwd=study.parents[1]).stdout.split())


def test_compare_and_power_print_their_tables(study: Path, run) -> None:  # type: ignore[no-untyped-def]
    shown = run("analysis", "compare", str(study), "--a", "mrnn K=10 / arfima", "--b", "rnn", COLUMNS="160").stdout
    for name in (
        "wins (the default)",
        "Welch t",
        "Brunner-Munzel",
        "Hedges' g",
        "almost stochastic order",
        "read after each",
        "Diebold-Mariano",
    ):
        assert name in shown
    shown = run("analysis", "power", str(study), "--a", "mrnn", "--b", "rnn", COLUMNS="160").stdout
    assert "wins (the default)" in shown
    assert "no pack of 10 seeds, of the same numbers, is complete in both" in shown


@pytest.mark.long
def test_memory_and_export_print_and_write_their_tables(study: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shown = run("analysis", "memory", str(study), "--lags", "20", "--out", str(tmp_path / "memory"), COLUMNS="160").stdout
    assert "power (95 %)" in shown
    assert "arfima: the test part, " in shown
    assert "long memory is left in the residuals of these seeds" in shown
    left = pd.read_csv(tmp_path / "memory" / "residuals.csv")
    assert list(left["condition"]) == list(pd.read_csv(study / "report" / "tables" / "responses.csv")["condition"].unique())
    assert (tmp_path / "memory" / "memory.svg").is_file()
    assert (study / "report" / "tables" / "responses.csv").is_file()
    run("analysis", "report", str(study))
    assert "Laws of decay." in (study / "report" / "index.html").read_text()
    run("analysis", "export", str(study), "--to", str(tmp_path / "out"))
    assert len(pd.read_csv(tmp_path / "out" / "runs.csv")) == 12


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_a_new_report_takes_the_place_of_the_earlier_one(study: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(study, tmp_path / "study"))
    report, notes = copy / "report", copy / "report" / "tables" / "mine.txt"
    assert main(["memory", str(copy), "--lags", "20"]) == 0
    notes.write_text("my own")
    assert main(["report", str(copy)]) == 0
    assert "<i>Law of decay</i>" in (report / "index.html").read_text()
    whole = {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    assert {Path("figures/responses.svg"), Path("tables/responses.csv")} < whole
    ledger = Ledger(copy)
    kept = set(networks.typical(ledger.runs())["run_id"])
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
    assert "<i>Law of decay</i>" not in (report / "index.html").read_text()
    assert notes.read_text() == "my own"
    assert main(["export", str(copy)]) == 0
    whole = {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    assert left | {Path("runs.csv"), Path("tables/summary_arfima.tex"), Path("figures/spread.pdf")} < whole


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
        (["memory", "--trend"], "a study knows its series"),
        (["report", "--margin", "-1"], "margin is -1"),
        (["report", "--formats", "csv,docx"], "'docx'"),
    ],
)
def test_bad_input_is_one_line(study: Path, run, arguments: list[str], words: str) -> None:  # type: ignore[no-untyped-def]
    done = run("analysis", arguments[0], str(study), *arguments[1:], status=2)
    assert done.stderr.startswith("error:")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_seed_gives_no_interval() -> None:
    assert np.isnan(summarise(Study.of(rows(rnn=[1.0])))[["low", "high", "sd"]].to_numpy(float)).all()


def test_the_summary_is_of_finished_seeds_and_the_median_counts_diverged_ones_last() -> None:
    row = summarise(Study.of(rows(rnn=[1.0, 2.0, np.nan, 3.0, np.nan]))).iloc[0]
    assert (row["runs"], row["diverged"], row["finished"], row["mean"], row["median"], row["min"]) == (5, 2, 3, 2.0, 3.0, 1.0)
