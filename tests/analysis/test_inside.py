"""``error-flow``, ``landscape`` and ``states`` on a small study: what they print, write and refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import inside
from sweeps import config, plan
from sweeps.execution import worker
from sweeps.plan import Place
from sweeps.store.ledger import Ledger

LATCHING = ("dataset=latching", "dataset.length=8", "dataset.sequences=40", "training=batches", "training.max_epochs=1", "seeds=3")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study of two conditions, trained for an epoch by the torch engine."""
    made = plan.make(config.compose([*LATCHING, "model=rnn,lstm", "model.hidden_size=2"]))
    ledger = Ledger(tmp_path_factory.mktemp("study"))
    for pack in plan.cut(made.runs, 1):
        training = worker.training_of(pack, Place("torch", "cpu"))
        while not training.done:
            training.advance()
        ledger.write(worker.rows_of(pack, training, made.labels).assign(provenance=""), training.curves(), training.state.best_params)
    return str(ledger.uri)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = inside.main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def test_error_flow_of_all_conditions_before_and_after_training(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "error-flow", study, "--lags", "4", "--seeds", "2")
    assert status == 0
    for words in ("rnn / latching", "lstm / latching", "c alone", "untrained", "inside/error-flow.svg"):
        assert words in out
    table = pd.read_csv(Path(study, "inside/error-flow.csv"))
    assert len(table) == 2 * (1 + 3) * 4
    assert set(table["seeds"]) == {2}
    trained, untrained = (table[table["values"] == values]["median"].to_numpy() for values in ("trained", "untrained"))
    assert (trained != untrained).all()
    assert Path(study, "inside/error-flow.svg").read_text().startswith("<svg")


def test_states_of_the_median_and_the_worst_seed(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "states", study, "--condition", "lstm / latching", "--sequence", "3")
    assert status == 0
    assert "median seed" in out
    table = pd.read_csv(Path(study, "inside/states-lstm-latching-test-3.csv"))
    assert sorted(table["unit"].unique()) == ["c[0]", "c[1]", "h[0]", "h[1]"]
    assert len(table) == 2 * 4 * 8


@pytest.mark.long
def test_a_landscape_has_a_row_a_point_and_its_network_in_the_middle(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("landscape", study, "--condition", "rnn / latching", "--x", "W_hh[0,0]", "--y", "b_hh[1]", "--size", "5", "--seed", "1")
    status, out, _ = run(capsys, *arguments, "--lengths", "4,16")
    assert status == 0
    assert "16 steps: loss" in out
    table = pd.read_csv(Path(study, "inside/landscape-rnn-latching-seed-1-w-hh-0-0-b-hh-1.csv"))
    assert list(table["length"].unique()) == [4, 16]
    assert len(table) == 2 * 25
    assert np.isfinite(table["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("landscape --x W_hh[0,0] --y W_hh[0,1]", "there are 2 conditions; expected --condition, one of: rnn / latching, lstm / latching."),
        ("landscape --x W_hh[2,0] --y c[0] --condition rnn!", "'W_hh[2,0]' is no element of W_hh, whose shape is (2, 2)"),
        ("landscape --x W[0,0] --y c[0] --condition rnn!", "There are: W_ih (2, 1), W_hh (2, 2), b_ih (2,), b_hh (2,), V (2, 2), c (2,)."),
        ("landscape --x c[0] --y c[0] --condition rnn!", "--x and --y are both c[0]; expected two weights."),
        ("landscape --x c[0] --y c[1] --lengths a --condition rnn!", "--lengths a: expected whole numbers of at least 1"),
        ("error-flow --lags 9", "9 lags need sequences of 10 steps; 'latching' has 8 (choose fewer: --lags)."),
        ("error-flow --seeds 0", "--seeds 0: expected at least 1."),
        ("states --condition lstm!", "--sequence 99: the test part has 8 sequences; expected 0 to 7."),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(study: str, capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    name, *more = (word.replace("!", " / latching") for word in arguments.split())
    if name == "states":
        more += ["--sequence", "99"]
    status, _, err = run(capsys, name, study, *more)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
