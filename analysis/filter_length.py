"""The filter-length study: error against K."""

from __future__ import annotations

import pandas as pd

from analysis.summary import summarise


def by_filter_length(runs: pd.DataFrame, metric: str = "test_rmse") -> pd.DataFrame:
    """Mean error and its 95 % interval by series, model and K, for the models trained with more than one K.

    Returns:
        Columns ``dataset, model, K, n, diverged, mean, low, high``, sorted by K within a model; empty if K does not vary.
    """
    table = summarise(runs[runs["K"].notna()], metric)
    table["K"] = table["K"].astype(int)
    table = table[table.groupby(["dataset", "model"])["K"].transform("nunique") > 1]
    order = ["dataset", "model", "K"]
    return table.sort_values(order, kind="stable", ignore_index=True)[[*order, "n", "diverged", "mean", "low", "high"]]
