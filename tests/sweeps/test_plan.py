"""Seed runs, their ids, and how they are cut into packs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltm.errors import UserError
from sweeps import config, plan
from sweeps.execution import worker


def small(*overrides: str) -> plan.Plan:
    return plan.make(config.compose(["dataset.length=301", "dataset.train=150", "dataset.validation=75", *overrides]))


def ids(p: plan.Plan) -> set[str]:
    return {run.run_id for run in p.runs}


IDS = {
    "rnn": ("c3a9308efac242d571be9308", "c12fd30a9ffacc44"),
    "rnn2": ("c5472b09ba9369395bc56d3e", "bbbbd03fc95feab3"),
    "rwa": ("c3a9308efac202cfb290fe2c", "c44c3268e3277241"),
    "mist": ("c332a253421ddbe60b962ef5", "4f5af24955dac31c"),
    "mrnnf": ("c5472b09ba931ead159aacfa", "52b419b1d6caba8a"),
    "mrnn": ("c5472b09ba93bb791dad27a3", "7fa02ecc4f85739a"),
    "lstm": ("c3a9308efac2abe4004910ac", "0c900aba55af5ed9"),
    "mlstmf": ("c5472b09ba930bab2ec118f7", "8635f92abe411328"),
    "mlstm": ("c5472b09ba931322d4afbc8e", "586c4a664477d478"),
}
"""Condition and first seed run of the library's cells: the same in every version and on every machine, or finished work is done again."""


def test_ids_are_those_written_down() -> None:
    first = [small(f"model={name}", "seeds=1").runs[0] for name in IDS]
    assert {run.condition.fingerprint[:12] for run in first} == {"70ca9f566abd"}
    assert {name: (run.condition.id, run.run_id) for name, run in zip(IDS, first, strict=True)} == IDS


def test_two_names_of_one_step_are_one_piece_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "twins.py").write_text("from ltm.cells.rnn import RNN\nclass Other(RNN):\n    pass\n")
    assert ids(small("model=rnn", "seeds=1", "model.cell=twins:Other", "model.name=other")) == ids(small("model=rnn", "seeds=1"))


def test_a_worker_refuses_a_cell_that_computes_something_else() -> None:
    pack = plan.cut(small("model=rnn", "seeds=1").runs, 1)[0]
    content = pack.to_dict()
    for condition in content["conditions"].values():
        condition["step"] = "0" * 12
    with pytest.raises(UserError, match="the cell 'rnn' computes something else here than where the sweep was started"):
        worker.training_of(plan.Pack.from_dict(content))


def test_more_seeds_keep_the_ids_of_the_first() -> None:
    assert ids(small("seeds=4")) < ids(small("seeds=6"))


def test_what_changes_the_numbers_changes_the_id_and_names_do_not() -> None:
    base = ids(small("seeds=1"))
    for change in (
        "model.K=5",
        "model=rnn",
        "training.lr=0.02",
        "training.max_epochs=3",
        "dataset.seed=1",
        "dataset.scaling=train_only",
        "seeds=1-1",
    ):
        assert ids(small("seeds=1", change)).isdisjoint(base), change
    for same in ("compute.cpus=1", "tracking=off", "study=other", "dataset.name=mine", "engine=reference"):
        assert ids(small("seeds=1", same)) == base, same


def test_a_pack_survives_its_way_through_json() -> None:
    import json

    pack = plan.cut(small("seeds=5").runs, 1)[0]
    assert plan.Pack.from_dict(json.loads(json.dumps(pack.to_dict()))).id == pack.id


@given(seeds=st.integers(1, 300), workers=st.integers(1, 8), size=st.none() | st.integers(1, 200))
def test_packs_hold_every_run_once_and_one_shape_each(seeds: int, workers: int, size: int | None) -> None:
    condition = [plan.Condition({"name": n, "cell": n}, {"name": "x"}, {"lr": 0.1}, "f", n, n) for n in ("rnn", "lstm")]
    runs = [plan.SeedRun(c, seed) for c in condition for seed in range(seeds)]
    packs = plan.cut(runs, workers, size)
    assert sorted(run.run_id for pack in packs for run in pack.runs) == sorted(run.run_id for run in runs)
    assert all(len({run.condition.shape for run in pack.runs}) == 1 for pack in packs)
    assert max(len(pack.runs) for pack in packs) <= (size or 128)


def test_learning_rates_share_a_pack_and_keep_to_their_lanes() -> None:
    runs = small("model=rnn", "grid.lr=[0.1,0.01]", "seeds=3").runs
    (pack,) = plan.cut(runs, 1)
    assert [run.condition.lane(run.seed).lr for run in pack.runs] == [0.1, 0.1, 0.1, 0.01, 0.01, 0.01]


def test_effort_puts_packs_in_the_order_of_how_long_they_train() -> None:
    packs = plan.cut(small("grid.model=[rnn,lstm,mlstm]", "seeds=16").runs, 4) + plan.cut(small("model=mlstm", "seeds=4").runs, 1)
    rnn, lstm, mlstm, short = (pack.effort for pack in packs)
    assert rnn < lstm < mlstm
    assert short == mlstm / 4
