"""Hyperparameter search: a planted optimum, resuming, selection by validation only, and bad input in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm.errors import UserError
from sweeps import config
from sweeps.search.base import FIRST_SEED
from sweeps.search.halving import Halving
from sweeps.search.space import axes_of
from sweeps.store.ledger import Ledger
from sweeps.store.tables import COLUMNS

SMALL = ("dataset.length=301", "dataset.train=150", "dataset.validation=75", "tracking=off", "compute.cpus=1")

PLANTED = '''
from dataclasses import dataclass
import torch
from ltm.cells import Cell
from ltm.cells.base import bias

@dataclass(frozen=True)
class Planted(Cell):
    """Its state is the last value, off by more than a few epochs of the read-out mend: the best shift is 0.3. One parameter, without effect."""
    shift: float = 0.9
    def parameters(self):
        return {"b": bias(1, 1)}
    def step(self, p, s, x):
        return {"h": x.now + 1000.0 * (self.shift - 0.3) + 0.0 * p.b}
'''
COMMAND = (
    "ltm.sweep", "search=random", "search.trials=16", "engine=torch", "search.seeds=2", "search.rungs=2", "search.space={shift:{low:0.0,high:1.0}}", "seeds=3",
    "training.max_epochs=6", "study=hunt", "model=rnn", "model.cell=own:Planted", "+model.shift=0.9", *SMALL,
)  # fmt: skip


@pytest.mark.long
def test_a_planted_optimum_is_found_and_told_apart_from_what_selected_it(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own.py").write_text(PLANTED)
    done = run(*COMMAND)
    shift = float(done.stdout.split("winner: rnn shift=")[1].split()[0])
    assert abs(shift - 0.3) < 0.06
    book = Ledger(tmp_path / "results" / "hunt")
    runs = book.runs()
    searched, fresh = runs[runs["seed"] >= FIRST_SEED], runs[runs["seed"] < FIRST_SEED]
    assert sorted(searched.groupby("condition_id").size().unique()) == [2]
    assert len(searched) == (16 + 6) * 2  # 16 configurations, a third of them go on
    assert set(fresh["condition"]) == {f"rnn shift={shift} / arfima", "rnn shift=0.9 / arfima"}
    assert set(fresh["seed"]) == {0, 1, 2}
    selection = pd.read_csv(tmp_path / "results/hunt/report/tables/selection.csv").set_index("role")
    best = searched[searched["condition_id"].isin(fresh["condition_id"])]
    assert selection.loc["winner", "selected"] == pytest.approx(best["validation_loss"].median())
    assert np.isnan(selection.loc["untuned", "selected"])
    assert selection.loc["winner", "test_rmse"] == pytest.approx(fresh.loc[fresh["condition"].str.contains(str(shift)), "test_rmse"].mean())
    again = run(*COMMAND)
    assert "0 to train" in again.stdout
    assert not any(f", {n} to train" in again.stdout for n in (32, 12, 6))
    assert len(book.runs()) == len(runs)


@pytest.mark.long
def test_a_killed_search_goes_on_and_ends_like_one_left_alone(run, run_and_kill, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = ["ltm.sweep", "+experiment=hpo", "grid.model=[rnn]", "search.trials=6", "search.seeds=4", "search.rungs=2", "training.max_epochs=300", "seeds=4",
               "tracking=off", "compute.cpus=1", "compute.pack_size=4"]  # fmt: skip
    book = Ledger(tmp_path / "results" / "hpo")
    kept = run_and_kill(command, book, 3)
    assert kept
    resumed = run(*command)
    (tmp_path / "alone").mkdir()
    alone = run(*command, cwd=tmp_path / "alone")
    assert resumed.stdout.split("winner: ")[1].splitlines()[0] == alone.stdout.split("winner: ")[1].splitlines()[0]
    assert kept <= book.done() == Ledger(tmp_path / "alone" / "results" / "hpo").done()


@pytest.mark.long
def test_optuna_proposes_and_is_resumed(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own.py").write_text(PLANTED)
    command = [word.replace("search=random", "search=optuna") for word in COMMAND if not word.startswith("search.rungs")] + [
        "search.batch=8"
    ]
    first = run(*command)
    assert abs(float(first.stdout.split("winner: rnn shift=")[1].split()[0]) - 0.3) < 0.1
    again = run(*command)
    assert again.stdout.count("0 to train") == 3  # two batches and the fresh seeds


def test_rungs_grow_to_the_studys_epochs_and_points_repeat() -> None:
    study = config.compose(["search=random", "training.max_epochs=900", "search.rungs=3", "model=mrnn", "search.space.K={low:5,high:50}"])
    assert Halving(study).epochs == [100, 300, 900]
    points = Halving(study).samples()
    assert points == Halving(study).samples()
    assert all(isinstance(point["K"], int) and 5 <= point["K"] <= 50 and 1e-3 <= point["lr"] <= 0.3 for point in points)
    assert "K" not in Halving(config.compose(["search=random", "model=rnn"])).candidate(0, {"K": 5, "lr": 0.1}).values


def test_a_metric_of_which_larger_is_better_chooses_the_largest(tmp_path: Path) -> None:
    study = config.compose(
        ["search=grid", "search.space={lr: {choices: [0.1,0.2,0.3]}}", "search.rungs=1", "search.seeds=2", "search.metric=validation_accuracy", "model=rnn",
         "dataset=latching", "dataset.sequences=20", "dataset.length=5", "training=batches"]
    )  # fmt: skip
    search, book = Halving(study), Ledger(tmp_path)
    trained = search.next(book)
    assert trained
    said = {0.1: 0.7, 0.2: 0.9, 0.3: 0.99}
    frame = pd.DataFrame({name: pd.Series([None] * 6, dtype=object) for name in COLUMNS if name != "pack"}).assign(
        run_id=[run.run_id for run in trained.runs], condition_id=[run.condition.id for run in trained.runs],
        seed=[run.seed for run in trained.runs], status=["diverged" if run.condition.training["lr"] == 0.3 else "completed" for run in trained.runs],
        validation_accuracy=[said[run.condition.training["lr"]] for run in trained.runs], K=pd.array([None] * 6, dtype="Int64"),
    )  # fmt: skip
    book.write(frame, [(np.zeros(1), np.zeros(1))] * 6, np.zeros((6, 1)))
    fresh = search.next(book)
    assert fresh
    assert fresh.notes == ("winner: rnn lr=0.2 / latching, median validation_accuracy 0.9",)
    assert search.winners[0].values == {"lr": 0.2}


def test_the_median_of_the_log_draws_is_the_middle_of_the_range() -> None:
    (axis,) = axes_of({"lr": {"low": 1e-4, "high": 1.0, "log": True}}, {"lr"})
    rng = np.random.default_rng(0)
    assert np.median([np.log10(axis.draw(rng)) for _ in range(4000)]) == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize(
    "space", [{}, {"lr": {"low": 1, "high": 1}}, {"lr": {"low": 2, "high": 1}}, {"lr": {"low": 0, "high": 1, "log": True}}, {"lr": {"choices": []}},
              {"lr": {"low": 1}}, {"lr": 3}, {"lr": {"low": 1, "high": 2, "step": 3}}, {"rate": [1, 2]}],
)  # fmt: skip
def test_a_space_that_makes_no_sense_is_refused(space: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError, match="search.space"):
        axes_of(space, {"lr", "K"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search.metric=test_rmse"], "a test metric must not choose"),
        (["search.metric=validation_accuracy"], "which arfima does not measure; expected one of validation_loss, train_loss."),
        (["search.aggregate=best"], "'best'"),
        (["search.space.rate={low:0,high:1}"], "'rate'"),
        (["search.space.lr={low:1,high:0}"], "expected {low: A, high: B}"),
        (["search=annealing"], "'annealing'"),
        (["search.trials=0"], "search.trials is 0"),
        (["search=grid", "search.space.lr={low:0.1,high:1}"], "search=grid takes choices"),
        (["seeds=1000000-1000005"], "reach into those of the search"),
        (["grid.lr=[0.1,0.2]"], "move lr to search.space"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path: Path, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    given = arguments if any(a.startswith("search=") for a in arguments) else ["search=random", *arguments]
    done = run("ltm.sweep", "model=rnn", *given, *SMALL, status=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_optuna_is_one_line(run_process, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "optuna.py").write_text("raise ImportError\n")
    done = run_process("ltm.sweep", "search=optuna", "model=rnn", *SMALL, status=2, PYTHONPATH=str(tmp_path))
    assert "pip install 'ltm[search]'" in done.stderr
