"""The report's part on long memory."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import memory, plots, trained
from analysis.section import Section
from ltm.errors import UserError
from sweeps.ledger import Ledger


def forgetting(ledger: Ledger, runs: pd.DataFrame, metric: str) -> Section:
    """Long memory of the series and of the residuals of every condition's median seed."""
    part = Section("Long memory")
    typical = trained.typical(runs, metric)
    typical = typical.groupby("dataset", sort=False).head(plots.SHOWN)
    try:
        table, series = memory_table(trained.networks(ledger, typical))
    except UserError as error:
        part.text = f'<p class="quiet">Not shown: {html.escape(str(error))}</p>'
        return part
    if table.empty:
        return part
    part.text = (
        "<p>ACF of each series, and the memory parameter d by local Whittle (n<sup>0.65</sup> frequencies) of the series and of the test residuals of every"
        " condition's median seed: a d above 0 there is long memory that the model left behind. <i>learned d</i>: the cell's own, averaged over the test part.</p>"
    )
    responses = ledger.text("report/tables/responses.csv")
    if responses:
        known = pd.read_csv(io.StringIO(responses)).set_index("run_id")[["law", "power", "rate"]]
        table = table.join(known, on="run_id")
        part.text += (
            "<p><i>law</i>: how the response of y<sub>t</sub> to x<sub>t-k</sub> decays over k (Definition 3 of Zhao et al. 2020), by AIC; <i>power</i> of k, or"
            " <i>rate</i> of an exponential.</p>"
        )
    else:
        part.text += (
            f"<p class=quiet>python -m analysis memory {html.escape(ledger.uri)} adds how each network's response to the past decays.</p>"
        )
    part.shown["memory"], part.kept["memory"] = table.drop(columns=["run_id", "dataset"]), table
    part.figures = {"acf": plots.autocorrelation(series), "memory_left": plots.memory_left(table)}
    return part


def memory_table(networks: Sequence[trained.Network]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """d of series and residuals for trained networks: a table, and the series by name.

    Returns:
        ``dataset, condition, run_id, seed, series_d`` (local Whittle, whole series), ``residual_d, residual_low, residual_high``, ``residual_gph``,
        ``p_white`` (Ljung and Box, 20 lags) and ``learned_d``.
    """
    from analysis.forecast import ljung_box

    rows, series, found = [], {}, {}
    for network in networks:
        name = str(network.row["dataset"])
        if name not in series:
            series[name] = network.series.values
            found[name] = memory.local_whittle(series[name]).estimate
        errors = network.errors()
        if len(errors) < 32 or np.ptp(errors) == 0:
            continue
        left = memory.local_whittle(errors)
        rows.append(
            {
                "dataset": name, "condition": network.row["condition"], "run_id": network.row["run_id"], "seed": network.row["seed"],
                "series_d": found[name], "residual_d": left.estimate, "residual_low": left.low, "residual_high": left.high,
                "residual_gph": memory.gph(errors).estimate, "p_white": ljung_box(errors, min(20, len(errors) // 3)).p,
                "learned_d": float(network.row["d"]) if network.row["d"] is not None else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows), series
