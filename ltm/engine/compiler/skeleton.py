"""What every kernel contains around its printed programs: an epoch, many epochs, gradients, and prediction.

This is no module to call: the text below the line becomes part of each generated module, where the names above it are the kernel's own
(:func:`ltm.engine.compiler.kernel`). A vector is ``W`` elements, a group has ``LANES`` seeds, and ``SIZE`` elements of parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ltm.engine.base import COMPLETED, DIVERGED, RUNNING, STOPPED

given: Any = None
inner = entry = lambda function: function
load = store = full = add = sub = mul = div = fma = sqrt = where = real = given
each = given  # one number a lane, as a vector
lanes = groups = mine = given  # what a CPU loops over, and a GPU's threads and blocks are
prologue = forward = backward = epilogue = given
W = LANES = N = SIZE = WORK = LOSS = RW = OUTPUTS = 1

# ---- of every kernel ---------------------------------------------------------------------------------------------------

BEST_VALIDATION, TRAIN_AT_BEST, BEST_TRAIN, LR, WEIGHT_DECAY, CLIP = range(6)
BEST_EPOCH, STALE, EPOCH, STATUS = range(4)
TRAIN, VALIDATION, BETTER, ON, SCALE, RATE, CORRECTION, DECAY = range(8)


@inner
def sweep(p, g, w, wt, tr, f, px, kt, s, first, end, total):  # type: ignore[no-untyped-def]
    """Losses are summed in chunks, so that float32 loses nothing over thousands of steps."""
    zero = full(real(0.0))
    store(s, total * W, zero)
    for t in range(first, end, 64):
        store(w, LOSS, zero)
        forward(p, g, w, wt, tr, f, px, kt, t, min(t + 64, end))
        store(s, total * W, add(load(s, total * W), load(w, LOSS)))


@inner
def gradient(p, g, w, wt, tr, f, px, kt, s, train, end):  # type: ignore[no-untyped-def]
    """Losses of training and validation into ``s``, the gradient of the first into ``g``."""
    zero = full(real(0.0))
    for i in range(0, SIZE, W):
        store(g, i, zero)
    for i in range(0, WORK, W):
        store(w, i, zero)
    prologue(p, g, w, wt, tr, f, px, kt)
    sweep(p, g, w, wt, tr, f, px, kt, s, 0, train, TRAIN)
    sweep(p, g, w, wt, tr, f, px, kt, s, train, end, VALIDATION)
    backward(p, g, w, wt, tr, f, px, kt, train)
    epilogue(p, g, w, wt, tr, f, px, kt)
    store(s, TRAIN * W, div(load(s, TRAIN * W), full(real(train * OUTPUTS))))
    store(s, VALIDATION * W, div(load(s, VALIDATION * W), full(real(max(end - train, 1) * OUTPUTS))))


@inner
def judge(l, p, g, s, reals, counts, protocol, curves, e):  # type: ignore[no-untyped-def]
    """What the protocol does with one epoch of lane ``l``, as :func:`ltm.engine.reference.one_epoch` has it: what to do next, in ``s``."""
    max_epochs, patience, min_delta, beta1, beta2, _ = protocol
    s[BETTER * W + l] = s[ON * W + l] = real(0.0)
    if counts[STATUS, l] != RUNNING:
        return
    train, validation = s[TRAIN * W + l], s[VALIDATION * W + l]
    counts[EPOCH, l] += 1
    curves[0, e, l], curves[1, e, l] = train, validation
    norm, size = 0.0, 0.0
    for i in range(N):
        slope = np.float64(g[i * LANES + l])  # float64: the square of a large gradient is no divergence
        norm += slope * slope
        size += abs(np.float64(p[i * LANES + l]))
    norm = math.sqrt(norm)
    if not (math.isfinite(size) and math.isfinite(train) and math.isfinite(validation) and math.isfinite(norm)):
        counts[STATUS, l] = DIVERGED
        return
    if validation < reals[BEST_VALIDATION, l]:
        reals[BEST_VALIDATION, l], reals[TRAIN_AT_BEST, l] = validation, train
        counts[BEST_EPOCH, l] = counts[EPOCH, l]
        s[BETTER * W + l] = real(1.0)
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
    s[ON * W + l] = real(1.0)
    s[SCALE * W + l] = real(scale)
    s[RATE * W + l] = real(reals[LR, l] / (1.0 - beta1 ** counts[EPOCH, l]))
    s[CORRECTION * W + l] = real(math.sqrt(1.0 - beta2 ** counts[EPOCH, l]))
    s[DECAY * W + l] = reals[WEIGHT_DECAY, l]


@inner
def adam(p, g, s, m, v, best, protocol):  # type: ignore[no-untyped-def]
    """Keep the best parameters, and take one step of Adam (Kingma & Ba 2015) in the lanes that go on."""
    beta1, beta2, eps = full(protocol[3]), full(protocol[4]), full(protocol[5])
    one = full(real(1.0))
    better, on, scale, rate = each(s, BETTER * W), each(s, ON * W), each(s, SCALE * W), each(s, RATE * W)
    correction, decay = each(s, CORRECTION * W), each(s, DECAY * W)
    for i in range(0, SIZE, W):
        x = load(p, i)
        store(best, i, where(better, x, load(best, i)))
        slope = fma(load(g, i), scale, mul(decay, x))
        first = fma(beta1, load(m, i), mul(sub(one, beta1), slope))
        second = fma(beta2, load(v, i), mul(sub(one, beta2), mul(slope, slope)))
        step = div(mul(rate, first), add(div(sqrt(second), correction), eps))
        store(m, i, where(on, first, load(m, i)))
        store(v, i, where(on, second, load(v, i)))
        store(p, i, where(on, sub(x, step), x))


@entry
def advance(params, m, v, best, reals, counts, curves, memory, inputs, epochs, protocol, train, end):  # type: ignore[no-untyped-def]
    gs, ws, wts, trs, ss = memory
    f, px, kt = inputs
    for group in groups(params.shape[0]):
        b, p = mine(group), params[group]
        g, w, wt, tr, s = gs[b], ws[b], wts[b], trs[b], ss[b]
        for e in range(epochs):
            running = False
            for l in lanes():
                running = running or counts[group, STATUS, l] == RUNNING
            if not running:
                break
            gradient(p, g, w, wt, tr, f, px, kt, s, train, end)
            for l in lanes():
                judge(l, p, g, s, reals[group], counts[group], protocol, curves[group], e)
            adam(p, g, s, m[group], v[group], best[group], protocol)


@entry
def gradients(params, grads, losses, memory, inputs, train, end):  # type: ignore[no-untyped-def]
    _, ws, wts, trs, ss = memory
    f, px, kt = inputs
    for group in groups(params.shape[0]):
        b = mine(group)
        gradient(params[group], grads[group], ws[b], wts[b], trs[b], f, px, kt, ss[b], train, end)
        for l in lanes():
            losses[group, 0, l], losses[group, 1, l] = ss[b, TRAIN * W + l], ss[b, VALIDATION * W + l]


@entry
def predict(params, out, memory, inputs, slots, lead, length):  # type: ignore[no-untyped-def]
    gs, ws, wts, trs, _ = memory
    f, px, kt = inputs
    for group in groups(params.shape[0]):
        b = mine(group)
        w, tr = ws[b], trs[b]
        for i in range(0, WORK, W):
            store(w, i, full(real(0.0)))
        prologue(params[group], gs[b], w, wts[b], tr, f, px, kt)
        forward(params[group], gs[b], w, wts[b], tr, f, px, kt, 0, length)
        for t in range(length):
            for j in range(len(slots)):
                for l in lanes():
                    out[group, t, j, l] = tr[(t + lead) * RW + slots[j] + l]
