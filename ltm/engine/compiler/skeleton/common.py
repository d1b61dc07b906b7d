"""What every kernel contains around its printed programs. No module to call: the text below the line becomes part of each generated module, where
the names above it are the kernel's own (:func:`ltm.engine.compiler.kernel`). A vector is ``VECTOR`` elements, a row of lanes ``W``; a group has ``LANES`` seeds with
``ENTRIES`` vector lanes each, and ``SIZE`` elements of parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

given: Any = None
inner = lambda function: function  # noqa: E731
load = store = full = mul = where = less = neg = real = further = given
W = VECTOR = LANES = ENTRIES = N = SIZE = 1

# ---- of every kernel ---------------------------------------------------------------------------------------------------

TRAIN, VALIDATION, BETTER, ON, SCALE, BOUND, FIRST = range(7)  # rows of s; from FIRST on those of the settings
LR, CLIP, CLIP_VALUE = FIRST + 0, FIRST + 2, FIRST + 3
SMOOTHNESS = 6  # of the settings of a lane


@inner
def clear(a, n):  # type: ignore[no-untyped-def]
    zero = full(real(0.0))
    for i in range(0, n, VECTOR):
        store(a, i, zero)


@inner
def norm_of(g, l, scale):  # type: ignore[no-untyped-def]
    """Of the gradient of lane ``l``, in float64: the square of a large gradient is no divergence."""
    total = 0.0
    for i in range(N):
        slope = np.float64(g[i * LANES + l]) * scale
        total += slope * slope
    return math.sqrt(total)


@inner
def size_of(p, l):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(N):
        total += abs(np.float64(p[i * LANES + l]))
    return total


@inner
def prepared(s, l, settings, rate, scale, norm, n, constants):  # type: ignore[no-untyped-def]
    """What an update of lane ``l`` needs: its settings, and how its gradient is scaled and bounded."""
    for k in range(len(settings)):
        s[(FIRST + k) * W + l] = settings[k]
    s[LR * W + l] = real(settings[0] * rate)
    if settings[2] > 0 and norm > settings[2]:
        scale *= settings[2] / norm
    s[ON * W + l] = real(1.0)
    s[SCALE * W + l] = real(scale)
    s[BOUND * W + l] = settings[3] if settings[3] > 0 else real(np.inf)
    further(s, l, n, constants)
