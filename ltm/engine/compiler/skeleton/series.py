"""Of kernels for one long sequence: epochs of one update each, judged within the kernel. No module to call (:mod:`ltm.engine.compiler.skeleton.common`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ltm.engine.compiler.skeleton.common import BETTER, ON, SMOOTHNESS, TRAIN, VALIDATION, clear, norm_of, prepared, size_of
from ltm.training.stopping import EPOCH, RUNNING, STATE, judge

given: Any = None
inner = entry = lambda function: function
load = store = full = add = div = where = real = given
lanes = groups = mine = each_lane = given  # what a CPU loops over, and a GPU's threads and blocks are
prologue = below = forward = backward = epilogue = optimise = smoothed = given
W = VECTOR = LANES = SIZE = WORK = CARRY = LOSS = RW = 1

# ---- of every kernel ---------------------------------------------------------------------------------------------------


@inner
def sweep(p, g, w, ca, wt, tr, f, px, kt, ta, sw, s, first, end, T, total):  # type: ignore[no-untyped-def]
    """Losses are summed in chunks, so that float32 loses nothing over thousands of steps."""
    zero = full(real(0.0))
    store(s, total * W, zero)
    for t in range(first, end, 64):
        store(w, LOSS, zero)
        forward(p, g, w, ca, wt, tr, f, px, kt, ta, sw, t, min(t + 64, end), T)
        store(s, total * W, add(load(s, total * W), load(w, LOSS)))


@inner
def gradient(p, g, w, ca, wt, tr, f, px, kt, ta, sw, s, train, end):  # type: ignore[no-untyped-def]
    """Losses of training and validation into ``s``, the gradient of the first into ``g``."""
    clear(g, SIZE)
    clear(w, WORK)
    clear(ca, CARRY)
    prologue(p, g, w, ca, wt, tr, f, px, kt, ta, sw)
    below(p, g, w, ca, wt, tr, f, px, kt, ta, sw, end, end)
    sweep(p, g, w, ca, wt, tr, f, px, kt, ta, sw, s, 0, train, end, TRAIN)
    sweep(p, g, w, ca, wt, tr, f, px, kt, ta, sw, s, train, end, end, VALIDATION)
    backward(p, g, w, ca, wt, tr, f, px, kt, ta, sw, 0, train, end)
    epilogue(p, g, w, ca, wt, tr, f, px, kt, ta, sw)
    store(s, TRAIN * W, div(load(s, TRAIN * W), full(real(train))))
    store(s, VALIDATION * W, div(load(s, VALIDATION * W), full(real(max(end - train, 1)))))


@inner
def judged(l, p, g, s, reals, counts, settings, rate, rules, constants, curves, e):  # type: ignore[no-untyped-def]
    """What the protocol does with one epoch of lane ``l``: what to do next, in ``s``."""
    s[BETTER * W + l] = s[ON * W + l] = real(0.0)
    if counts[STATE] != RUNNING:
        return
    train, validation = s[TRAIN * W + l], s[VALIDATION * W + l]
    curves[0, e], curves[1, e] = train, validation
    smoothed(p, g, l, np.float64(settings[SMOOTHNESS]))
    norm = norm_of(g, l, 1.0)
    finite = math.isfinite(size_of(p, l)) and math.isfinite(train) and math.isfinite(validation) and math.isfinite(norm)
    if judge(reals, counts, train, validation, finite, False, rules[0], rules[1], rules[2], rules[3]):
        s[BETTER * W + l] = real(1.0)
    if counts[STATE] == RUNNING:
        prepared(s, l, settings, rate, 1.0, norm, counts[EPOCH], constants)


@inner
def keep(p, best, s):  # type: ignore[no-untyped-def]
    """Keep the best parameters."""
    better = load(s, BETTER * W)
    for i in range(0, SIZE, VECTOR):
        store(best, i, where(better, load(p, i), load(best, i)))


@entry
def advance(params, slots, best, reals, counts, settings, curves, memory, inputs, epochs, rates, rules, constants, train, end):  # type: ignore[no-untyped-def]
    gs, ws, cs, wts, trs, ss = memory
    f, px, kt, ta, sw = inputs
    for group in groups(params.shape[0]):
        b, p = mine(group), params[group]
        g, w, ca, wt, tr, s = gs[b], ws[b], cs[b], wts[b], trs[b], ss[b]
        for e in range(epochs):
            running = False
            for l in lanes():
                running = running or counts[group, l, STATE] == RUNNING
            if not running:
                break
            gradient(p, g, w, ca, wt, tr, f, px, kt, ta, sw, s, train, end)
            for l in lanes():
                judged(l, p, g, s, reals[group, l], counts[group, l], settings[group, l], rates[e], rules, constants, curves[group, l], e)
            each_lane(s)
            keep(p, best[group], s)
            optimise(p, g, slots[group], s, constants)


@entry
def gradients(params, grads, losses, memory, inputs, train, end):  # type: ignore[no-untyped-def]
    _, ws, cs, wts, trs, ss = memory
    f, px, kt, ta, sw = inputs
    for group in groups(params.shape[0]):
        b = mine(group)
        gradient(params[group], grads[group], ws[b], cs[b], wts[b], trs[b], f, px, kt, ta, sw, ss[b], train, end)
        for l in lanes():
            losses[group, 0, l], losses[group, 1, l] = ss[b, TRAIN * W + l], ss[b, VALIDATION * W + l]


@entry
def predict(params, out, memory, inputs, slots, lead, length):  # type: ignore[no-untyped-def]
    gs, ws, cs, wts, trs, _ = memory
    f, px, kt, ta, sw = inputs
    for group in groups(params.shape[0]):
        b = mine(group)
        p, w, ca, tr = params[group], ws[b], cs[b], trs[b]
        clear(w, WORK)
        clear(ca, CARRY)
        prologue(p, gs[b], w, ca, wts[b], tr, f, px, kt, ta, sw)
        below(p, gs[b], w, ca, wts[b], tr, f, px, kt, ta, sw, length, length)
        forward(p, gs[b], w, ca, wts[b], tr, f, px, kt, ta, sw, 0, length, length)
        for t in range(length):
            for j in range(len(slots)):
                for l in lanes():
                    out[group, t, j, l] = tr[(t + lead) * RW + slots[j] + l]
