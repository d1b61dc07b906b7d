"""Forecast errors on the original scale."""

from __future__ import annotations

import numpy as np


def errors(predicted: np.ndarray, actual: np.ndarray) -> dict[str, np.ndarray]:
    """RMSE, MAE and MAPE of every lane.

    Args:
        predicted: shape ``(S, n)``, on the original scale.
        actual: shape ``(n,)``.

    Returns:
        ``rmse`` and ``mae`` in the units of the series, ``mape`` in per cent over the steps whose actual value is not 0
        (NaN if there is none); each ``(S,)``, float64.
    """
    # Contiguous along time, so that a lane's mean adds in the same order however lanes are packed.
    residual = np.ascontiguousarray(predicted) - actual
    nonzero = actual != 0
    relative = np.ascontiguousarray(np.abs(residual[:, nonzero] / actual[nonzero]))
    return {
        "rmse": np.sqrt((residual**2).mean(1)),
        "mae": np.abs(residual).mean(1),
        "mape": 100.0 * relative.mean(1) if nonzero.any() else np.full(len(predicted), np.nan),
    }
