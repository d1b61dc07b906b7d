"""Tests and figures over samples of errors, a file a question; here what a test finds, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ltm.errors import UserError


@dataclass(frozen=True)
class Outcome:
    """What a test found: the estimate with its 95 % interval, the statistic, degrees of freedom, the two-sided p-value.

    NaN where the samples carry no such figure: a sample of one value has neither interval nor p.
    """

    estimate: float
    low: float = np.nan
    high: float = np.nan
    statistic: float = np.nan
    dof: float = np.nan
    p: float = np.nan

    def turned(self, sign: int) -> Outcome:
        """The same about scores whose signs are turned, where ``sign`` is -1."""
        return self if sign > 0 else replace(self, estimate=-self.estimate, low=-self.high, high=-self.low, statistic=-self.statistic)


def errors(a: np.ndarray, name: str = "sample") -> np.ndarray:
    """A sample of errors, a value a seed; +inf is a diverged seed.

    Raises:
        UserError: not one-dimensional, NaN or -inf.
    """
    array = np.asarray(a, dtype=float)
    if array.ndim != 1:
        raise UserError(f"the {name} has shape {array.shape}; expected one axis, a value a seed.")
    if np.isnan(array).any() or (array == -np.inf).any():
        raise UserError(f"the {name} has values that are no errors (NaN or -inf); a diverged seed is +inf.")
    return array


def finite(a: np.ndarray, least: int = 1, name: str = "sample") -> np.ndarray:
    """A sample of finite values.

    Raises:
        UserError: not one-dimensional, too few values, NaN or infinite.
    """
    array = np.asarray(a, dtype=float)
    if array.ndim != 1:
        raise UserError(f"the {name} has shape {array.shape}; expected one axis, a value a seed.")
    if not np.isfinite(array).all():
        raise UserError(
            f"the {name} has {int((~np.isfinite(array)).sum())} values that are not finite; this figure is one of finished seeds."
        )
    if len(array) < least:
        raise UserError(f"the {name} has {len(array)} values; at least {least} are needed.")
    return array
