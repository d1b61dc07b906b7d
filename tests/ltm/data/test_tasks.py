"""Tasks: what each asks for, numbers that a key alone decides, and when they are drawn anew."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltm import data
from ltm.data import Sequences, Task
from ltm.data.base import Dataset, fingerprint, generator
from ltm.errors import UserError

SMALL: dict[str, dict[str, Any]] = {
    "latching": {"length": 7, "sequences": 40},
    "adding": {"length": 20, "sequences": 40},
    "parity": {"length": 9, "shortest": 2, "sequences": 40},
    "bit_relay": {"length": 7, "sequences": 40},
    "two_sequence": {"length": 20, "sequences": 40, "variant": "c"},
    "multiplication": {"length": 20, "sequences": 40},
    "temporal_order": {"length": 20, "sequences": 40},
    "long_lag": {"length": 9, "sequences": 40, "variant": "c"},
    "copying": {"length": 9, "sequences": 40, "items": 3},
    "reber": {"length": 30, "sequences": 40},
    "moving_shapes": {"length": 5, "sequences": 40},
    "expressions": {"length": 9, "sequences": 40},
}

SYMBOLIC = ("temporal_order", "long_lag", "copying", "reber", "expressions")

FINGERPRINTS = {
    "latching": "6dcf12a7c8d3f2c4",
    "adding": "0fe008515a519371",
    "parity": "a770e5383a814811",
    "bit_relay": "4bc18ad3e1a96af7",
    "two_sequence": "2c09a59869cb32af",
    "multiplication": "46007f4d5832a832",
    "temporal_order": "95b55a2f1da738f7",
    "long_lag": "be23ca9db72cfcce",
    "copying": "ae4d9b6dc1f5f2a6",
    "reber": "f2fcfb0dd44a2eb8",
    "moving_shapes": "029b164ed66bc87c",
    "expressions": "13bf775911d86cc7",
}
"""Of these tasks: the same in every version and on every machine, or finished work is done again."""


def task(kind: str, **keys: Any) -> Task:
    return data.build({"kind": kind, "name": kind, **SMALL.get(kind, {}), **keys})


def same(a: Sequences, b: Sequences) -> bool:
    return a.arrays.keys() == b.arrays.keys() and all(np.array_equal(array, b.arrays[name]) for name, array in a.arrays.items())


@pytest.mark.parametrize("kind", SMALL)
def test_the_numbers_of_a_key_are_those_written_down(kind: str) -> None:
    assert task(kind).fingerprint[:16] == FINGERPRINTS[kind]
    assert task(kind, name="other").fingerprint == task(kind).fingerprint
    assert task(kind, seed=1).fingerprint != task(kind).fingerprint
    assert len({task(kind, draws=draws).fingerprint for draws in ("dataset", "seed", "stream")}) == 3


def test_a_generator_is_known_by_its_whole_key() -> None:
    keys = [(), (0,), (0, 0), (1,), (1, 0), (0, 1), (2**32,), (2**32 + 1,), (1, 1), (2**63 - 1, 0, 0, 0)]
    first = [generator(*key).integers(0, 2**63) for key in keys]
    assert len(set(first)) == len(keys)
    assert first == [generator(*key).integers(0, 2**63) for key in keys]


@pytest.mark.parametrize("kind", SMALL)
def test_parts_are_drawn_once_for_every_seed_or_in_every_epoch(kind: str) -> None:
    held = {draws: task(kind, draws=draws) for draws in ("dataset", "seed", "stream")}
    for draws, one in held.items():
        assert all(same(a, b) for a, b in zip(one.parts(3, 2), one.parts(3, 2), strict=True))
        other_seed = [same(a, b) for a, b in zip(one.parts(3, 2), one.parts(4, 2), strict=True)]
        other_epoch = [same(a, b) for a, b in zip(one.parts(3, 2), one.parts(3, 5), strict=True)]
        assert other_seed == [draws == "dataset"] * 3
        assert other_epoch == [draws != "stream", True, True]
        train, validation, test = one.parts(3, 2)
        assert not same(train.take(slice(8)), validation)
        assert not same(validation, test)
    assert all(
        same(a, b) for a, b in zip(held["seed"].parts(0), (held["seed"].train, held["seed"].validation, held["seed"].test), strict=True)
    )


@pytest.mark.parametrize("kind", SMALL)
def test_a_task_is_pickled_with_what_draws_it(kind: str) -> None:
    one = task(kind, draws="stream")
    again = pickle.loads(pickle.dumps(one))
    assert (again.fingerprint, again.source) == (one.fingerprint, one.source)
    assert same(again.parts(5, 1)[0], one.parts(5, 1)[0])


@given(
    kind=st.sampled_from(sorted(SMALL)), sequences=st.integers(6, 60), length=st.integers(6, 30), validation=st.floats(0.1, 0.8),
    test=st.floats(0.2, 2), seed=st.integers(0, 2**63 - 1), run=st.integers(0, 2**63 - 1), every=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_generated_task_is_well_formed(
    kind: str, sequences: int, length: int, validation: float, test: float, seed: int, run: int, every: bool
) -> None:
    keys: dict[str, Any] = {"every": every} if kind == "parity" else {"symbols": every} if kind in SYMBOLIC else {}
    length = max(length, 10) if kind in SYMBOLIC else length
    one = task(kind, sequences=sequences, length=length, validation_share=validation, test_share=test, seed=seed, draws="seed", **keys)
    parts = one.parts(run)
    assert len(parts[0]) + len(parts[1]) == sequences
    assert len(parts[1]) == round(validation * sequences)
    assert len(parts[2]) == round(test * sequences)
    for part in parts:
        shape = part.weight.shape
        assert part.inputs.shape == (shape if one.symbols else (*shape, one.input_size))
        assert part.targets.shape == (shape if one.classes else (*shape, one.output_size))
        padding = np.arange(part.steps) >= part.lengths[:, None]
        assert part.lengths.min() >= 1
        assert (part.weight >= 0).all()
        assert not part.weight[padding].any()
        assert not part.inputs[padding].any()
        assert not one.labelled or (np.count_nonzero(part.weight, 1) == 1).all()
        assert not one.classes or set(np.unique(part.targets)) <= set(range(one.classes))
        assert not one.symbols or set(np.unique(part.inputs)) <= set(range(one.symbols))


def test_latching_asks_at_the_end_for_the_sign_of_the_first_value() -> None:
    one = task("latching", length=30, sequences=4000)
    for part in (one.train, one.validation, one.test):
        first = part.inputs[:, 0, 0]
        np.testing.assert_array_equal(first > 0, part.targets[:, -1] == 1)
        assert np.abs(first).mean() == pytest.approx(1, abs=0.02)
        assert part.inputs[:, 1:].std() == pytest.approx(0.1, abs=0.005)
        assert part.targets[:, -1].mean() == pytest.approx(0.5, abs=0.06)  # no part is of one class alone
        np.testing.assert_array_equal(part.weight, np.arange(30) == np.full((len(part), 1), 29))
    assert (len(one.train), len(one.validation), len(one.test)) == (3200, 800, 800)
    assert (one.classes, one.labels, one.loss, one.labelled) == (2, ("-1", "+1"), "cross_entropy", True)


def test_adding_asks_for_the_sum_of_the_marked_values() -> None:
    one = task("adding", length=40, sequences=3000)
    part = one.train
    value, marker = part.inputs[..., 0], part.inputs[..., 1]
    marked = marker == 1
    assert (marked.sum(1) == 2).all()
    assert not marked[:, 20:].any()
    assert (marked[:, :10].sum(1) >= 1).all()
    at_end = np.arange(part.steps) == part.lengths[:, None] - 1
    np.testing.assert_allclose(part.targets[at_end][:, 0], 0.5 + np.where(marked, value, 0).sum(1) / 4)
    assert set(part.lengths) == set(range(40, 45))
    assert (marker[at_end] == -1).all()
    assert ((marker[:, 0] == -1) | (value[:, 0] == 0)).all()
    assert not value[marked[:, 0], 0].any()
    assert (one.metrics, one.loss, one.output_size, one.input_size) == (("rmse", "mae", "mape", "worst"), "squared", 1, 2)


def test_parity_asks_for_the_parity_of_the_bits_so_far_or_of_all() -> None:
    every, last = task("parity", sequences=500), task("parity", sequences=500, every=False)
    np.testing.assert_array_equal(every.train.inputs, last.train.inputs)
    for row, bits in enumerate(every.train.inputs):
        n = every.train.lengths[row]
        assert [sum(bits[: t + 1]) % 2 for t in range(n)] == every.train.targets[row, :n].tolist()
        assert last.train.targets[row, n - 1] == sum(bits) % 2
        assert last.train.lengths[row] == n
    assert set(every.train.lengths) == set(range(2, 10))
    assert (every.labelled, last.labelled, every.symbols) == (False, True, 2)


def test_a_series_is_the_task_of_one_sequence() -> None:
    keys = {"length": 301, "train": 150, "validation": 75}
    one = task("arfima", **keys)
    assert one.series is not None
    assert one.fingerprint == one.series.fingerprint == "70ca9f566abd" + one.fingerprint[12:]
    assert (one.name, one.steps, one.split, one.metrics, one.loss) == ("arfima", 300, (150, 75), ("rmse", "mae", "mape"), "squared")
    np.testing.assert_array_equal(one.train.weight + one.validation.weight + one.test.weight, np.ones((1, 300)))
    assert task("random_rnn", **keys).fingerprint[:12] == "2c4e4029fc26"


def test_the_fingerprint_is_of_every_number_and_its_place() -> None:
    one = task("adding")
    parts = one.train, one.validation, one.test
    known = {fingerprint(parts), fingerprint(parts, 1), fingerprint((parts[1], parts[0], parts[2]))}
    known.add(fingerprint((replace(parts[0], children=np.full((*parts[0].weight.shape, 2), -1)), *parts[1:])))
    for name in ("inputs", "targets", "weight"):
        changed = getattr(parts[0], name).copy()
        changed.flat[3] += 1
        arrays = {key: getattr(parts[0], key) for key in ("inputs", "targets", "weight")} | {name: changed}
        known.add(fingerprint((Sequences(**arrays), parts[1], parts[2])))
    assert len(known) == 7


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("latching", {"sequences": 2}, "dataset.sequences is 2; expected a whole number of at least 3"),
        ("latching", {"sequences": 1e4}, "dataset.sequences is 10000.0; expected a whole number"),
        ("latching", {"draws": "epoch"}, "unknown choice of dataset.draws 'epoch'. There are: dataset, seed, stream"),
        ("latching", {"draws": None}, "dataset.draws is null"),
        ("latching", {"noise": -1}, "dataset.noise is -1; expected a number of at least 0"),
        ("latching", {"validation_share": 1.0}, "validation_share is 1; expected less than 1"),
        ("latching", {"validation_share": 0}, "dataset.validation_share is 0; expected a number above 0"),
        ("latching", {"test_share": 0.001}, "leave 32 for training, 8 for validation and 0 for the test"),
        ("latching", {"length": 10**6, "sequences": 10**6}, "are more than 200,000,000 steps; lower sequences or length"),
        ("latching", {"lenght": 3}, "unknown key of dataset 'latching': 'lenght'. Did you mean 'length'"),
        ("adding", {"length": 5}, "dataset.length is 5; expected a whole number of at least 6"),
        ("expressions", {"modulus": 1}, "dataset.modulus is 1; expected a whole number of at least 2"),
        ("expressions", {"length": 2}, "dataset.length is 2; expected a whole number of at least 3"),
        ("parity", {"shortest": 10}, "shortest is 10 and length 9; expected shortest to be at most length"),
        ("parity", {"every": 1}, "dataset.every is 1; expected true or false"),
        ("latch", {}, "unknown dataset kind 'latch'. Did you mean 'latching'"),
    ],
)
def test_a_generated_task_with_a_bad_key_is_refused(kind: str, keys: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        task(kind, **keys)


def test_every_kind_is_a_dataset_with_its_own_name() -> None:
    assert all(issubclass(kind, Dataset) and name == kind.kind for name, kind in data.KINDS.items())


OWN = """
from dataclasses import dataclass, field
import numpy as np
from ltm.data import Dataset, Sequences
from ltm.data.base import fingerprint, of_sequences

@dataclass(frozen=True, kw_only=True)
class Echo(Dataset):
    delay: int = 1
    columns: tuple = field(default_factory=tuple)

    def task(self):
        x = np.random.default_rng(0).normal(size=(9, 5, 1))
        y = np.pad(x, ((0, 0), (self.delay, 0), (0, 0)))[:, :5]
        parts = tuple(Sequences(x[i : i + 3], y[i : i + 3], np.ones((3, 5))) for i in (0, 3, 6))
        return of_sequences(self.name, parts, fingerprint(parts)) if self.delay < 5 else 1 / 0

class Other:
    pass
"""


def test_a_dataset_of_your_own_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "echoes.py").write_text(OWN)
    one = data.build({"kind": "echoes:Echo", "name": "echo", "delay": 2, "columns": [[1], [2]]})
    np.testing.assert_array_equal(one.test.targets[:, 2:], one.test.inputs[:, :3])
    assert (one.name, one.output_size, one.labelled, one.metrics) == ("echo", 1, False, ("rmse", "mae", "mape", "worst"))
    for keys, message in (
        ({"kind": "echoes:Ech"}, "dataset kind 'echoes:Ech' cannot be imported .AttributeError"),
        (
            {"kind": "echo:Echo"},
            "cannot be imported .ModuleNotFoundError.*expected package.module:Class, a class that inherits from ltm.data.base.Dataset",
        ),
        ({"kind": "echoes:Other"}, "is none but the class Other; expected"),
        ({"kind": "echoes:np"}, "is none but a module; expected"),
        ({"kind": "echoes:Echo", "delay": 0}, "dataset.delay is 0; expected a whole number of at least 1"),
        ({"kind": "echoes:Echo", "delay": 7}, "dataset 'echo' of kind Echo cannot be made .ZeroDivisionError"),
        ({"kind": "echoes:Echo", "dely": 7}, "unknown key of dataset 'echo': 'dely'. Did you mean 'delay'"),
    ):
        with pytest.raises(UserError, match=message) as error:
            data.build({"name": "echo", **keys})
        assert str(error.value).isprintable()
