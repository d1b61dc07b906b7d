"""Of kernels for batches of sequences: all updates of an epoch in one call. No module to call (:mod:`ltm.engine.compiler.skeleton.common`).

A batch is run in rounds of ``ENTRIES`` sequences a seed; ``rows`` says which sequence of the pool each lane of a vector runs, the last and empty
one where there is none. ``X`` has the inputs of every sequence as one row, ``P`` padded inputs, ``Y`` targets and ``V`` the weights of steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ltm.engine.compiler.skeleton.common import SMOOTHNESS, clear, norm_of, prepared

given: Any = None
inner = entry = lambda function: function
transpose = prefetch = real = given
lanes = groups = mine = each_lane = given
prologue = below = forward = backward = clean = epilogue = optimise = smoothed = train_masks = no_masks = given
W = LANES = ENTRIES = SIZE = WORK = CARRY = LOSS = RW = WIDTH = TARGETS = WEIGHTS = OUTPUTS = GATHERED = APART = 1

# ---- of every kernel ---------------------------------------------------------------------------------------------------


@inner
def chosen(rows, order, e, high, lengths, starts):  # type: ignore[no-untyped-def]
    """Which sequence every lane runs in the round from place ``e`` of the order on; the steps of the longest, and the first that counts."""
    empty = len(lengths) - 1
    T, first = 1, lengths[empty]
    for l in range(len(rows)):
        seed, at = (l // ENTRIES) % LANES, e + l % ENTRIES
        row = order[seed, at] if at < high else empty
        rows[l] = row
        if row != empty:
            T = max(T, lengths[row])
            first = starts[row] if l == 0 else min(first, starts[row])
    return T, min(first, T - 1)


@inner
def gather(to, at, rows, pool, stride, first, n):  # type: ignore[no-untyped-def]
    """Elements ``first`` to ``n`` of the rows of a pool, an element of all lanes side by side. A row of 8 lanes is written twice over: the
    next element takes the place of what is too much."""
    for block in range(0, W, 16):
        for k in range(16):
            at[k] = rows[block + k] * stride
        for j in range(first, n, 16):
            transpose(to, j * W + block, W, pool, at, j)


@inner
def fetched(order, e, high, X, stride, lengths):  # type: ignore[no-untyped-def]
    """Ask for the inputs of the round after this one, which lie anywhere in memory."""
    for l in range(LANES * ENTRIES):
        at = e + l % ENTRIES
        if at < high:
            row = order[(l // ENTRIES) % LANES, at]
            for j in range(0, min(lengths[row] * WIDTH // (W if GATHERED else 1), 1024), 16):
                prefetch(X, row * stride + j)


@inner
def counted(sw, rows, lengths, mass, first, T):  # type: ignore[no-untyped-def]
    """The weights of the steps of labelled sequences: that of each at its last."""
    for t in range(first, T):
        for l in range(len(rows)):
            sw[t * WEIGHTS + l] = real(mass[rows[l]]) if lengths[rows[l]] == t + 1 else real(0.0)


@inner
def taken(rows, at, pool, strides, memory, tables, T, first):  # type: ignore[no-untyped-def]
    """Inputs, padded inputs, targets and weights of a round: gathered lane by lane, or as they lie in the pool where there is one lane."""
    X, P, Y, V = pool
    sx, sp, sy, sv = strides
    f, px, ta, sw = memory
    if GATHERED:
        gather(f, at, rows, X, sx, 0, T * WIDTH // W)
        if sp > 0:
            gather(px, at, rows, P, sp, 0, sp)
        gather(ta, at, rows, Y, sy, 0 if TARGETS == 0 else first * TARGETS // W, OUTPUTS if TARGETS == 0 else T * TARGETS // W)
        if TARGETS == 0:
            counted(sw, rows, tables[1], tables[3], first, T)
        else:
            gather(sw, at, rows, V, sv, first, T)
        return f, px, ta, sw
    r = rows[0]
    return X[r * sx : (r + 1) * sx], P[r * sp : (r + 1) * sp], Y[r * sy : (r + 1) * sy], V[r * sv : (r + 1) * sv]


@inner
def summed(seen, w, rows, mass):  # type: ignore[no-untyped-def]
    """The losses and weights of a round, added to those of each seed."""
    for l in range(len(rows)):
        seed = (l // ENTRIES) % LANES
        seen[seed, 0] += np.float64(w[LOSS + l])
        seen[seed, 1] += mass[rows[l]]
        w[LOSS + l] = real(0.0)


@entry
def train(params, slots, settings, seen, grads, order, keys, memory, pool, strides, tables, constants, rate, first, count, batch, before):  # type: ignore[no-untyped-def]
    """Updates ``first`` to ``first + count`` of an epoch, of which ``before`` lie in earlier epochs. Without an update (``rate`` < 0) the gradient is left in ``grads``."""
    gs, ws, cs, wts, trs, ss, fs, pxs, ys, vs, rows, at = memory
    kt, lengths, starts, mass = tables
    now = np.zeros((LANES, 2))
    for group in groups(params.shape[0]):
        b, p = mine(group), params[group]
        g, w, ca, wt, tr, s = gs[b], ws[b], cs[b], wts[b], trs[b], ss[b]
        own = fs[b], pxs[b], ys[b], vs[b]
        for u in range(first, first + count):
            clear(g, SIZE)
            clear(w, WORK)
            for l in range(LANES):
                now[l, 0] = now[l, 1] = 0.0
            f, px, ta, sw = own
            prologue(p, g, w, ca, wt, tr, f, px, kt, ta, sw)
            high = min((u + 1) * batch, order.shape[2])
            for e in range(u * batch, high, ENTRIES):
                T, start = chosen(rows, order[group], e, high, lengths, starts)
                if not APART:
                    start = 0
                f, px, ta, sw = taken(rows, at, pool, strides, own, tables, T, start)
                if e + ENTRIES < high:
                    fetched(order[group], e + ENTRIES, high, pool[0], strides[0], lengths)
                elif u + 1 < first + count:
                    fetched(order[group], (u + 1) * batch, min((u + 2) * batch, order.shape[2]), pool[0], strides[0], lengths)
                train_masks(w, tr, kt, T, keys[group], settings[group], before + u + 1, e - u * batch)
                clear(ca, CARRY)
                below(p, g, w, ca, wt, tr, f, px, kt, ta, sw, T, T)
                forward(p, g, w, ca, wt, tr, f, px, kt, ta, sw, start, T, T)
                backward(p, g, w, ca, wt, tr, f, px, kt, ta, sw, start, T, T)
                clean(p, g, w, ca, wt, tr, f, px, kt, ta, sw, start, T)
                summed(now, w, rows, mass)
            epilogue(p, g, w, ca, wt, tr, f, px, kt, ta, sw)
            for l in lanes():
                seen[group, l, 0] += now[l, 0]
                seen[group, l, 1] += now[l, 1]
                scale = 1.0 / now[l, 1] if now[l, 1] > 0 else 0.0
                if rate >= 0 and scale > 0:
                    smoothed(p, g, l, np.float64(settings[group, l, SMOOTHNESS]) / scale)
                norm = norm_of(g, l, scale) if settings[group, l, 2] > 0 else 0.0
                prepared(s, l, settings[group, l], abs(rate), scale, norm, before + u + 1, constants)
            if rate >= 0:
                each_lane(s)
                optimise(p, g, slots[group], s, constants)
            else:
                for i in range(SIZE):
                    grads[group, i] = g[i]


@entry
def evaluate(params, seen, out, order, memory, pool, strides, tables, slots, places, lead):  # type: ignore[no-untyped-def]
    """Losses of sequences, and where there is room in ``out`` what lies in ``slots`` of the trajectory at their counted steps; ``places``: of the first of each sequence."""
    gs, ws, cs, wts, trs, _, fs, pxs, ys, vs, rows, at = memory
    kt, lengths, starts, mass = tables
    V, sv = pool[3], strides[3]
    for group in groups(params.shape[0]):
        b, p = mine(group), params[group]
        g, w, ca, wt, tr = gs[b], ws[b], cs[b], wts[b], trs[b]
        own = fs[b], pxs[b], ys[b], vs[b]
        clear(w, WORK)
        f, px, ta, sw = own
        prologue(p, g, w, ca, wt, tr, f, px, kt, ta, sw)
        n = order.shape[2]
        for e in range(0, n, ENTRIES):
            T, start = chosen(rows, order[group], e, n, lengths, starts)
            if not APART:
                start = 0
            f, px, ta, sw = taken(rows, at, pool, strides, own, tables, T, start)
            no_masks(w, tr, kt, T)
            clear(ca, CARRY)
            below(p, g, w, ca, wt, tr, f, px, kt, ta, sw, T, T)
            forward(p, g, w, ca, wt, tr, f, px, kt, ta, sw, start, T, T)
            summed(seen[group], w, rows, mass)
            if out.shape[1] > 0:
                for l in range(len(rows)):
                    k = places[rows[l]]
                    for t in range(start, T):
                        if V[rows[l] * sv + t] > 0:
                            for j in range(len(slots)):
                                out[group, k, j, (l // ENTRIES) % LANES] = tr[(t + lead) * RW + slots[j] + l]
                            k += 1
