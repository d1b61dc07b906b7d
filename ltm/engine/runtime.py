"""What every generated kernel calls: pointwise functions that vectorise, and the training protocol for one block of lanes.

Plain functions; the generated module compiles them for its own precision and target.
"""

from __future__ import annotations

import math

import numpy as np

from ltm.engine.base import COMPLETED, DIVERGED, RUNNING, STOPPED

TANH_NUMERATOR = (
    0.9999999984686054, 0.13128125572396232, 0.003153640928038685, 1.1689449764298385e-05,
    -2.252517154040566e-08, 6.482669215625592e-11, -1.1923992514041955e-13,
)  # fmt: skip
TANH_DENOMINATOR = (1.0, 0.4646145730930603, 0.02469185965956279, 0.00026193216493262754)
TANH_CLAMP = 7.9
"""tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.9: relative error 1.6e-9, fitted by weighted least squares; in float32 the
largest error is 3e-7. Plain arithmetic, so a loop over lanes vectorises without a vector math library."""

BEST_VALIDATION, TRAIN_AT_BEST, BEST_TRAIN, LR, WEIGHT_DECAY, CLIP = range(6)
BEST_EPOCH, STALE, EPOCH, STATUS = range(4)

_f = np.float32
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = (_f(c) for c in TANH_NUMERATOR)
_Q0, _Q1, _Q2, _Q3 = (_f(c) for c in TANH_DENOMINATOR)
_TOP, _HALF, _ONE = _f(TANH_CLAMP), _f(0.5), _f(1.0)
_LOG2E, _LN2_HIGH, _LN2_LOW = _f(1.4426950408889634), _f(0.693359375), _f(-2.12194440e-4)
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7 = (_f(2.0 / math.factorial(k)) for k in range(8))
_EXP_LOW, _EXP_HIGH = _f(-87.3), _f(89.0)


def tanh32(x):  # type: ignore[no-untyped-def]
    """tanh in float32; NaN stays NaN, so that divergence is seen."""
    y = -_TOP if x < -_TOP else (_TOP if x > _TOP else x)
    s = y * y
    p = (((((_P6 * s + _P5) * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    return y * p / (((_Q3 * s + _Q2) * s + _Q1) * s + _Q0)


def sigmoid32(x):  # type: ignore[no-untyped-def]
    """The logistic function through tanh."""
    y = _HALF * x
    y = -_TOP if y < -_TOP else (_TOP if y > _TOP else y)
    s = y * y
    p = (((((_P6 * s + _P5) * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    return _HALF + _HALF * (y * p / (((_Q3 * s + _Q2) * s + _Q1) * s + _Q0))


def sigmoid64(x):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + math.exp(-x))


def exp32(x, half_power_of_two):  # type: ignore[no-untyped-def]
    """exp in float32 by 2^(n-1) 2e^r, |r| <= ln(2)/2, with a Taylor polynomial of degree 7: infinite above 88.73, 0 below -87, NaN of NaN.

    The half keeps 2^(n-1) finite where the result is; at the clamps it is 0, or the product is infinite.
    """
    y = _EXP_LOW if x < _EXP_LOW else (_EXP_HIGH if x > _EXP_HIGH else x)
    n = np.floor(y * _LOG2E + _HALF)
    r = y - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    e = (((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r * r + _E1 * r + _E0
    return e * half_power_of_two(n)


def update(l, N, width, loss, w, m, v, best, reals, counts, protocol, curves, e):  # type: ignore[no-untyped-def]
    """One epoch of the protocol for lane ``l`` of a block, as :func:`ltm.engine.reference.one_epoch` has it.

    ``w`` holds parameters, then gradients, N slots each, and the losses of training and validation one and two slots
    after ``loss``; ``m, v, best`` are ``(N, width)``, ``reals`` and ``counts`` the rows named above, ``protocol`` is
    (max_epochs, patience, min_delta, beta1, beta2, eps), ``curves`` ``(2, epochs, width)``.
    """
    if counts[STATUS, l] != RUNNING:
        return
    max_epochs, patience, min_delta, beta1, beta2, eps = protocol
    train, validation = w[(loss + 1) * width + l], w[(loss + 2) * width + l]
    counts[EPOCH, l] += 1
    curves[0, e, l], curves[1, e, l] = train, validation
    norm, size = 0.0, 0.0
    for i in range(N):
        slope = np.float64(w[(N + i) * width + l])  # float64: the square of a large gradient is no divergence
        norm += slope * slope
        size += abs(np.float64(w[i * width + l]))
    norm = math.sqrt(norm)
    if not (math.isfinite(size) and math.isfinite(train) and math.isfinite(validation) and math.isfinite(norm)):
        counts[STATUS, l] = DIVERGED
        return
    if validation < reals[BEST_VALIDATION, l]:
        reals[BEST_VALIDATION, l], reals[TRAIN_AT_BEST, l] = validation, train
        counts[BEST_EPOCH, l] = counts[EPOCH, l]
        for i in range(N):
            best[i, l] = w[i * width + l]
    if train < reals[BEST_TRAIN, l] - min_delta:
        reals[BEST_TRAIN, l] = train
        counts[STALE, l] = 0
    else:
        counts[STALE, l] += 1
    if counts[STALE, l] >= patience:
        counts[STATUS, l] = STOPPED
        return
    if counts[EPOCH, l] >= max_epochs:
        counts[STATUS, l] = COMPLETED
        return
    scale = 1.0
    if reals[CLIP, l] > 0 and norm > reals[CLIP, l]:
        scale = reals[CLIP, l] / norm
    rate = reals[LR, l] / (1.0 - beta1 ** counts[EPOCH, l])
    correction = math.sqrt(1.0 - beta2 ** counts[EPOCH, l])
    for i in range(N):
        g = w[(N + i) * width + l] * scale + reals[WEIGHT_DECAY, l] * w[i * width + l]
        m[i, l] = beta1 * m[i, l] + (1.0 - beta1) * g
        v[i, l] = beta2 * v[i, l] + (1.0 - beta2) * g * g
        w[i * width + l] -= rate * m[i, l] / (math.sqrt(v[i, l]) / correction + eps)
