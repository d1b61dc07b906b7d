"""A budget: it is said before what all of it costs, the study stays balanced, and the same command goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest

from ltm.errors import UserError
from ltm.sweep import main
from sweeps import budget as budgets
from sweeps import config
from sweeps.budget import Budget
from sweeps.config.schema import parse_budget
from sweeps.execution import estimate
from sweeps.execution.cluster import Slots
from sweeps.plan import Place, make
from sweeps.store.ledger import Ledger
from tests.conftest import Run

SMALL = ["dataset.length=301", "dataset.train=150", "dataset.validation=75", "training.max_epochs=20", "tracking=off", "compute.cpus=1"]


@pytest.mark.parametrize(
    ("given", "amount", "unit"),
    [("2 h", 7200, "seconds"), ("90 s", 90, "seconds"), ("1.5 min", 90, "seconds"), ("1 day", 86400, "seconds"), ("1e6 seed-epochs", 1e6, "seed-epochs"), ("10 USD", 10, "USD")],
)  # fmt: skip
def test_a_budget_is_a_number_and_a_unit(given: str, amount: float, unit: str) -> None:
    assert parse_budget(given) == (amount, unit)


@pytest.mark.parametrize("given", ["2", "h", "2h", "-1 h", "0 s", "nan h", "inf h", "3 weeks", "1 usd"])
def test_anything_else_is_one_line_that_says_what_is_expected(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"budget={given}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "expected a number above 0 and a unit: '2 h'" in said


def test_packs_go_round_the_conditions_so_that_any_end_leaves_them_equal_but_for_a_pack() -> None:
    composed = config.compose(["model=rnn,mrnn,lstm", "seeds=100", "training.lr=0.01,0.003", *SMALL])
    plan = make(composed)
    places = {condition.id: Place("auto", "cpu") for condition in plan.conditions}
    packs = budgets.packs_of(Budget("1 h", 3600.0, "seconds"), plan, plan.runs, places, Slots(2), composed.config)
    assert {len(pack.runs) for pack in packs} == {16, 8}  # two rates share a pack: 200 lanes of a model, twelve packs of 16 and one of 8
    for held in accumulate((Counter(run.condition.id for run in pack.runs) for pack in packs), Counter.__add__):
        counts = [held[condition.id] for condition in plan.conditions]
        assert max(counts) - min(counts) <= 16
    assert sorted(run.run_id for pack in packs for run in pack.runs) == sorted(run.run_id for run in plan.runs)


def test_packs_are_larger_where_a_budget_holds_many() -> None:
    composed = config.compose(["model=rnn,lstm", "seeds=1000", *SMALL])
    plan = make(composed)
    places = {condition.id: Place("auto", "cpu") for condition in plan.conditions}

    def of(amount: float) -> tuple[str, set[int]]:
        budget = Budget(f"{amount:g} s", amount, "seconds")
        packs = budgets.packs_of(budget, plan, plan.runs, places, Slots(1), composed.config)
        found = estimate.Estimate({pack.id: 2.0 for pack in packs}, 0.0, 0.5, "why", {pack.id: ("cpu", 1) for pack in packs})
        said = budgets.announced(budget, plan, plan.runs, found, packs)
        return said, {len(pack.runs) for pack in budgets.packs_of(budget, plan, plan.runs, places, Slots(1), composed.config)}

    assert of(1.5) == ("budget 1.5 s: all of it takes about 2:06 (why); a pack of every condition takes about 2 s, so some conditions will have no seed", {16, 8})  # fmt: skip
    assert of(63) == ("budget 63 s: all of it takes about 2:06 (why), so about 500 of 1000 seeds of every condition are trained", {48, 40})
    assert of(1e4) == ("budget 10000 s: all of it takes about 2:06 (why)", {128, 104})
    with pytest.raises(
        UserError, match=r"budget is '0.5 s', and the smallest pack \(16 seed runs of .*\) takes about 1 s; expected a larger"
    ):
        of(0.5)


def test_of_a_round_of_seeds_auto_a_budget_says_what_is_left_of_the_round() -> None:
    plan = make(config.compose(["model=rnn,lstm", "seeds=20", *SMALL]))
    first, second = (one.id for one in plan.conditions)
    plan = replace(plan, seeds_of={first: tuple(range(10)), second: tuple(range(10, 20))}, ahead=50)
    said = budgets.spent(Budget("1 min", 60.0, "seconds"), plan, plan.runs[5:], "command")
    assert "5 of 20 seed runs of this round are finished; 15 are left" in said


def test_time_counts_from_the_first_pack_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    budget = Budget("1 min", 60.0, "seconds")
    now[0] = 1000.0
    assert (budget.used, budget.over) == (0.0, False)
    budget.begin()
    now[0] = 1059.0
    budget.begin()
    assert (budget.used, budget.over) == (59.0, False)
    now[0] = 1060.0
    assert budget.over


def test_dollars_are_hours_of_all_slots_at_their_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = config.compose(["compute.usd_per_core_hour=0.05", "compute.cpus_per_pack=2", "compute.gpus_per_pack=0.5"]).config.compute
    budget = Budget("1 USD", 1.0, "USD")
    budget.price(compute, Slots(4), [Place("auto", "cpu")])
    assert budget.cost(7200.0, 0.0) == pytest.approx(2 * 4 * 2 * 0.05)
    with pytest.raises(UserError, match=r"needs compute.usd_per_gpu_hour too"):
        budget.price(compute, Slots(4, 2), [Place("torch", "cuda")])
    compute.usd_per_gpu_hour = 1.0
    budget.price(compute, Slots(4, 2), [Place("torch", "cuda")])
    assert budget.cost(3600.0, 0.0) == pytest.approx(4 * 2 * 0.05 + 2 * 0.5 * 1.0)


def test_a_budget_ends_a_sweep_and_the_same_command_goes_on(tmp_path: Path, run: Run) -> None:
    command = ["ltm.sweep", "model=rnn,lstm", "seeds=40", "study=one", "budget=640 seed-epochs", *SMALL]
    first = run(*command).stdout
    assert "budget 640 seed-epochs: all of it takes about 1,600 seed-epochs (none can stop early), so about 16 of 40 seeds" in first
    assert (
        "the budget of 640 seed-epochs is used (640 seed-epochs): 32 of 80 seed runs are finished, 16 of 40 seeds of every condition; 48 are left."
        in first
    )
    assert "goes on with a fresh budget:\n  python -m ltm.sweep model=rnn,lstm seeds=40 study=one 'budget=640 seed-epochs' " in first
    assert first.rstrip().endswith("report/index.html")
    ledger = Ledger(tmp_path / "results/one")
    assert ledger.runs()["condition"].value_counts().tolist() == [16, 16]
    assert "32 finished before, 48 to train" in (second := run(*command).stdout)
    assert "64 of 80 seed runs are finished, 32 of 40 seeds of every condition" in second
    third = run(*command).stdout
    assert "is used" not in third
    assert ledger.runs()["condition"].value_counts().tolist() == [40, 40]
    assert "core-hours" in (tmp_path / "results/one/report/index.html").read_text()


def test_a_budget_below_a_pack_is_refused_and_writes_nothing(tmp_path: Path, run: Run) -> None:
    done = run("ltm.sweep", "model=rnn", "seeds=40", "budget=100 seed-epochs", *SMALL, status=2)
    assert done.stderr == "error: budget is '100 seed-epochs', and the smallest pack (8 seed runs of rnn / arfima) takes about 160 seed-epochs; expected a larger one.\n"  # fmt: skip
    assert not list(tmp_path.iterdir())
    assert "needs compute.usd_per_core_hour" in run("ltm.sweep", "budget=1 USD", status=2).stderr


def test_a_search_ends_with_its_budget_and_goes_on(tmp_path: Path, run: Run) -> None:
    command = ["ltm.sweep", "model=rnn", "seeds=4", "search=random", "search.trials=4", "search.seeds=20", "search.space={lr: [0.1, 0.01, 0.001]}", "study=found", *SMALL]  # fmt: skip
    assert "is used" in run(*command, "budget=300 seed-epochs").stdout
    assert "winner: " in run(*command).stdout
