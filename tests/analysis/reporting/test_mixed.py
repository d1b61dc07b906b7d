"""A study of tasks of numbers beside tasks of classes: each is judged by a metric that it has."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reporting import build
from analysis.studies import success
from analysis.studies.compare import pairs_against
from analysis.study import Rule, Study
from sweeps.store.ledger import Ledger


def rows(dataset: str, model: str, config: str = "{}", **metrics: float) -> pd.DataFrame:
    seeds = np.arange(12)
    of_seeds = {name: value + 0.01 * seeds for name, value in metrics.items()}
    frame = {
        "dataset": dataset,
        "model": model,
        "condition": f"{model} {config} / {dataset}",
        "seed": seeds,
        "status": "stopped",
        "K": np.nan,
    }
    return pd.DataFrame(frame | {"fingerprint": dataset, "config": config} | of_seeds)


VANILLA, WITHOUT = (json.dumps({"model": {"variant": name}}) for name in ("vanilla", "NFG"))
RUNS = pd.concat(
    [
        *(rows("adding", "peephole", one, test_rmse=error, test_accuracy=np.nan) for one, error in ((VANILLA, 2.0), (WITHOUT, 1.0))),
        *(rows(task, "peephole", one, test_accuracy=score, test_rmse=np.nan) for task in ("latching", "relay") for one, score in ((VANILLA, 0.5), (WITHOUT, 0.8))),
    ],
    ignore_index=True,
)  # fmt: skip


def test_a_study_is_judged_by_the_metric_of_most_conditions_and_the_rest_by_its_own(tmp_path: Path) -> None:
    study = Study.of(RUNS)
    assert (study.metric, len(study), len(study.without)) == ("test_accuracy", 4, 2)
    (other,) = build.by_other_metrics(Ledger(str(tmp_path)), RUNS, {}, study)
    assert (other.study.metric, [one.dataset for one in other.study]) == ("test_rmse", ["adding", "adding"])
    assert [test.verdict for test in other.comparisons] == ["better"]
    parts = build.apart(other)
    assert parts[0].title == "By test RMSE"
    names = [one.name for part in parts for one in (*part.every_table, *part.every_plot)] + [name for part in parts for name in part.kept]
    assert names
    assert all(name.endswith("_test_rmse") for name in names)


def test_a_network_whose_test_scores_are_no_numbers_hides_no_other(tmp_path: Path) -> None:
    runs = pd.concat([rows("adding", name, test_rmse=error, validation_rmse=1.0) for name, error in (("rnn", 1.0), ("overflows", np.inf))])
    study = Study.of(runs)
    assert (study.metric, [one.model for one in study]) == ("test_rmse", ["rnn"])
    (other,) = build.by_other_metrics(Ledger(str(tmp_path)), runs, {}, study)
    assert (other.study.metric, [one.model for one in other.study]) == ("validation_rmse", ["overflows"])


def test_nothing_else_is_judged_where_one_metric_fits_all(tmp_path: Path) -> None:
    classes = RUNS[RUNS["dataset"] != "adding"]
    assert build.by_other_metrics(Ledger(str(tmp_path)), classes, {}, Study.of(classes)) == []


@pytest.mark.parametrize("metric", ["test_rmse", "test_accuracy"])
def test_a_metric_that_was_asked_for_is_the_only_one(metric: str) -> None:
    assert Study.of(RUNS, Rule(metric)).metric == metric


def test_without_rnn_and_lstm_every_condition_is_compared_with_the_first_but_for_those_of_another_K() -> None:
    pairs = [(a.label, b.label) for a, b in pairs_against(Study.of(RUNS))]
    assert pairs == [(f"peephole {WITHOUT} / {task}", f"peephole {VANILLA} / {task}") for task in ("latching", "relay")]
    lengths = pd.concat([rows("arfima", "mrnn", test_rmse=1.0).assign(K=float(K), condition=f"mrnn K={K}") for K in (5, 10)])
    assert pairs_against(Study.of(lengths)) == []


def test_a_diverged_seed_of_a_task_of_numbers_is_no_failure_of_a_task_of_classes() -> None:
    runs = RUNS.assign(test_accuracy=RUNS["test_accuracy"] + 0.095)
    runs.loc[0, ["status", "test_rmse"]] = "diverged", np.nan
    solved, _ = success.studies(runs, Study.of(runs))
    assert solved is not None
    assert {one.dataset for one in solved} == {"latching", "relay"}
    assert success.summarise(solved, None)["succeeded"].tolist() == [0, 6, 0, 6]
