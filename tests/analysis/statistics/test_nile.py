"""The Nile: minima at the Roda gauge, 622-1284, and flow at Aswan, 1871-1970, as statsmodels ships it. The figures that the page on memory tells."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.datasets import nile

from analysis.statistics import Outcome, memory
from ltm.data import files


def told(found: Outcome) -> tuple[float, float, float]:
    return round(found.estimate, 2), round(float(found.low), 2), round(float(found.high), 2)


def test_the_drop_of_1899_passes_for_long_memory() -> None:
    data = nile.load_pandas().data
    assert (data["year"].min(), data["year"].max()) == (1871, 1970)
    flow, late = data["volume"].to_numpy(float), data["year"].to_numpy() >= 1899
    assert told(memory.exact_local_whittle(flow)) == (0.61, 0.32, 0.89)
    assert told(memory.local_whittle(flow)) == (0.40, 0.12, 0.69)
    assert memory.qu(flow).p == pytest.approx(0.55, abs=0.02)
    assert (flow[~late].mean(), flow[late].mean()) == pytest.approx((1097.75, 849.97), abs=0.01)  # as Cobb (1978) has them
    without = flow - np.where(late, flow[late].mean(), flow[~late].mean())
    assert told(memory.exact_local_whittle(without)) == (-0.14, -0.43, 0.14)


def test_the_minima_have_the_published_long_memory() -> None:
    _, table = files.read_table("nile_minima.csv")
    assert (table["year"].iloc[0], table["year"].iloc[-1], len(table)) == (622, 1284, 663)
    minima = table["minimum"].to_numpy(float)
    # Baum, Hurn and Lindsay 2020, Stata Journal 20, pages 576 to 579
    assert memory.local_whittle(minima).estimate == pytest.approx(0.409044, abs=2e-6)
    assert memory.exact_local_whittle(minima).estimate == pytest.approx(0.407459, abs=2e-6)
    assert told(memory.arfima_of(minima).d) == (0.40, 0.34, 0.46)
    assert memory.qu(minima).p == pytest.approx(0.13, abs=0.02)
