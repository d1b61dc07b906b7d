"""``seeds=auto``: rounds follow from the ledger alone, whatever was killed; the budget holds, and one folder has one design."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm.errors import UserError
from sweeps import config
from sweeps.plan import Plan, SeedRun
from sweeps.search.adaptive import Adaptive
from sweeps.search.proposer import proposer_of
from sweeps.store.ledger import Ledger
from sweeps.store.tables import COLUMNS

SMALL = (
    "dataset.length=301",
    "dataset.train=150",
    "dataset.validation=75",
    "tracking=off",
    "grid.model=[rnn,lstm,mrnn]",
    "training.max_epochs=3",
)

BETTER = {"rnn": 0.0, "lstm": 1.5, "mrnn": 0.2}


def written(book: Ledger, runs: list[SeedRun], labels: dict[str, str]) -> None:
    """Seed runs with made-up errors that their model and seed alone decide."""
    errors = [
        1 + BETTER[run.condition.model["name"]] + np.random.default_rng([run.seed, len(run.condition.model["name"])]).normal()
        for run in runs
    ]
    frame = pd.DataFrame({name: pd.Series([None] * len(runs), dtype=object) for name in COLUMNS if name != "pack"}).assign(
        run_id=[run.run_id for run in runs], condition_id=[run.condition.id for run in runs], condition=[labels[run.condition.id] for run in runs],
        model=[run.condition.model["name"] for run in runs], dataset=[run.condition.dataset["name"] for run in runs], seed=[run.seed for run in runs],
        status="completed", test_rmse=errors, draws=[run.condition.draws for run in runs], fingerprint=[run.condition.fingerprint for run in runs],
        config=[json.dumps({"model": run.condition.model, "dataset": run.condition.dataset, "training": run.condition.training}) for run in runs],
    )  # fmt: skip
    book.write(frame, [(np.zeros(1), np.zeros(1))] * len(runs), np.zeros((len(runs), 1)))


def of(folder: Path, *more: str) -> Adaptive:
    found = proposer_of(config.compose([*SMALL, "seeds=auto 60", f"root={folder}", *more]))
    assert isinstance(found, Adaptive)
    return found


def rounds(found: Adaptive, book: Ledger, cut: int | None = None) -> list[Plan]:
    """Train all plans, or so many seed runs and then be killed."""
    plans: list[Plan] = []
    left = 10**9 if cut is None else cut
    while plan := found.next(book):
        plans.append(plan)
        missing = [run for run in plan.runs if run.run_id not in book.done()]
        if some := missing[: max(left, 0)]:
            written(book, some, plan.labels)
        left -= len(missing)
        if left < 0:
            break
    return plans


def trained_but(found: Adaptive, book: Ledger, model: str, seed: int) -> pd.Series:
    """Train all plans but for this seed of a model, which fails; seed runs by model."""
    for _ in range(200):
        if not (plan := found.next(book)):
            return book.runs().groupby("model").size()
        fails = {run.run_id for run in plan.runs if (run.condition.model["name"], run.seed) == (model, seed)}
        if good := [run for run in plan.runs if run.run_id not in book.done() | fails]:
            written(book, good, plan.labels)
    pytest.fail("it asks for ever")


def test_a_study_that_is_killed_trains_the_same_seeds(tmp_path: Path) -> None:
    alone, killed = Ledger(tmp_path / "alone"), Ledger(tmp_path / "killed")
    plans = rounds(of(tmp_path), alone)
    assert plans[0].size == "3 conditions x 10 seeds = 30 seed runs"
    assert plans[0].ahead == 3 * 60 - 30
    for cut in (7, 25, 31):  # in the middle of a pack, of a round, and of a later one
        rounds(of(tmp_path), killed, cut)
    rounds(of(tmp_path), killed)
    assert killed.done() == alone.done()
    assert len(alone.done()) <= 180
    counts = alone.runs().groupby("model").size()
    assert counts["lstm"] < 60, "what loses plainly gets no more"
    again = of(tmp_path)
    assert rounds(again, alone, 0)[0].size == plans[0].size, "the first round again, so that the folder is claimed; nothing is trained"
    assert len(rounds(of(tmp_path), alone)) == 1


def test_scores_that_are_no_numbers_come_last_and_the_budget_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for lost in ({"lstm": np.inf}, {"lstm": np.nan}, {"lstm": np.inf, "rnn": np.inf, "mrnn": np.inf}):
        monkeypatch.setattr("tests.sweeps.search.test_adaptive.BETTER", BETTER | lost)
        book = Ledger(tmp_path / repr(lost))
        assert len(rounds(of(tmp_path), book)) < 20
        counts = book.runs().groupby("model").size()
        assert counts.sum() <= 180
        assert counts["lstm"] < 60 or len(lost) > 1


def test_a_condition_that_fails_ends_its_own_claims_alone(tmp_path: Path) -> None:
    asked = ("grid.model=[rnn,lstm,mrnn]", "grid.K=[1-10]", 'claims=["mrnn vs lstm", "mrnn vs rnn"]')
    counts = trained_but(of(tmp_path, *asked), Ledger(tmp_path / "x"), "lstm", 7)
    assert counts["lstm"] == 9
    assert counts["rnn"] > 20, "claims against the RNN are open, and get seeds"


def test_seeds_that_fail_end_their_conditions_and_nothing_else(tmp_path: Path) -> None:
    counts = trained_but(of(tmp_path), Ledger(tmp_path / "x"), "rnn", 13)
    assert counts["rnn"] == 19
    assert counts["mrnn"] >= 20


def test_claims_and_budgets_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    for more, said in (
        (["seeds=auto 9"], "below one pack"),
        (["seeds=auto x"], "seeds=auto x is not understood"),
        (['claims=["gru < lstm"]'], "gru"),
        (["error_rate=0"], "error_rate"),
        (["search=random"], "choose one of both"),
        (["seeds=10", 'claims=["rnn < lstm"]'], "claims are what seeds=auto decides"),
    ):
        with pytest.raises(UserError, match=said):
            of(tmp_path, *more)
    assert not list(tmp_path.iterdir())


def test_of_a_process_there_is_one_pack_a_path(tmp_path: Path) -> None:
    found = proposer_of(config.compose([*SMALL, "seeds=auto 60", "grid.path=[0-5]", f"root={tmp_path}"]))
    plan = found.next(Ledger(tmp_path / "x"))
    assert plan
    assert plan.size == "18 conditions x 10 seeds = 180 seed runs"
    assert "the budget holds 6 times as many paths" in plan.notes[-1]
    assert found.next(Ledger(tmp_path / "x")) is None
    for more, said in (
        ('claims=["rnn < lstm"]', "about one path each"),
        ("error_rate=0.01", "tested at 0.05"),
        ("grid.dataset=[arfima,nile]", "nile is a series; make two studies"),
    ):
        with pytest.raises(UserError, match=said):
            proposer_of(config.compose([*SMALL, "seeds=auto", "grid.path=[0-5]", more]))
    few = of(tmp_path, "grid.path=[0-4]")
    assert len(few.claims.claims) == 3 * 5, "too few paths for a claim about the process: each is a series of its own"


def test_one_folder_has_one_design(tmp_path: Path) -> None:
    book, found = Ledger(tmp_path / "x"), of(tmp_path)
    plan = found.next(book)
    assert plan
    found.claim(plan, book, "x", "command")
    assert len(book.record()["claims"]["list"]) == 3
    other = of(tmp_path, 'claims=["rnn < lstm"]')
    with pytest.raises(UserError, match="other claims or another error rate"):
        other.claim(plan, book, "x", "command")
    more = of(tmp_path, "seeds=auto 80")
    more.claim(plan, book, "x", "command")
    assert book.record()["claims"]["mean"] == 80, "a budget may grow"
    from sweeps.plan import make
    from sweeps.record import claim

    fixed = config.compose([*SMALL, "seeds=20", f"root={tmp_path}"])
    with pytest.raises(UserError, match="seeds=auto, where results decide"):
        claim(book, make(fixed), fixed.config, "x", "command")
    claim(Ledger(tmp_path / "y"), make(fixed), fixed.config, "y", "command")
    with pytest.raises(UserError, match="a fixed number of seeds"):
        found.claim(plan, Ledger(tmp_path / "y"), "y", "command")


@pytest.mark.long
def test_the_command_trains_until_claims_are_decided_and_reports_them(run, run_and_kill, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = ["ltm.sweep", *SMALL, "training.max_epochs=40", "seeds=auto 40", "study=a", "compute.ray=never"]
    book = Ledger(tmp_path / "results" / "a")
    for kept in (1, 4, 6):
        run_and_kill(command, book, kept)
    done = run(*command)
    assert " claims decided with " in " ".join(done.stdout.split())
    assert "claims: P holds after every pack of ten seeds" in done.stdout
    table = pd.read_csv(tmp_path / "results/a/report/tables/claims.csv")
    assert len(table) == 3
    (tmp_path / "alone").mkdir()
    run(*command, cwd=tmp_path / "alone")
    assert Ledger(tmp_path / "alone" / "results" / "a").done() == book.done()
    seeds = book.runs().groupby("condition")["seed"].agg(["min", "size"])
    assert (seeds["size"] % 10 == 0).all()
    assert seeds["size"].sum() <= 120
    assert "claims" in (tmp_path / "results/a/report/index.html").read_text()
