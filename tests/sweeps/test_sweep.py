"""Whole sweeps as a user starts them: growth, kills, bad input, tracking, and every experiment at its smallest."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sweeps import config, plan, record
from sweeps.execution import worker
from sweeps.store.ledger import Ledger
from tests import waiting

SMALL = ("dataset.length=301", "dataset.train=150", "dataset.validation=75")
QUICK = ("seeds=1", "training.max_epochs=2", "tracking=off", "compute.cpus=1")


@pytest.mark.parametrize(
    ("grid", "conditions"), [(["grid.model=[mrnn,mrnnf]", "grid.K=[25,50]"], 4), pytest.param([], 16, marks=pytest.mark.long)]
)
def test_a_sweep_trains_what_is_missing_and_no_more(run, tmp_path: Path, real_data: Path, grid: list[str], conditions: int) -> None:  # type: ignore[no-untyped-def]
    command = ("ltm.sweep", "+experiment=k_sweep", "dataset=tree", "training.max_epochs=20", "tracking=off", *grid)
    book = Ledger(tmp_path / "results" / "k_sweep")
    for seeds, trained, total in (
        ("seeds=4", 4 * conditions, 4 * conditions),
        ("seeds=4", 0, 4 * conditions),
        ("seeds=6", 2 * conditions, 6 * conditions),
    ):
        before = {path: os.stat(path).st_mtime_ns for path in book.files("runs")}
        done = run(*command, seeds, LTM_DATA_DIR=str(real_data))
        assert f"{trained} to train" in done.stdout
        rows = book.runs()
        assert len(rows) == total
        assert rows["run_id"].is_unique
        assert {path: os.stat(path).st_mtime_ns for path in before} == before
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path}/results/k_sweep/report/index.html"
    page = (tmp_path / "results/k_sweep/report/index.html").read_text()
    assert page.count("<figure ") == 9
    assert "http" not in page


@pytest.mark.parametrize("ray", [pytest.param("always", marks=pytest.mark.long), "never"])
def test_sweep_and_train_give_the_same_bits(run, tmp_path: Path, ray: str) -> None:  # type: ignore[no-untyped-def]
    run(
        "ltm.sweep",
        "model=mrnn",
        "seeds=9",
        "training.max_epochs=30",
        "tracking=off",
        "study=one",
        "compute.pack_size=4",
        f"compute.ray={ray}",
        *SMALL,
    )
    rows = Ledger(tmp_path / "results" / "one").runs().set_index("seed")
    whole = plan.make(config.compose(["model=mrnn", "seeds=[5]", "training.max_epochs=30", *SMALL]))
    training = worker.training_of(plan.Pack(tuple(whole.runs)))
    while not training.done:
        training.advance(7)
    (alone,) = training.results().itertuples()
    for name in ("test_rmse", "test_mae", "test_mape", "validation_loss", "train_loss", "d", "best_epoch"):
        assert rows.loc[5, name] == getattr(alone, name), name
    shown = run("ltm.train", "model=mrnn", "seeds=[5]", "training.max_epochs=30", *SMALL, COLUMNS="200").stdout
    assert f"{alone.test_rmse:.5g}" in shown


@pytest.mark.long
@pytest.mark.parametrize("ray", ["always", "never"])
def test_a_killed_driver_loses_no_finished_pack(run, run_and_kill, tmp_path: Path, ray: str) -> None:  # type: ignore[no-untyped-def]
    command = [
        "ltm.sweep",
        "+experiment=k_sweep",
        "seeds=2",
        "training.max_epochs=400",
        "tracking=off",
        "compute.cpus=1",
        f"compute.ray={ray}",
    ]
    book = Ledger(tmp_path / "results" / "k_sweep")
    run_and_kill(command, book, 3)
    kept = {path: os.stat(path).st_mtime_ns for path in book.files("runs")}
    before = book.runs()
    assert 3 <= len(kept) < 16, "the driver should be killed in the middle"
    done = run(*command)
    assert f"{len(before)} finished before, {32 - len(before)} to train" in done.stdout
    assert {path: os.stat(path).st_mtime_ns for path in kept} == kept
    rows = book.runs()
    assert len(rows) == 32
    assert rows["run_id"].is_unique
    assert set(book.curves()["run_id"]) == set(rows["run_id"])
    assert (tmp_path / "results" / "k_sweep" / "report" / "index.html").is_file()


@pytest.mark.long
@pytest.mark.parametrize("ray", ["always", "never"])
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path, ray: str) -> None:
    command = [
        "ltm.sweep",
        "+experiment=k_sweep",
        "seeds=2",
        "training.max_epochs=4000",
        "training.patience=4000",
        "tracking=off",
        "compute.cpus=1",
        f"compute.ray={ray}",
    ]
    driver = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it, and so would this
    )  # fmt: skip
    book = Ledger(tmp_path / "results" / "k_sweep")
    waiting.until(lambda: book.files("runs"), driver)
    driver.send_signal(signal.SIGINT)
    printed, _ = driver.communicate(timeout=waiting.LONG)
    assert driver.returncode == 130, printed
    assert "go on with the same command" in printed
    assert "python -m ltm.sweep +experiment=k_sweep" in printed
    assert "Traceback" not in printed
    assert len(book.runs()) >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+experiment=nope"], "unknown experiment 'nope'"),
        (["model=mrnn", "+model.hiden_size=2"], "'hiden_size'"),
        (["root=/proc/nowhere"], "cannot be written"),
        (["dataset.train=3000"], "the split takes 3000 + 1200 pairs"),
    ],
)
def test_bad_input_is_one_line_status_2_and_nothing_written(run, tmp_path: Path, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    done = run("ltm.sweep", *arguments, status=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_an_own_cell_that_cannot_be_derived_is_trained_and_the_log_says_why(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    step = 'def step(self, p, s, x):\n        return {"h": torch.lgamma(p.W_ih @ x.now + p.W_hh @ s.h)}'
    (tmp_path / "own.py").write_text(f"import torch\nfrom ltm.cells.rnn import RNN\nclass Odd(RNN):\n    {step}\n")
    done = run("ltm.sweep", "model=rnn", "model.cell=own:Odd", "study=own", *QUICK, *SMALL)
    assert "'lgamma'" in done.stdout
    assert "own.py:5" in done.stdout
    assert list(Ledger(tmp_path / "results" / "own").runs()["engine"]) == ["torch"]


def test_a_folder_of_another_study_is_refused(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = config.compose(["+experiment=smoke"])
    record.claim(Ledger(tmp_path / "results" / "smoke"), plan.make(study), study.config, "smoke", "command")
    done = run("ltm.sweep", "+experiment=smoke", "tracking=off", "training.max_epochs=6", status=2)
    assert "holds another study" in done.stderr
    assert "study=smoke_2" in done.stderr


SIZES = {
    "bit_relay": 75, "decays": 6, "hpo": 10, "k_full": 20, "latching": 75, "latching_why": 16, "lstm1997": 12, "odyssey": 8, "paper": 120, "paper_reviews": 8, "paper_table2": 36, "process": 54, "smoke": 3,
}  # fmt: skip
"""Seed runs of every experiment at its smallest."""


def both(*blocks: str) -> list[str]:
    """The blocks of LSTM and RNN of some experiments of 1997."""
    return [f"{block}{of}" for block in blocks for of in ("", "_rnn")]


APART = {"k_sweep": "runs above", "family": "is composed below: a kernel for each of 17 cells and six shapes of task takes minutes"}


@pytest.mark.long
@pytest.mark.parametrize("experiment", [name for name in config.options("experiment") if name not in APART])
def test_every_experiment_runs_at_its_smallest(run, tmp_path: Path, experiment: str, request: pytest.FixtureRequest) -> None:  # type: ignore[no-untyped-def]
    small = QUICK
    if experiment == "hpo":
        small = (*QUICK, "search.trials=2", "search.seeds=1")
    elif experiment == "odyssey":
        small = (*QUICK, "grid.model.variant=[vanilla,FGR]")  # of nine, each with kernels of its own
    elif experiment == "lstm1997":
        small = (
            *QUICK,
            *(f"~blocks.{name}" for name in ("lag_a_20", *both("lag_c", "two_a", "two_b", "adding", "multiplication"), "order_b")),
        )
    elif experiment == "process":
        small = (*QUICK, "grid.path=[0-1]")
    elif experiment == "latching_why":
        small = ("seeds=1", "grid.max_epochs=[2]", "tracking=off", "compute.cpus=1")
    elif experiment == "paper_reviews":
        pytest.importorskip("gensim")
        file = request.getfixturevalue("made_up_reviews")
        small = (
            *QUICK,
            f"dataset.file={file}",
            "dataset.train=12",
            "dataset.validation=4",
            "dataset.length=9",
            "grid.hidden_size=2",
            "blocks.mrnnf.K=3",
            "blocks.mlstmf.K=3",
        )
    if experiment in ("paper", "paper_table2"):
        folder = request.getfixturevalue("real_data")
        run("ltm.sweep", f"+experiment={experiment}", *small, LTM_DATA_DIR=str(folder))
    else:
        run("ltm.sweep", f"+experiment={experiment}", *small)
    (study,) = (tmp_path / "results").iterdir()
    assert (study / "report" / "index.html").is_file()
    assert len(Ledger(study).runs()) == SIZES[experiment]


@pytest.mark.long
def test_the_family_is_every_small_cell_on_every_task() -> None:
    study = plan.make(config.compose(["+experiment=family", "blocks.series.dataset=[arfima]"]))
    assert len(study.conditions) == 17 * 5


@pytest.mark.long
def test_a_sweep_until_success_reports_who_succeeded_and_after_how_many_sequences(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    until = ("training=batches", "training.until={metric: accuracy, at_least: 0.95}", "training.lr=0.03", "training.patience=20")
    task = ("dataset=latching", "dataset.length=5", "dataset.sequences=60", "dataset.draws=stream")
    run("ltm.sweep", "model=rnn", "model.hidden_size=3", *task, *until, "seeds=8", "tracking=off", "study=latch", "compute.cpus=1")
    rows = Ledger(tmp_path / "results" / "latch").runs()
    met = rows["test_success"] == 1.0
    assert met.any()
    assert (rows.loc[met, "test_sequences"] == 48 * rows.loc[met, "epochs"]).all()
    assert (rows.loc[met, "validation_accuracy"] >= 0.95).all()
    assert rows.loc[~met, "test_sequences"].isna().all()
    table = pd.read_csv(tmp_path / "results/latch/report/tables/success.csv")
    assert table.loc[0, ["succeeded", "seeds"]].tolist() == [met.sum(), 8]
    assert ">Success<" in (tmp_path / "results/latch/report/index.html").read_text()


def test_a_driver_imports_nothing_that_draws_or_tracks_or_schedules_before_it_trains() -> None:
    code = (
        "from sweeps import config, study; study.prepare(config.compose(['+experiment=smoke'])); import sys;"
        " print({'ray', 'wandb', 'matplotlib', 'statsmodels', 'analysis.reporting.build'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
