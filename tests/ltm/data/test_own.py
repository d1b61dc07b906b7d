"""Own sequences: the same task from a CSV, a Parquet file and an .npz, laws of splits and scaling, and every bad input in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltm import data
from ltm.data import Sequences, Task, own
from ltm.errors import UserError

COLUMNS = ["a", "b", "c"]


def table(n: int = 30, seed: int = 0, longest: int = 6) -> pd.DataFrame:
    """Sequences of unequal length with three inputs, a label each, targets at every step, and a part."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "sequence": f"s{i}", "step": t, **dict(zip(COLUMNS, rng.normal(size=3), strict=True)), "label": "xyz"[i % 3], "number": i % 3,
            "y": rng.normal(), "z": rng.normal(), "state": int(rng.integers(2)), "word": int(rng.integers(4)),
            "part": ("train", "validation", "test")[0 if i < 18 else 1 if i < 24 else 2],
        }
        for i in range(n)
        for t in range(rng.integers(2, longest + 1))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def sequences(path: Path, frame: pd.DataFrame | str, **keys: Any) -> Task:
    """The task of a table, saved under this name."""
    if isinstance(frame, str):
        path.write_text(frame)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    data.forget()
    return data.build({"kind": "sequences", "name": "own", "file": str(path), "inputs": COLUMNS, "target": "label", **keys})


def arrays(path: Path, held: dict[str, Any], **keys: Any) -> Task:
    np.savez(path, **held)
    data.forget()
    return data.build({"kind": "arrays", "name": "own", "file": str(path), **keys})


def parts(task: Task) -> tuple[Sequences, Sequences, Sequences]:
    return task.train, task.validation, task.test


def as_arrays(frame: pd.DataFrame, columns: list[str], fill: float = np.nan) -> tuple[np.ndarray, np.ndarray]:
    """Columns padded to ``(B, T, columns)``, sequences in sorted order, and lengths."""
    groups = [group.sort_values("step")[columns].to_numpy() for _, group in frame.groupby("sequence")]
    lengths = np.array([len(group) for group in groups])
    return np.stack([np.pad(g.astype(float), ((0, lengths.max() - len(g)), (0, 0)), constant_values=fill) for g in groups]), lengths


@pytest.mark.parametrize(
    "keys", [{"split": "part"}, {}, {"scaling": "none"}, {"target": ["y", "z"], "every": True}, {"target": "state", "every": True}]
)
def test_every_file_of_the_same_numbers_is_the_same_task(tmp_path: Path, keys: dict) -> None:
    frame = table()
    one = sequences(tmp_path / "own.csv", frame, **keys)
    mixed = sequences(tmp_path / "mixed.parquet", frame.sample(frac=1, random_state=0), **keys)
    inputs, lengths = as_arrays(frame, COLUMNS)
    held: dict[str, Any] = {"inputs": inputs, "lengths": lengths}
    first = frame.groupby("sequence").first()
    if keys.get("target") == ["y", "z"]:
        held["targets"] = as_arrays(frame, ["y", "z"])[0]
    elif "target" in keys:
        held["labels"] = as_arrays(frame, ["state"], 7)[0][..., 0].astype(int)
    else:
        held["labels"] = first["label"].to_numpy(str)
    if "split" in keys:
        held["split"] = first["part"].to_numpy(str)
    again = arrays(tmp_path / "own.npz", held, **({"scaling": "none"} if "scaling" in keys else {}))
    assert one.fingerprint == mixed.fingerprint
    for mine, theirs, last in zip(parts(one), parts(mixed), parts(again), strict=True):
        for name in ("inputs", "targets", "weight"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
            if name != "targets" or "target" in keys:
                np.testing.assert_array_equal(getattr(mine, name), getattr(last, name))
        np.testing.assert_array_equal(mine.targets[mine.weight > 0], last.targets[last.weight > 0])
    assert (one.classes, one.labels, one.labelled, one.loss) == (again.classes, again.labels, again.labelled, again.loss)


def test_a_label_is_asked_for_at_the_last_step_of_each_sequence(tmp_path: Path) -> None:
    frame = table()
    one = sequences(tmp_path / "own.csv", frame, split="part", scaling="none")
    assert (one.classes, one.labels, one.labelled, one.output_size, one.input_size) == (3, ("x", "y", "z"), True, 3, 3)
    assert [len(part) for part in parts(one)] == [18, 6, 6]
    names = sorted(frame["sequence"].unique())
    train = [name for name in names if int(name[1:]) < 18]
    for i, name in enumerate(train):
        group = frame[frame["sequence"] == name]
        n = one.train.lengths[i]
        assert n == len(group)
        np.testing.assert_array_equal(one.train.inputs[i, :n], group[COLUMNS])
        assert one.labels[one.train.targets[i, n - 1]] == group["label"].iloc[0]
        assert one.train.weight[i].tolist() == [float(t == n - 1) for t in range(one.train.steps)]
        assert not one.train.inputs[i, n:].any()


def test_numbers_become_classes_in_their_order(tmp_path: Path) -> None:
    frame = table().assign(number=lambda f: f["number"].map({0: 10.0, 1: 9.0, 2: -1.5}))
    one = sequences(tmp_path / "own.csv", frame, target="number")
    assert one.labels == ("-1.5", "9", "10")


def test_symbols_are_looked_up_and_not_scaled(tmp_path: Path) -> None:
    one = sequences(tmp_path / "own.csv", table(), inputs=["word"], symbols=True, split="part")
    assert (one.symbols, one.input_size, one.train.inputs.ndim, one.train.inputs.dtype.kind) == (4, 1, 2, "i")
    inputs, lengths = as_arrays(table(), ["word"], 0)
    again = arrays(
        tmp_path / "own.npz",
        {"inputs": inputs[..., 0].astype(int), "lengths": lengths, "labels": table().groupby("sequence").first()["label"].to_numpy(str)},
        symbols=True,
    )
    assert again.symbols == 4
    assert sequences(tmp_path / "own.csv", table(), inputs=["word"], symbols=True).fingerprint != one.fingerprint


def test_labelled_numbers_and_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 5, 2))
    one = arrays(tmp_path / "a.npz", {"inputs": x, "targets": x[:, 0], "weight": np.arange(1.0, 21), "lengths": np.repeat([5, 3], 10)})
    assert (one.labelled, one.output_size, one.loss, one.metrics) == (True, 2, "squared", ("rmse", "mae", "mape", "worst"))
    weights = np.concatenate([part.weight[part.weight > 0] for part in parts(one)])
    assert sorted(weights) == list(range(1, 21))
    single = arrays(tmp_path / "b.npz", {"inputs": x[..., 0], "targets": x[:, 0, 0]})
    assert (single.input_size, single.output_size, single.train.targets.ndim) == (1, 1, 3)
    stepwise = arrays(tmp_path / "c.npz", {"inputs": x, "targets": x, "weight": (np.arange(5) < 4) * np.ones((20, 1))})
    assert (stepwise.labelled, set(stepwise.train.lengths)) == (False, {4})


def test_rows_without_a_step_stand_in_order(tmp_path: Path) -> None:
    frame = table()
    np.testing.assert_array_equal(
        sequences(tmp_path / "a.csv", frame).train.inputs, sequences(tmp_path / "b.csv", frame.drop(columns="step"), step=None).train.inputs
    )


def test_inputs_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    frame = table(60).assign(c=5.0)
    raw, scaled = (sequences(tmp_path / "own.csv", frame, scaling=scaling) for scaling in ("none", "train_only"))
    within = np.arange(raw.train.steps) < raw.train.lengths[:, None]
    known = raw.train.inputs[within]
    mine = scaled.train.inputs[within]
    np.testing.assert_allclose(mine.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(mine.std(0), [1, 1, 0], atol=1e-12)
    test = np.arange(raw.test.steps) < raw.test.lengths[:, None]
    np.testing.assert_allclose(scaled.test.inputs[test][:, :2], ((raw.test.inputs[test] - known.mean(0))[:, :2] / known.std(0)[:2]))
    assert not scaled.test.inputs[~test].any()
    assert raw.fingerprint != scaled.fingerprint


@given(n=st.integers(20, 80), validation=st.floats(0.05, 0.45), test=st.floats(0.05, 0.45), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=50, deadline=None)
def test_a_split_by_shares_gives_every_sequence_one_part_and_every_class_a_place(n: int, validation: float, test: float, seed: int) -> None:
    dataset = own.Own(name="own", validation_share=validation, test_share=test, split_seed=seed)
    labels = np.arange(n) % 3
    read = own.Read(
        np.zeros((n, 2, 1)), np.stack([labels, labels], 1), np.ones((n, 2)), np.full(n, 2), range(n), ("a", "b", "c"), True, None
    )
    part = dataset.by_shares(read)
    np.testing.assert_array_equal(part, dataset.by_shares(read))
    for which in range(3):
        counts = np.bincount(part[labels == which], minlength=3)
        total = counts.sum()
        assert counts.min() >= 1
        assert counts[2] == max(1, round(test * total))
        assert counts[1] == max(1, round(validation * total)) or counts[0] == 1  # where shares leave none to train on, one is left


def test_another_split_seed_is_another_task(tmp_path: Path) -> None:
    first, again, other = (sequences(tmp_path / "own.csv", table(), split_seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def edited(change: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    frame = table()
    result = change(frame)
    return frame if result is None else result


def put(column: str, row: int, value: Any) -> pd.DataFrame:
    frame = table().astype({column: object})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "keys", "message"),
    [
        (table(), {"file": "/nowhere/x.csv"}, "data file '/nowhere/x.csv' is not there"),
        (table(), {"inputs": ["a", "bb"]}, "unknown column of .*own.csv: 'bb'. Did you mean 'b'"),
        (table(), {"target": "lable"}, "unknown column of .*'lable'. Did you mean 'label'"),
        (table(), {"sequence": "id"}, "unknown column of .*'id'"),
        (table(), {"split": "set"}, "unknown column of .*'set'"),
        (table(), {"inputz": ["a"]}, "unknown key of dataset 'own': 'inputz'. Did you mean 'inputs'"),
        (table(), {"inputs": []}, "dataset.inputs is .*; expected a list of columns"),
        (table(), {"inputs": 3}, "dataset.inputs is 3; expected a list of columns"),
        (table(), {"inputs": {"a": 1}}, "dataset.inputs is .*; expected a list of columns"),
        (table(), {"target": None}, "dataset.target is null; expected a column of labels, or a list of columns of numbers"),
        (table(), {"scaling": "released"}, "unknown choice of dataset.scaling 'released'. There are: none, train_only"),
        (table(), {"validation_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        (table(), {"every": "yes"}, "dataset.every is 'yes'; expected true or false"),
        (put("b", 3, None), {}, "column 'b', line 5: no value; name a rule for missing inputs .dataset.fill=previous or interpolate., or leave its sequence out"),
        (put("b", 3, "x"), {}, "column 'b', line 5: 'x' is not a number"),
        (put("label", 3, None), {}, "column 'label', line 5: no value"),
        (put("sequence", 3, None), {}, "column 'sequence', line 5: no value"),
        (put("step", 1, 0), {}, "sequence s0 has step 0.0 twice in .*; expected each step once"),
        (put("label", 1, "y"), {}, "sequence s0 has the targets x and y; expected one in all its rows, or every: true"),
        (table(), {"target": ["y"]}, "sequence s0 has the targets .*; expected one in all its rows"),
        (put("part", 1, "test"), {"split": "part"}, "sequence s0 is in two parts, train and test; expected one"),
        (put("part", 1, "tset"), {"split": "part"}, "unknown part in column 'part' of .*'tset'. Did you mean 'test'"),
        (edited(lambda f: f[f["part"] != "test"]), {"split": "part"}, "the test part has no sequence; expected at least one"),
        (edited(lambda f: f[(f["part"] != "test") | (f["label"] != "x")]), {"split": "part"}, "class 'x' has no target in the test part"),
        (edited(lambda f: f[(f["part"] != "train") | (f["label"] != "x")]), {"split": "part"}, "label 'x' is in the validation part but not in the train part"),
        (edited(lambda f: f.assign(label="x")), {}, "every label is 'x'; expected at least two classes"),
        (edited(lambda f: f[(f["label"] != "x") | (f["sequence"] == "s0")]), {}, "class 'x' has 1 sequence; expected at least 3, one for each of train, validation, test"),
        (table(), {"symbols": True}, "symbols: true reads one column and inputs names 3"),
        (table(), {"symbols": True, "inputs": ["a"]}, "symbol -?0.* is not a whole number from 0 to 10,000,000"),
        ("sequence,step,a,b,c,label\n1,0,1,2,3,x\n1,1,1,2,3,4,x\n", {}, "cannot be read as CSV"),
        ("sequence,step,a,b,c,label\n", {}, "has a header but no rows"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_in_words(tmp_path: Path, frame: pd.DataFrame | str, keys: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        sequences(tmp_path / "own.csv", frame, **keys)
    assert str(error.value).isprintable()


def test_a_parquet_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="own.parquet cannot be read as Parquet"):
        data.build({"kind": "sequences", "name": "own", "file": str(tmp_path / "own.parquet"), "inputs": ["a"], "target": "b"})
    with pytest.raises(UserError, match="column 'b', row 3: no value"):
        sequences(tmp_path / "own.parquet", table().assign(b=lambda f: f["b"].where(f.index != 3)))


def test_too_much_padding_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "LARGEST", 500)
    with pytest.raises(UserError, match="30 sequences padded to 6 steps of 3 inputs are more than 500 numbers"):
        sequences(tmp_path / "own.csv", table())


X = np.random.default_rng(1).normal(size=(30, 4, 2))
LABELS = np.array(["no", "yes"])[np.arange(30) % 2]
SPLIT = np.repeat(["train", "validation", "test"], [18, 6, 6])
NAN = X.copy()
NAN[4, 2, 1] = np.nan
TREE = np.tile([[-1, -1, -1], [-1, -1, -1], [1, 0, -1], [2, -1, -1]], (30, 1, 1))


def with_child(child: int, step: int = 2, sequence: int = 3) -> dict[str, np.ndarray]:
    """Arrays of trees, one of which has a wrong child."""
    children = TREE.copy()
    children[sequence, step, 0] = child
    return {"inputs": X, "labels": LABELS, "children": children}


def test_arrays_may_be_trees_whose_padding_holds_anything(tmp_path: Path) -> None:
    held = {"inputs": X, "labels": LABELS, "split": SPLIT}
    plain, tree = (arrays(tmp_path / f"{i}.npz", held | more) for i, more in enumerate(({}, {"children": TREE})))
    assert plain.train.children is None
    assert (plain.children, tree.children) == (0, 2)
    np.testing.assert_array_equal(tree.test.children, TREE[24:, :, :2])
    assert plain.fingerprint != tree.fingerprint
    lengths = np.repeat([4, 3], 15)
    odd = np.where((np.arange(4) < lengths[:, None])[..., None], TREE, 77)
    short = arrays(tmp_path / "short.npz", held | {"children": odd, "lengths": lengths})
    assert short.test.children.tolist() == TREE[24:, :3, :2].tolist()
    np.testing.assert_array_equal(short.train.children[15:, 3], -1)


@pytest.mark.parametrize(
    ("held", "keys", "message"),
    [
        ({"inputs": X}, {}, "has neither targets nor labels"),
        ({"inputs": X, "labels": LABELS, "targets": X}, {}, "has both targets and labels"),
        ({"labels": LABELS}, {}, "has no array 'inputs'; it has labels"),
        ({"inputs": X, "label": LABELS}, {}, "unknown array in .*own.npz: 'label'. Did you mean 'labels'"),
        ({"inputs": X[0, 0], "labels": LABELS}, {}, "inputs have the shape"),
        ({"inputs": np.empty((0, 4, 2)), "labels": LABELS}, {}, "inputs have the shape"),
        ({"inputs": X, "labels": LABELS[1:]}, {}, r"labels have the shape \(29,\); expected \(30,\) or \(30, 4\), as inputs are 30 sequences of 4 steps"),
        ({"inputs": X, "targets": X[:, :3]}, {}, r"targets have the shape \(30, 3, 2\); expected \(30,\), \(30, O\) or \(30, 4, O\)"),
        ({"inputs": X, "labels": X}, {}, "labels have the shape"),
        ({"inputs": NAN, "labels": LABELS}, {}, "inputs of sequence 4, step 2 are not all finite; expected numbers, with lengths"),
        ({"inputs": X, "targets": NAN}, {}, "targets of sequence 4, step 2 are not all finite"),
        ({"inputs": X, "labels": np.where(np.arange(30) == 3, np.nan, 1.0)}, {}, "labels of sequence 3 are not all finite"),
        ({"inputs": X.astype(str), "labels": LABELS}, {}, "inputs hold <U.*; expected numbers"),
        ({"inputs": X, "labels": LABELS, "lengths": np.full(30, 5)}, {}, "the length of sequence 0 is 5; expected 1 to 4"),
        ({"inputs": X, "labels": LABELS, "lengths": np.full(29, 4)}, {}, "lengths have the shape"),
        ({"inputs": X, "labels": LABELS, "lengths": np.full(30, 4.0)}, {}, "hold float64; expected .* whole numbers"),
        ({"inputs": X, "labels": LABELS, "weight": np.ones((30, 4))}, {}, r"weight has the shape \(30, 4\); expected \(30,\)"),
        ({"inputs": X, "targets": X, "weight": np.ones(30)}, {}, r"weight has the shape \(30,\); expected \(30, 4\)"),
        ({"inputs": X, "labels": LABELS, "weight": -np.ones(30)}, {}, "weight -1 is below 0"),
        ({"inputs": X, "labels": LABELS, "weight": (SPLIT == "train") * 1.0, "split": SPLIT}, {}, "the weights of the validation part sum to 0"),
        ({"inputs": X, "labels": LABELS, "weight": (np.arange(30) != 7) * 1.0}, {}, "all weights of sequence 7 are 0"),
        ({"inputs": X, "labels": LABELS, "split": SPLIT[1:]}, {}, "split has the shape"),
        ({"inputs": X, "labels": LABELS, "split": np.arange(30)}, {}, "unknown part in the array 'split' '0'"),
        ({"inputs": X, "labels": LABELS, "split": np.repeat(["train", "test"], 15)}, {}, "the validation part has no sequence"),
        ({"inputs": X, "labels": np.repeat([0, 1, 2], [18, 6, 6]), "split": SPLIT}, {}, "label '1' is in the validation part but not in the train part"),
        ({"inputs": X, "labels": np.repeat([0, 1, 0], [9, 15, 6]), "split": SPLIT}, {}, "class '0' has no target in the validation part"),
        (with_child(2), {}, "dataset 'own': step 2 of sequence 3 has the child 2; expected an earlier step, 0 to 1, or -1 for none"),
        (with_child(3), {}, "step 2 of sequence 3 has the child 3; .* children come before their parent"),
        (with_child(-2), {}, "step 2 of sequence 3 has the child -2"),
        (with_child(0, step=0), {}, "step 0 of sequence 3 has the child 0; expected -1 for none"),
        (with_child(0), {}, "step 0 of sequence 3 is a child 2 times; expected one parent of each"),
        (with_child(1, step=3), {}, "step 1 of sequence 3 is a child 2 times"),
        ({"inputs": X, "labels": LABELS, "children": TREE[:, :3]}, {}, r"children have the shape \(30, 3, 3\) and hold int64; expected \(30, 4, N\) whole"),
        ({"inputs": X, "labels": LABELS, "children": TREE * 1.0}, {}, "children have the shape .* and hold float64"),
        ({"inputs": X, "labels": LABELS}, {"symbols": True}, r"expected \(B, T\) of symbols"),
        ({"inputs": X[..., 0], "labels": LABELS}, {"symbols": True}, "is not a whole number from 0"),
    ],
)  # fmt: skip
def test_bad_arrays_are_refused_in_words(tmp_path: Path, held: dict, keys: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        arrays(tmp_path / "own.npz", held, **keys)
    assert str(error.value).isprintable()


def test_sequences_of_unequal_width_and_what_is_no_npz_are_one_line(tmp_path: Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.ones((3, 2)), np.ones((3, 1))]
    with pytest.raises(UserError, match="sequences of unequal width or length make no array: pad them, and give lengths"):
        arrays(tmp_path / "own.npz", {"inputs": ragged, "labels": LABELS[:2]})
    for content in (b"", b"nothing", np.ones(3).tobytes()):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as an .npz") as error:
            data.build({"kind": "arrays", "name": "own", "file": str(tmp_path / "bad.npz")})
        assert str(error.value).isprintable()
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(UserError, match="cannot be read as an .npz"):
        data.build({"kind": "arrays", "name": "own", "file": str(tmp_path / "one.npy")})
