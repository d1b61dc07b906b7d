"""The study in JAX: the seeds of a condition as one program, conditions in two processes; the same command again skips those with a file of results."""

import itertools
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from seen import note  # measurement

FOLDER = Path(os.environ["STUDY"])
STUDY = json.loads((FOLDER / "study.json").read_text())
jax.config.update("jax_compilation_cache_dir", f"{FOLDER}/compiled")
TRAIN, END, K = STUDY["train"], STUDY["train"] + STUDY["validation"], STUDY["K"]


def rnn(p, s, x):
    h = jnp.tanh(p["W_ih"] @ x[:1] + p["b_ih"] + p["W_hh"] @ s[0] + p["b_hh"])
    return (h,), p["V"] @ h + p["c"]


def lstm(p, s, x):
    i, f, g, o = jnp.split(p["W_ih"] @ x[:1] + p["b_ih"] + p["W_hh"] @ s[0] + p["b_hh"], 4)
    c = jax.nn.sigmoid(f) * s[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), p["V"] @ h + p["c"]


def gru(p, s, x):
    r, z, n = jnp.split(p["W_ih"] @ x[:1] + p["b_ih"], 3)
    r_h, z_h, n_h = jnp.split(p["W_hh"] @ s[0] + p["b_hh"], 3)
    z = jax.nn.sigmoid(z + z_h)
    h = (1 - z) * jnp.tanh(n + jax.nn.sigmoid(r + r_h) * n_h) + z * s[0]
    return (h,), p["V"] @ h + p["c"]


def mrnn(p, s, x):
    h, m, d = s
    d = 0.5 * jax.nn.sigmoid(p["W_d"] @ jnp.concatenate([d, h, m, x[:1]]) + p["b_d"])
    lags = jnp.arange(K)
    filtered = jnp.cumprod((lags - d) / (lags + 1)) @ x  # (1 - B)^d
    h = jnp.tanh(p["W_h"] @ h + p["W_x"] @ x[:1] + p["b_h"])
    m = jnp.tanh(p["W_m"] @ m + p["W_f"] @ filtered[None] + p["b_m"])
    return (h, m, d), p["V_h"] @ h + p["V_m"] @ m + p["c"]


def rwa(p, s, x):
    h, n, m, before = s
    xh = jnp.concatenate([x[:1], h])
    a = p["W_a"] @ xh
    top = jnp.maximum(before, jax.lax.stop_gradient(a))
    old, new = jnp.exp(before - top), jnp.exp(a - top)
    n, m = n * old + (p["W_u"] @ x[:1] + p["b_u"]) * jnp.tanh(p["W_g"] @ xh + p["b_g"]) * new, m * old + new
    h = jnp.tanh(n / m)
    return (h, n, m, top), p["V"] @ h + p["c"]


def gated(gates):
    return {"W_ih": (gates, 1), "W_hh": (gates, 1), "b_ih": (gates,), "b_hh": (gates,), "V": (1, 1), "c": (1,)}


MAP = {f"W_{name}": (1, 1) for name in "hxmf"} | {"b_h": (1,), "b_m": (1,)}
SHAPES = {
    "rnn": gated(1),
    "lstm": gated(4),
    "gru": gated(3),
    "mrnn": {"W_d": (1, 4), "b_d": (1,), **MAP, "V_h": (1, 1), "V_m": (1, 1), "c": (1,)},
    "rwa": {"W_u": (1, 1), "b_u": (1,), "W_g": (1, 2), "b_g": (1,), "W_a": (1, 2), "V": (1, 1), "c": (1,)},
}
STEPS = {
    "rnn": (rnn, (0.0,)),
    "lstm": (lstm, (0.0, 0.0)),
    "gru": (gru, (0.0,)),
    "mrnn": (mrnn, (0.0,) * 3),
    "rwa": (rwa, (0.0, 0.0, 0.0, -1e30)),
}


def initial(model, seed):
    """Parameters, uniform within 1 / sqrt(fan-in)."""
    keys = jax.random.split(jax.random.key(seed), len(SHAPES[model]))
    bounds = {name: 2**-0.5 if name in ("W_g", "b_g", "W_a") else 1.0 for name in SHAPES[model]}
    return {
        name: jax.random.uniform(key, shape, minval=-bounds[name], maxval=bounds[name])
        for key, (name, shape) in zip(keys, SHAPES[model].items(), strict=True)
    }


def fit(model, p, x, y):
    """The test error, on the scaled series, of the best epoch's parameters, and validation losses by epoch."""
    step, start = STEPS[model]
    adam = optax.adam(STUDY["lr"])

    def run(p, state, part):
        state, outputs = jax.lax.scan(partial(step, p), state, x[part])
        return ((outputs - y[part]) ** 2).mean(), state

    def epoch(carry, _):
        p, slots, best, kept = carry
        (_, state), gradient = jax.value_and_grad(run, has_aux=True)(p, begin, slice(0, TRAIN))
        loss, _ = run(p, state, slice(TRAIN, END))
        kept = jax.tree.map(lambda new, old: jnp.where(loss < best, new, old), p, kept)
        updates, slots = adam.update(gradient, slots)
        return (optax.apply_updates(p, updates), slots, jnp.minimum(loss, best), kept), loss

    begin = tuple(jnp.full(1, value) for value in start)
    (_, _, _, kept), losses = jax.lax.scan(epoch, (p, adam.init(p), jnp.inf, p), None, length=STUDY["epochs"])
    _, state = run(kept, begin, slice(0, END))
    return jnp.sqrt(run(kept, state, slice(END, None))[0]), losses


@partial(jax.jit, static_argnums=0)
def seeds(model, x, y):
    """Test errors of all seeds, (S,)."""
    return jax.vmap(lambda seed: fit(model, initial(model, seed), x, y)[0])(jnp.arange(STUDY["seeds"]))


def sequences(series):
    """Windows (T, K), the most recent value first, and next values (T, 1) of a series that is scaled to [0, 1], and the scale."""
    values = np.loadtxt(FOLDER / f"{series}.csv", skiprows=1)
    scaled = (values - values.min()) / np.ptp(values)
    padded = np.concatenate([np.zeros(K - 1), scaled[:-1]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, K)[:, ::-1]
    return jnp.asarray(windows, jnp.float32), jnp.asarray(scaled[1:, None], jnp.float32), np.ptp(values)


def condition(point):
    """Train one condition, unless its file is there."""
    model, series = point
    file = FOLDER / f"{model}-{series}.npy"
    if not file.exists():
        for seed in range(STUDY["seeds"]):  # measurement
            note("began", model, series, seed)  # measurement
        x, y, scale = sequences(series)
        np.save(file, scale * np.asarray(seeds(model, x, y)))
        for seed in range(STUDY["seeds"]):  # measurement
            note("ended", model, series, seed)  # measurement
    return pd.DataFrame({"model": model, "series": series, "seed": range(STUDY["seeds"]), "test_rmse": np.load(file)})


if __name__ == "__main__":
    points = list(itertools.product(STUDY["models"], STUDY["series"]))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:  # the series of a model in one process, which compiles it once
        tables = pool.map(condition, points, chunksize=len(STUDY["series"]))
        pd.concat(tables).to_csv(FOLDER / "table.csv", index=False)
