"""What a hyperparameter search found: every configuration as it was judged, and the winner as it was selected and as it holds on fresh seeds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.intervals import aggregate, mean_interval
from analysis.study import Rule, Study


def fresh(runs: pd.DataFrame, record: dict[str, Any]) -> pd.DataFrame:
    """The rows that a study's verdicts are about: of a search, those on seeds that chose nothing."""
    return runs[runs["seed"] < record["search"]["first_seed"]] if record.get("search") else runs


def judged_trials(runs: pd.DataFrame, config: dict[str, Any], axes: list[str]) -> pd.DataFrame:
    """A row a configuration and rung: ``dataset, model``, the searched keys, ``epochs``, ``seeds``, ``diverged`` and ``score``; best first."""
    reduce, sign, rows = aggregate(config["aggregate"]), Rule(config["metric"]).sign, []
    for condition, group in runs.groupby("condition_id", sort=False):
        said = json.loads(group["config"].iloc[0])
        flat = {**said["dataset"], **said["training"], **said["model"]}
        flat |= {f"{section}.{key}": value for section, keys in said.items() for key, value in keys.items()}
        error = (sign * group[config["metric"]]).where(group["status"] != "diverged").fillna(np.inf).to_numpy(float)
        rows.append(
            {
                "condition_id": condition, "dataset": group["dataset"].iloc[0], "model": group["model"].iloc[0], **{axis: flat.get(axis) for axis in axes},
                "epochs": said["training"]["max_epochs"], "seeds": len(group), "diverged": int((group["status"] == "diverged").sum()), "score": reduce(error),
            }
        )  # fmt: skip
    columns = ["condition_id", "dataset", "model", *axes, "epochs", "seeds", "diverged", "score"]
    trials = pd.DataFrame(rows, columns=columns).sort_values(["epochs", "score"], ascending=[False, True], kind="stable", ignore_index=True)
    return trials.assign(score=sign * trials["score"].astype(float))


def selected(trials: pd.DataFrame, fresh: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """A row a condition on fresh seeds: winners with the score that selected them, and the untuned; validation and test apart; the test score is under the name of its metric."""
    of_errors, metric, rows, rng = aggregate(config["aggregate"]), config["metric"], [], np.random.default_rng(0)
    sign = Rule(metric).sign
    scores = trials.set_index("condition_id")["score"]

    def reduce(values: np.ndarray) -> float:
        return sign * of_errors(sign * values)

    measured = Rule().of(fresh).metric if len(fresh) else "test_rmse"
    validations, tests = (Study.of(fresh, Rule(name)).by_label for name in (metric, measured))
    for (condition, label), group in fresh.groupby(["condition_id", "condition"], sort=False):
        if label not in validations or label not in tests:
            continue
        validation, test = validations[str(label)].finished, tests[str(label)].finished
        drawn = [reduce(a) for a in rng.choice(validation, (1000, len(validation)))] if len(validation) > 1 else [np.nan]
        low, high = np.quantile(drawn, [0.025, 0.975])
        test_low, test_high = mean_interval(test)
        rows.append(
            {
                "condition": label, "name": tests[str(label)].name, "role": "winner" if condition in scores.index else "untuned", "seeds": len(group),
                "selected": float(scores.get(condition, np.nan)), "fresh": reduce(validation) if len(validation) else np.nan, "low": float(low), "high": float(high),
                measured: test.mean() if len(test) else np.nan, "test_low": test_low, "test_high": test_high,
            }
        )  # fmt: skip
    columns = ["condition", "name", "role", "seeds", "selected", "fresh", "low", "high", measured, "test_low", "test_high"]
    return pd.DataFrame(rows, columns=columns)
