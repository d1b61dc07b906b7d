"""What a plan is said to take: effort against what the kernels count."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm.engine import choose, modules
from ltm.sweep import main
from sweeps import config, plan
from sweeps.execution import estimate
from sweeps.store.ledger import Ledger
from sweeps.store.tables import COLUMNS
from tests.ltm.engine.series import DERIVED


@pytest.mark.parametrize(
    "model",
    [
        *sorted(DERIVED), "mlstm model.K=25", "mlstm model.K=1000", "lstm model.hidden_size=4",
        *(f"{model} model.decay={decay}" for model in ("mrnn", "mlstm") for decay in ("exponential", "power", "tempered", "gegenbauer")),
    ],
)  # fmt: skip
def test_effort_is_about_what_the_kernel_counts(model: str) -> None:
    whole = plan.make(config.compose([f"model={model.split()[0]}", *model.split()[1:], "seeds=3", "training.max_epochs=7"]))
    (condition,) = whole.conditions
    engine = choose("cpu", *condition.built(), condition.protocol)
    counted = sum(engine.flops) * 3200 * 3 * 7  # type: ignore[attr-defined]
    (pack,) = plan.cut(whole.runs, 1)
    assert counted / 2 < pack.effort < counted * 2
    assert estimate.quick([pack, pack]) == pytest.approx(2 * pack.effort / estimate.OPERATIONS_A_SECOND)


def test_packs_go_to_the_worker_that_is_free_the_longest_first() -> None:
    assert [estimate.in_turn((1.0, 4.0, 3.0, 2.0), workers) for workers in (1, 2, 4, 9)] == [10.0, 5.0, 4.0, 4.0]
    found = estimate.Estimate({"a": 4.0, "b": 3.0, "c": 9.0}, 0.0, 1.0, "", {"a": ("cpu", 1), "b": ("cpu", 1), "c": ("cuda", 2)})
    assert (found.elapsed("ab"), found.elapsed("abc")) == (7.0, 9.0)


def test_every_shape_is_timed_once_and_packs_by_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "an_epoch", lambda pack, place, threads: timed.append(pack) or (2.0 * len(pack.runs), 0.5))  # type: ignore[func-returns-value]
    timed: list[plan.Pack] = []
    packs = plan.cut(plan.make(config.compose(["grid.model=[rnn,lstm]", "seeds=40"])).runs, 4, 32)
    found = estimate.measure(packs)
    assert [len(pack.runs) for pack in timed] == [32, 32]
    assert found.by_pack == pytest.approx((64.0, 16.0, 64.0, 16.0))
    assert found.compiling == 1.0


def test_a_dry_run_writes_nothing_and_says_what_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [
        "model=rnn,mrnn",
        "seeds=3",
        "training.max_epochs=20",
        "dataset.length=301",
        "dataset.train=150",
        "dataset.validation=75",
        "study=one",
    ]
    assert main([*small, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "rnn / arfima: 3 of 3 seeds to train" in printed
    assert "study one: 2 conditions x 3 seeds = 6 seed runs; 6 to train, in 2 packs" in printed
    assert "none can stop early" in printed
    assert not list(tmp_path.iterdir())
    assert main(["search=random", "--dry-run"]) == 2
    assert "depends on what it finds" in capsys.readouterr().err


def test_the_share_of_epochs_is_the_studys_own_once_it_has_some(tmp_path: Path) -> None:
    whole = plan.make(config.compose(["model=rnn", "seeds=20", "training.max_epochs=200"]))
    ledger = Ledger(tmp_path)
    assert estimate.share_of_epochs(whole, ledger)[0] == estimate.TYPICAL
    rows = pd.DataFrame(
        {"run_id": [run.run_id for run in whole.runs], "condition_id": whole.conditions[0].id, "epochs": 50, "seed": range(20)}
    )
    ledger.write(rows.reindex(columns=COLUMNS), [(np.zeros(1), np.zeros(1))] * 20, np.zeros((20, 1)))
    share, why = estimate.share_of_epochs(whole, ledger)
    assert share == 0.25
    assert why == "as the 20 seed runs that are finished, they stop after 25% of their epochs"


@pytest.mark.long
def test_compiling_what_ends_an_epoch_is_not_taken_for_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_CACHE_DIR", str(tmp_path))
    modules.load.cache_clear()
    few = ["dataset=latching", "dataset.length=10", "dataset.sequences=100", "training=batches", "training.max_epochs=20", "seeds=2"]
    (pack,) = plan.cut(plan.make(config.compose(["model=rnn", *few])).runs, 1)
    seconds, compiling = estimate.an_epoch(pack, estimate.CPU, 1)
    assert compiling > 0.5
    assert seconds < compiling / 2  # a few milliseconds
