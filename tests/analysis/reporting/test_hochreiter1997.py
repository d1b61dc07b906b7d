"""The published figures of 1997 beside those of a study."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis import literature
from analysis.reporting.parts.papers import hochreiter1997
from analysis.study import Rule, Study
from ltm.errors import UserError


def rows(condition: str, model: dict, dataset: dict, times: list[float]) -> pd.DataFrame:
    config = json.dumps({"model": model, "dataset": dataset, "training": {}})
    finite = np.isfinite(times)
    return pd.DataFrame(
        {
            "condition": condition, "model": model["cell"], "dataset": dataset["kind"], "K": np.nan, "seed": range(len(times)), "status": "stopped",
            "config": config, "test_success": finite.astype(float), "test_sequences": np.where(finite, times, np.nan), "fingerprint": dataset["kind"],
        }
    )  # fmt: skip


RUNS = pd.concat(
    [
        rows("a", {"cell": "rnn"}, {"kind": "adding", "length": 100}, [np.inf, np.inf]),
        rows("b", {"cell": "lstm1997", "truncated": True}, {"kind": "adding", "length": 100}, [1000.0, 3000.0, np.inf]),
        rows("c", {"cell": "lstm1997", "truncated": False}, {"kind": "reber", "length": 50}, [500.0]),
        rows("d", {"cell": "lstm1997", "truncated": True}, {"kind": "long_lag", "variant": "a", "length": 20}, [700.0, 700.0]),
        rows("e", {"cell": "lstm1997", "truncated": True}, {"kind": "parity", "length": 20}, [700.0]),
    ],
    ignore_index=True,
)


def test_every_published_row_is_there_beside_ours_or_as_not_run() -> None:
    shown = hochreiter1997.shown(hochreiter1997.beside(RUNS)).set_index(["experiment", "lag", "condition"])
    adding = shown.loc[("4 adding", "100", "lstm1997, truncated gradient")]
    assert (adding["succeed"], adding["mean sequences"], adding["median"], adding["published sequences"]) == (
        "2 of 3",
        "2,000",
        "3,000",
        "74,000",
    )
    assert shown.loc[("4 adding", "100", "RNN"), "published sequences"] == "–"
    reber = shown.loc[("1 embedded Reber grammar", "", "lstm1997, full gradient")]
    assert (reber["published %"], reber["published sequences"]) == ("97 to 100", "8,440 to 39,740")
    assert shown.loc[("2a long time lag without noise", "20", "lstm1997, truncated gradient"), "published sequences"] == "–"
    assert shown.loc[("4 adding", "1000", "lstm1997 (not in this study)"), "published sequences"] == "853,000"
    assert len(shown) == len(literature.successes("hochreiter1997")) + 2
    assert not any("parity" in experiment for experiment, *_ in shown.index)


def test_both_gradients_are_compared_with_each_other_and_with_the_rnn() -> None:
    more = pd.concat([RUNS, rows("f", {"cell": "lstm1997", "truncated": False}, {"kind": "adding", "length": 100}, [1.0, 2.0])])
    found = hochreiter1997.pairs(Study.of(more, Rule("test_sequences")))
    assert [(a.label, b.label) for a, b in found] == [("b", "f"), ("b", "a"), ("f", "a")]


def test_a_study_may_name_the_paper_or_a_table_of_means() -> None:
    literature.check("hochreiter1997")
    literature.check("zhao2020")
    with pytest.raises(UserError, match="unknown published table 'hochreiter'"):
        literature.check("hochreiter")


def test_without_times_there_is_no_table() -> None:
    assert hochreiter1997.beside(RUNS.drop(columns="test_sequences")).empty
