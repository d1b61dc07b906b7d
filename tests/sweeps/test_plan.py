"""Seed runs, their ids, and how they are cut into packs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltm.errors import UserError
from ltm.training.state import Lane, Protocol
from ltm.training.stopping import Until
from sweeps import config, plan
from sweeps.condition import Condition
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
        "dataset.path=1",
        "dataset.scaling=train_only",
        "seeds=1-1",
    ):
        assert ids(small("seeds=1", change)).isdisjoint(base), change
    for same in (
        "compute.cpus=1",
        "tracking=off",
        "study=other",
        "dataset.name=mine",
        "dataset.path=0",
        "engine=torch",
        "model.layers=1",
        "training.optimizer=adam",
    ):
        assert ids(small("seeds=1", same)) == base, same


def test_a_pack_survives_its_way_through_json() -> None:
    import json

    pack = plan.cut(small("seeds=5").runs, 1)[0]
    assert plan.Pack.from_dict(json.loads(json.dumps(pack.to_dict()))).id == pack.id


@given(seeds=st.integers(1, 300), workers=st.integers(1, 8), size=st.none() | st.integers(1, 200))
def test_packs_hold_every_run_once_and_one_shape_each(seeds: int, workers: int, size: int | None) -> None:
    condition = [Condition({"name": n, "cell": n}, {"name": "x"}, {"lr": 0.1}, "f", n, n) for n in ("rnn", "lstm")]
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


def test_keys_that_came_later_change_no_id_at_their_default_and_do_elsewhere() -> None:
    base = small("model=lstm", "seeds=1")
    said = small(
        "model=lstm", "seeds=1", "training.optimizer=adam", "training.batch=null", "training.momentum=0", "training.beta1=0.9", "model.layers=1",
        "model.readout=null", "model.layer_norm=false", "model.init=default", "model.forget_bias=null",
    )  # fmt: skip
    assert said.conditions[0].id == base.conditions[0].id == IDS["lstm"][0]
    assert said.conditions[0].shape == base.conditions[0].shape
    for change in (
        "training.optimizer=sgd", "training.batch=1", "training.order=fixed", "training.schedule=cosine", "training.loss=absolute",
        "training.clip_value=1", "training.momentum=0.9", "training.dropout=0.5", "training.beta1=0.8", "training.eps=1e-6", "model.layers=2", "training.watch=validation", "training.budget=9",
        "model.cells=[rnn,lstm]", "model.dropout=variational", "model.layer_norm=true", "model.input_map=3",
        "model.init=glorot", "model.forget_bias=1", "model.gate_biases={i: -1}",
    ):  # fmt: skip
        (other,) = small("model=lstm", "seeds=1", change).conditions
        assert other.id != base.conditions[0].id, change


def test_seeds_start_elsewhere_on_another_draw_of_simulated_data() -> None:
    found = [
        small("model=mrnn", "seeds=3", *more).conditions[0] for more in ([], ["dataset.path=1"], ["dataset.path=2"], ["dataset.seed=1"])
    ]
    starts = [tuple(one.lane(seed).seed for seed in range(3)) for one in found]
    assert starts[0] == (0, 1, 2), "as the paper's code has them"
    assert len({seed for some in starts for seed in some}) == 12
    assert starts[1:] == [
        tuple(int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0]) for seed in range(3))
        for key in ((0, 1), (0, 2), (1, 0))
    ]
    assert len({one.draws for one in found}) == len({one.step for one in found}) == 4
    (shorter,) = small("model=mrnn", "model.K=3", "seeds=3", "dataset.path=1").conditions
    assert shorter.draws == found[1].draws, "on one path the starts of both K are the same"
    assert [shorter.lane(seed).seed for seed in range(3)] == list(starts[1])
    origins = [small("model=mrnn", "seeds=1", f"dataset.train={train}").conditions[0].draws for train in (200, 210)]
    assert origins[0] == origins[1] == found[0].draws, "another cut of the same data is no other draw"


def test_results_keep_the_number_of_the_seed() -> None:
    pack = plan.cut(small("model=rnn", "seeds=2-4", "training.max_epochs=2", "dataset.path=1").runs, 1)[0]
    training = worker.training_of(pack)
    training.advance(2)
    rows = worker.rows_of(pack, training, {pack.runs[0].condition.id: "rnn / arfima path=1"})
    assert rows["seed"].tolist() == [2, 3, 4]
    assert rows["test_rmse"].nunique() == 3


def test_training_keys_reach_protocol_and_lanes_by_their_names() -> None:
    (condition,) = small(
        "model=rnn", "seeds=1", "training.optimizer=sgd", "training.momentum=0.9", "training.clip_value=0.5", "training.eps=1e-6",
    ).conditions  # fmt: skip
    assert condition.protocol == Protocol(1000, 100, 1e-5, "sgd", eps=1e-6)
    assert condition.lane(3) == Lane(3, lr=0.01, clip_value=0.5, momentum=0.9)
    (batched,) = small("model=rnn", "seeds=1", "training=batches", "training.loss=absolute").conditions
    assert (batched.protocol.batch, batched.protocol.loss) == (16, "absolute")


def test_a_goal_reaches_the_protocol_and_is_hashed_as_what_it_means() -> None:
    of = ["dataset=latching", "dataset.sequences=20", "model=rnn", "seeds=1", "training=batches"]
    one, same, none = (
        plan.make(config.compose([*of, *more])).conditions[0]
        for more in (["training.until={metric: accuracy, at_least: 1}"], ["training.until={at_least: 1.0, metric: accuracy}"], [])
    )
    assert one.protocol.until == Until("accuracy", at_least=1.0)
    assert one.id == same.id != none.id
    assert (none.protocol.until, none.protocol.watch) == (None, "validation")
    with pytest.raises(UserError, match="a stopping rule that no metric feeds"):
        plan.make(config.compose([*of, "training.until={metric: rmse, at_most: 1}"]))


def test_settings_of_lanes_share_a_pack_and_those_of_the_protocol_do_not() -> None:
    assert len(plan.cut(small("model=rnn", "grid.momentum=[0,0.9]", "training.optimizer=sgd", "seeds=2").runs, 1)) == 1
    assert len(plan.cut(small("model=rnn", "grid.optimizer=[adam,sgd]", "seeds=2").runs, 1)) == 2


def test_a_list_of_cells_is_one_value_of_a_grid_and_reads_well_in_labels() -> None:
    found = small("model=lstm", "grid.cells=[null,[rnn,lstm]]", "seeds=1")
    assert list(found.labels.values()) == ["lstm cells=null / arfima", "lstm cells=rnn+lstm / arfima"]
    assert list(small("model=lstm", "model.cells=[rnn,lstm],[lstm,lstm]", "seeds=1").labels.values()) == [
        "lstm cells=rnn+lstm / arfima", "lstm cells=lstm+lstm / arfima",
    ]  # fmt: skip


def test_a_decay_other_than_the_fractional_one_is_in_the_label() -> None:
    assert list(small("model=mrnn,rnn", "model.decay=power", "seeds=1").labels.values()) == [
        "mrnn K=100 decay=power / arfima",
        "rnn / arfima",
    ]
    assert list(small("model=mrnn", "model.decay=power,fractional", "seeds=1").labels.values()) == [
        "mrnn K=100 decay=power / arfima", "mrnn K=100 decay=fractional / arfima",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("whole", "float_"),
    [
        ("model.forget_bias=1", "model.forget_bias=1.0"), ("grid.forget_bias=[1]", "grid.forget_bias=[1.0]"),
        ("+model.gate_biases={i:-1,f:[2]}", "+model.gate_biases={i:-1.0,f:[2.0]}"), ("grid.lr=[1]", "grid.lr=[1.0]"),
    ],
)  # fmt: skip
def test_a_whole_number_is_the_float_that_is_expected(whole: str, float_: str) -> None:
    one, other = (ids(small("model=lstm", "seeds=1", change)) for change in (whole, float_))
    assert one == other != ids(small("model=lstm", "seeds=1"))


def test_keys_of_cells_need_not_be_those_of_the_model() -> None:
    (one,) = small("model=lstm", "model.cells=[mrnnf,lstm]", "model.K=3", "seeds=1").conditions
    assert (one.model["K"], one.built()[0].parts[0].cell.K) == (3, 3)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="unknown key of model: 'K'"):
        small("model=lstm", "model.cells=[rnn,lstm]", "model.K=3")
    with pytest.raises(UserError, match=r"above the input map \(model key 'input_map', which is 0 for none\)"):
        small("model=mrnn", "model.input_map=4")


def test_a_batch_larger_than_the_data_is_said_once() -> None:
    (note,) = small("model=rnn", "seeds=1", "training.batch=8,16").notes
    assert note == "training.batch is 8, and arfima has 1 training sequence: each update reads all of it"
    assert small("model=rnn", "seeds=1", "training.batch=1").notes == ()


def test_effort_of_batches_goes_by_sequences_and_their_lengths() -> None:
    of = ["dataset=latching", "dataset.sequences=1000", "model=lstm", "training=batches", "seeds=1"]
    short, long, many = (
        plan.cut(plan.make(config.compose([*of, change])).runs, 1)[0].effort
        for change in ("dataset.length=20", "dataset.length=40", "training.max_epochs=40")
    )
    assert long == pytest.approx(2 * short)
    assert many == pytest.approx(2 * 5 * short)


def test_networks_of_a_grid_have_the_keys_of_their_own_cells_alone() -> None:
    grid = ("grid.cells=[[mrnnf,lstm],[lstm,lstm]]", "grid.K=[3,5]")
    whole = plan.make(config.compose(["model=mrnnf", "dataset=latching", "dataset.sequences=20", "dataset.length=8", *grid]))
    assert [(one.model.get("K"), one.model["cells"]) for one in whole.conditions] == [
        (3, ["mrnnf", "lstm"]),
        (5, ["mrnnf", "lstm"]),
        (None, ["lstm", "lstm"]),
    ]
    assert list(whole.labels.values())[1:] == ["mrnnf K=5 cells=mrnnf+lstm / latching", "mrnnf cells=lstm+lstm / latching"]
