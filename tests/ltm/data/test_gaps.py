"""Missing values are refused, or filled by the rule that is named, and that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm import data
from ltm.errors import UserError
from tests.conftest import Run

SERIES = {"kind": "csv", "name": "river", "column": "flow", "train": 3, "validation": 2}


@pytest.fixture(autouse=True)
def fresh() -> None:
    data.forget()


def river(folder: Path, *values: str) -> str:
    (folder / "river.csv").write_text("\n".join(["day,flow", *(f"{i},{value}" for i, value in enumerate(values))]) + "\n")
    return str(folder / "river.csv")


def test_a_gap_is_refused_with_its_column_how_many_and_where_first(tmp_path: Path) -> None:
    file = river(tmp_path, "1", "2", "", "4", "NA", "6", "7", "8")
    with pytest.raises(UserError) as error:
        data.build(SERIES | {"file": file})
    assert str(error.value).startswith(
        f"{file}, column 'flow', line 4: no value, nor in 1 further lines; name a rule for missing values (dataset.fill="
    )


@pytest.mark.parametrize(("rule", "filled"), [("previous", [2, 6, 6]), ("interpolate", [3, 6.5, 7])])
def test_a_rule_fills_and_says_so(tmp_path: Path, rule: str, filled: list[float]) -> None:
    file = river(tmp_path, "1", "2", "", "4", "5", "6", "", "", "7.5", "9")
    task = data.build(SERIES | {"file": file, "fill": rule})
    expected = [1, 2, filled[0], 4, 5, 6, *filled[1:], 7.5, 9]
    assert task.series is not None
    np.testing.assert_allclose(task.series.values, expected)
    assert task.notes == (f"{file}, column 'flow', line 4 is the first: 3 missing values were filled by dataset.fill={rule}",)
    data.forget()
    whole = data.build(SERIES | {"file": river(tmp_path, *map(str, expected)), "fill": rule})
    assert (whole.notes, whole.fingerprint) == ((), task.fingerprint)


@pytest.mark.parametrize(
    ("rule", "values", "message"),
    [
        ("previous", ["", "2", "3", "4", "5", "6", "7"], "line 2: no value, and dataset.fill=previous finds none before it to repeat"),
        ("interpolate", ["1", "2", "3", "4", "5", "6", ""], "line 8: no value, and dataset.fill=interpolate finds none on both sides"),
        ("interpolate", ["1", "x", "", "4", "5", "6", "7"], "line 3: 'x' is not a number"),
        ("interpolate", ["1", "inf", "", "4", "5", "6", "7"], "line 3: 'inf' is not a number"),
        ("mean", ["1", "2", "3", "4", "5", "6", "7"], "'mean' is not a rule for missing values: dataset.fill|rule for missing values"),
    ],
)
def test_what_a_rule_cannot_fill_is_one_line(tmp_path: Path, rule: str, values: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        data.build(SERIES | {"file": river(tmp_path, *values), "fill": rule})
    assert "\n" not in str(error.value)


def test_inputs_of_sequences_are_filled_within_each_and_every_column(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"sequence": np.repeat(np.arange(12), 3), "step": np.tile([2, 0, 1], 12), "a": np.arange(36.0), "b": -np.arange(36.0)}
    )
    table["label"] = table["sequence"] % 2
    table.loc[[5, 30], "a"] = np.nan  # steps 1 and 2 of their sequences
    table.loc[8, "b"] = np.nan
    table.to_csv(tmp_path / "walks.csv", index=False)
    given = {
        "kind": "sequences",
        "name": "walks",
        "file": str(tmp_path / "walks.csv"),
        "inputs": ["a", "b"],
        "target": "label",
        "scaling": "none",
    }
    task = data.build(given | {"fill": "previous"})
    assert [note.rpartition("column ")[2] for note in task.notes] == [
        "'a', line 7 is the first: 2 missing values were filled by dataset.fill=previous",
        "'b', line 10: a missing value was filled by dataset.fill=previous",
    ]
    held = np.concatenate([part.inputs for part in (task.train, task.validation, task.test)])
    by_start = {float(one[0, 1]): one for one in held}
    np.testing.assert_array_equal(by_start[-4.0], [[4, -4], [4, -5], [3, -3]])
    np.testing.assert_array_equal(by_start[-31.0], [[31, -31], [32, -32], [32, -30]])
    np.testing.assert_array_equal(by_start[-7.0], [[7, -7], [8, -7], [6, -6]])
    with pytest.raises(UserError, match="line 32: no value, and dataset.fill=interpolate finds none on both sides"):
        data.build(given | {"fill": "interpolate"})
    with pytest.raises(UserError, match=r"column 'a', line 7: no value, nor in 1 further lines; name a rule"):
        data.build(given)


def test_a_sweep_says_what_was_filled_and_its_report_by_which_rule(tmp_path: Path, run: Run) -> None:
    river(tmp_path, *(str(np.sin(i)) if i != 20 else "" for i in range(80)))
    given = [
        "dataset=tree",
        "dataset.file=river.csv",
        "dataset.column=flow",
        "dataset.name=river",
        "dataset.train=40",
        "dataset.validation=20",
    ]
    command = ["ltm.sweep", *given, "model=rnn", "seeds=2", "training.max_epochs=2", "study=filled", "tracking=off", "baselines=none"]
    assert "line 22: no value; name a rule" in run(*command, status=2).stderr
    said = "river.csv, column 'flow', line 22: a missing value was filled by dataset.fill=previous\n"
    assert said in run(*command, "dataset.fill=previous", "--dry-run").stdout
    assert said in run(*command, "dataset.fill=previous").stdout
    assert "are filled by the rule previous" in (tmp_path / "results/filled/report/index.html").read_text()
