"""Figures of packages that cannot be installed beside ours, made once in an environment of their own and kept in ``figures.json``:

    python3 -m venv peers && peers/bin/pip install rliable==1.2.0 deepsig==1.2.8 'pandas<3' && peers/bin/python tests/analysis/peers/make.py

rliable 1.2.0 pins an arch that does not import beside pandas 3; deepsig 1.2.8 needs NumPy's global generator.
"""

import json
from pathlib import Path

import deepsig
import numpy as np
import rliable.metrics


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same two samples as in the test that reads the figures."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(5, 40, size=2)
    return rng.normal(0, 1, n).round(6), (rng.normal(0.4, 1.5, m) if seed % 2 else rng.lognormal(0, 0.5, m)).round(6)


figures = []
for seed in range(200):
    a, b = draw(seed)
    figures.append(
        {
            "iqm": float(rliable.metrics.aggregate_iqm(a[:, None])),
            "improvement": float(rliable.metrics.probability_of_improvement(-a[:, None], -b[:, None])),
            "aso": float(deepsig.aso(-a, -b, num_bootstrap_iterations=300, dt=0.005, show_progress=False, seed=seed)),
        }
    )
Path(__file__).with_name("figures.json").write_text(json.dumps(figures, indent=0))
