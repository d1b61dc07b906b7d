"""The flow of the Nile at Aswan, 1871-1970, as statsmodels ships it: the figures that the page on memory tells."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.datasets import nile

from analysis.statistics import Outcome, memory


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
