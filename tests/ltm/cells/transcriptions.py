"""The cells' equations once more, as plain loops over scalars in NumPy float64: what the library is tested against."""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(name, p, x, K, hidden, delays=8, **options):
    """Outputs ``(T, O)`` of a cell by name, from parameters ``p`` (name to array) and inputs ``x`` ``(T, I)``."""
    step = {"mrnnf": mrnn, "mlstmf": mlstm, "rnn2": mrnn}.get(name, globals().get(name))
    return np.array(step(p, x, K, hidden, delays, **options))


def rnn(p, x, K, hidden, delays):
    h, out = np.zeros(hidden), []
    for t in range(len(x)):
        h = np.tanh(p["W_ih"] @ x[t] + p["b_ih"] + p["W_hh"] @ h + p["b_hh"])
        out.append(p["V"] @ h + p["c"])
    return out


def lstm(p, x, K, hidden, delays):
    h, c, out = np.zeros(hidden), np.zeros(hidden), []
    for t in range(len(x)):
        i, f, g, o = np.split(p["W_ih"] @ x[t] + p["b_ih"] + p["W_hh"] @ h + p["b_hh"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(p["V"] @ h + p["c"])
    return out


def gru(p, x, K, hidden, delays, reset="after"):
    h, out = np.zeros(hidden), []
    U, b_n = p["W_hh"][2 * hidden :], p["b_hh"][2 * hidden :]
    for t in range(len(x)):
        (a_r, a_z, a_n), (b_r, b_z, _) = (np.split(v, 3) for v in (p["W_ih"] @ x[t] + p["b_ih"], p["W_hh"] @ h + p["b_hh"]))
        r, z = sigmoid(a_r + b_r), sigmoid(a_z + b_z)
        recurrent = r * (U @ h + b_n) if reset == "after" else U @ (r * h) + b_n
        h = (1 - z) * np.tanh(a_n + recurrent) + z * h
        out.append(p["V"] @ h + p["c"])
    return out


def mgu(p, x, K, hidden, delays):
    h, out = np.zeros(hidden), []
    for t in range(len(x)):
        f = sigmoid(p["W_f"] @ np.concatenate([h, x[t]]) + p["b_f"])
        h = (1 - f) * h + f * np.tanh(p["W_h"] @ np.concatenate([f * h, x[t]]) + p["b_h"])
        out.append(p["V"] @ h + p["c"])
    return out


def lstm1997(p, x, K, hidden, delays, block_size=1, truncated=False, gate_recurrence=False, direct=False, frozen=None):
    """``frozen``: what net inputs read of the past at every step, instead of what was computed: the truncated gradient is the derivative with it held."""
    blocks = hidden // block_size
    h, s, gates, out = np.zeros(hidden), np.zeros(hidden), np.zeros(2 * blocks if gate_recurrence else 0), []
    for t in range(len(x)):
        xh = np.concatenate([x[t], *([h, gates] if frozen is None else [frozen[t]])])
        for block in range(blocks):
            i, o = (sigmoid(p[f"W_{gate}"][block] @ xh + p[f"b_{gate}"][block]) for gate in "io")
            if gate_recurrence:
                gates[block], gates[blocks + block] = i, o
            for cell in range(block * block_size, (block + 1) * block_size):
                s[cell] += i * (4 / (1 + np.exp(-(p["W_c"][cell] @ xh + p["b_c"][cell]))) - 2)
                h[cell] = o * (2 / (1 + np.exp(-s[cell])) - 1)
        out.append(p["V_h"] @ h + p["V_x"] @ x[t] + p["c"] if direct else p["V"] @ h + p["c"])
    return out


def peephole(p, x, K, hidden, delays, variant="vanilla"):
    """Greff et al. (2017), Section II, each variant as its one change of these lines."""
    y, c, g, out = np.zeros(hidden), np.zeros(hidden), {gate: np.zeros(hidden) for gate in "ifo"}, []
    for t in range(len(x)):
        before, gates = dict(g), [gate for gate in "ifo" if f"W_{gate}" in p]

        def net(gate, before=before, gates=gates, t=t, y=y):
            W = p[f"W_{gate}"]
            maps = np.split(W, [x.shape[1] + k * hidden for k in range((W.shape[1] - x.shape[1]) // hidden)], 1)
            read = [x[t], y, *(before[one] for one in gates)]
            return sum(R @ v for R, v in zip(maps, read, strict=False)) + p[f"b_{gate}"]

        peep = {gate: p.get(f"p_{gate}", np.zeros(hidden)) for gate in "ifo"}
        z = net("z") if variant == "NIAF" else np.tanh(net("z"))
        g["i"] = np.ones(hidden) if variant == "NIG" else sigmoid(net("i") + peep["i"] * c)
        g["f"] = np.ones(hidden) if variant == "NFG" else 1 - g["i"] if variant.startswith("CIFG") else sigmoid(net("f") + peep["f"] * c)
        c = z * g["i"] + c * g["f"]
        g["o"] = np.ones(hidden) if variant == "NOG" else sigmoid(net("o") + peep["o"] * c)
        y = (c if variant == "NOAF" else np.tanh(c)) * g["o"]
        out.append(p["V"] @ y + p["c"])
    return out


def lnlstm(p, x, K, hidden, delays):
    def norm(v, name):
        return (v - np.mean(v)) / np.sqrt(np.var(v) + 1e-5) * p[f"alpha_{name}"] + p[f"beta_{name}"]

    h, c, out = np.zeros(hidden), np.zeros(hidden), []
    for t in range(len(x)):
        net = norm(p["W_hh"] @ h, "h") + norm(p["W_ih"] @ x[t], "x") + np.concatenate([p[f"b_{gate}"] for gate in "ifgo"])
        i, f, g, o = np.split(net, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(norm(c, "c"))
        out.append(p["V"] @ h + p["c"])
    return out


def slstm(p, x, K, hidden, delays, heads=1, forget_gate="sigmoid"):
    """Without the scale m: the gates themselves, which are small enough here."""
    d, h, c, n, out = hidden // heads, np.zeros(hidden), np.zeros(hidden), np.zeros(hidden), []
    for t in range(len(x)):
        last, h = h, np.zeros(hidden)
        for unit in range(hidden):
            head, inner = divmod(unit, d)
            own = last[head * d : (head + 1) * d]
            i, f, z, o = (
                p["W"][gate * hidden + unit] @ x[t] + p["R"][head * 4 * d + gate * d + inner] @ own + p["b"][gate * hidden + unit]
                for gate in range(4)
            )
            i, f = np.exp(i), sigmoid(f) if forget_gate == "sigmoid" else np.exp(f)
            c[unit], n[unit] = f * c[unit] + i * np.tanh(z), f * n[unit] + i
            h[unit] = sigmoid(o) * c[unit] / n[unit]
        out.append(p["V"] @ h + p["c"])
    return out


def matrixlstm(p, x, K, hidden, delays, heads=1, forget_gate="sigmoid"):
    """Without the scale m, as equations 19 to 27 have it: C is C here, not transposed."""
    d, out = hidden // heads, []
    C, n = np.zeros((heads, d, d)), np.zeros((heads, d))
    for t in range(len(x)):
        net, h = {name: p[f"W_{name}"] @ x[t] for name in "qkvifo"}, np.zeros(hidden)
        for head in range(heads):
            own = slice(head * d, (head + 1) * d)
            q, v = (net[name][own] + p[f"b_{name}"][own] for name in "qv")
            k = net["k"][own] / np.sqrt(d) + p["b_k"][own]
            i, f = np.exp(net["i"][head] + p["b_i"][head]), net["f"][head] + p["b_f"][head]
            f = sigmoid(f) if forget_gate == "sigmoid" else np.exp(f)
            C[head], n[head] = f * C[head] + i * np.outer(v, k), f * n[head] + i * k
            h[own] = sigmoid(net["o"][own] + p["b_o"][own]) * (C[head] @ q) / max(abs(n[head] @ q), 1)
        out.append(p["V"] @ h + p["c"])
    return out


def lru(p, x, K, hidden, delays):
    eigenvalue, z, out = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"])), np.zeros(hidden, complex), []
    for t in range(len(x)):
        z = eigenvalue * z + np.exp(p["gamma"]) * ((p["B_re"] + 1j * p["B_im"]) @ x[t])
        out.append(p["V"] @ (((p["C_re"] + 1j * p["C_im"]) @ z).real + p["D"] @ x[t]) + p["c"])
    return out


def attention(p, x, K, hidden, delays, heads=1, window=16):
    q, k, v = (x @ p[f"W_{name}"].T + p[f"b_{name}"] for name in "qkv")
    d, out = hidden // heads, []
    for t in range(len(x)):
        lags, read = range(min(window, t + 1)), np.zeros(hidden)
        for head in range(heads):
            own = slice(head * d, (head + 1) * d)
            a = np.exp([q[t, own] @ k[t - j, own] / np.sqrt(d) + p["r"][head, j] for j in lags])
            read[own] = sum(a[j] / a.sum() * v[t - j, own] for j in lags)
        out.append(p["V"] @ (p["W_o"] @ read + p["b_o"]) + p["c"])
    return out


def esn(p, x, K, hidden, delays, leak=1.0):
    h, out = np.zeros(hidden), []
    for t in range(len(x)):
        h = (1 - leak) * h + leak * np.tanh(p["W_x"] @ x[t] + p["W_h"] @ h + p["b"])
        out.append(p["V"] @ h + p["c"])
    return out


RANGES = {
    "fractional": {"d": 0.5},
    "exponential": {"r": 1},
    "power": {"a": 2},
    "tempered": {"d": 0.5, "r": 1},
    "gegenbauer": {"d": 0.5, "nu": np.pi},
}


def decay_weights(decay, theta, K):
    """w_1 .. w_K of one filter, each decay by another way than the library's."""
    found, w = [], 1.0
    for k in range(1, K + 1):
        if decay == "exponential":
            w = theta["r"] ** k - theta["r"] ** (k - 1)
        elif decay == "power":
            w = (k + 1) ** -theta["a"] - k ** -theta["a"]
        else:
            w *= (k - 1 - theta["d"]) / k * theta.get("r", 1)
        found.append(w)
    if decay == "gegenbauer":  # (1 - e^(i nu) B)^d (1 - e^(-i nu) B)^d
        turned = np.array([1, *found]) * np.exp(1j * theta["nu"] * np.arange(K + 1))
        found = np.convolve(turned, turned.conj())[1 : K + 1].real
    return found


def mrnn(p, x, K, hidden, delays, decay="fractional"):
    inputs = x.shape[1]
    h, m, theta, out = np.zeros(hidden), np.zeros(hidden), {q: np.zeros(inputs) for q in RANGES.get(decay, ())}, []
    for t in range(len(x)):
        for q, last in theta.items():
            net = p[f"W_{q}"] @ np.concatenate([last, h, m, x[t]]) if f"W_{q}" in p else 0
            theta[q] = RANGES[decay][q] * sigmoid(net + p.get(f"b_{q}", 0))
        F = np.zeros(inputs)
        for i in range(inputs):
            w = p["a"][:, i] if "a" in p else decay_weights(decay, {q: value[i] for q, value in theta.items()}, K)
            F[i] = sum(w[k] * x[t - k, i] for k in range(min(K, t + 1)))
        m = np.tanh(p["W_m"] @ m + p["W_f"] @ F + p["b_m"])
        h = np.tanh(p["W_h"] @ h + p["W_x"] @ x[t] + p["b_h"])
        out.append(p["V_h"] @ h + p["V_m"] @ m + p["c"])
    return out


def filtered(p, x, K, hidden, delays, decay="fractional"):
    out = []
    for t in range(len(x)):
        F = np.zeros(x.shape[1])
        for i in range(x.shape[1]):
            theta = {q: high * sigmoid(p[f"b_{q}"][i]) for q, high in RANGES.get(decay, {}).items()}
            w = p["a"][:, i] if "a" in p else decay_weights(decay, theta, K)
            F[i] = sum(w[k] * x[t - k, i] for k in range(min(K, t + 1)))
        out.append(p["V_h"] @ F + p["V_x"] @ x[t] + p["c"])
    return out


def mlstm(p, x, K, hidden, delays, decay="fractional"):
    h, theta, past, out = np.zeros(hidden), {q: np.zeros(hidden) for q in RANGES[decay]}, [], []
    for t in range(len(x)):
        for q, last in theta.items():
            net = p[f"W_{q}"] @ np.concatenate([x[t], h, last]) if f"W_{q}" in p else 0
            theta[q] = RANGES[decay][q] * sigmoid(net + p[f"b_{q}"])
        xh = np.concatenate([x[t], h])
        c = sigmoid(p["W_i"] @ xh + p["b_i"]) * np.tanh(p["W_c"] @ xh + p["b_c"])
        for i in range(hidden):
            w = decay_weights(decay, {q: value[i] for q, value in theta.items()}, K)
            c[i] -= sum(w[k - 1] * past[-k][i] for k in range(1, min(K, t) + 1))
        past.append(c)
        h = sigmoid(p["W_o"] @ xh + p["b_o"]) * np.tanh(c)
        out.append(p["V"] @ h + p["c"])
    return out


def rwa(p, x, K, hidden, delays):
    h, n, m, out = np.zeros(hidden), np.zeros(hidden), np.zeros(hidden), []
    for t in range(len(x)):
        xh = np.concatenate([x[t], h])
        a = p["W_a"] @ xh
        z = (p["W_u"] @ x[t] + p["b_u"]) * np.tanh(p["W_g"] @ xh + p["b_g"])
        n, m = n + z * np.exp(a), m + np.exp(a)
        h = np.tanh(n / m)
        out.append(p["V"] @ h + p["c"])
    return out


def mist(p, x, K, hidden, delays):
    past, out = [], []

    def h(lag):
        return past[-lag] if lag <= len(past) else np.zeros(hidden)

    for t in range(len(x)):
        hx = np.concatenate([h(1), x[t]])
        a = np.exp(p["W_a"] @ hx + p["b_a"])
        a /= a.sum()
        r = sigmoid(p["W_r"] @ hx + p["b_r"])
        mixed = sum(a[i] * h(2**i) for i in range(delays))
        past.append(np.tanh(p["W_h"] @ (r * mixed) + p["W_x"] @ x[t] + p["b"]))
        out.append(p["V"] @ past[-1] + p["c"])
    return out


def feedforward(p, x, K, hidden, delays, activation="tanh"):
    f = {"tanh": np.tanh, "relu": lambda net: np.maximum(net, 0), "identity": lambda net: net}[activation]
    return [p["V"] @ f(p["W"] @ one + p["b"]) + p["c"] for one in x]


def convlstm(p, x, K, hidden, delays, rows=1, columns=1, kernel=3):
    pixels, reach, out = rows * columns, kernel // 2, []
    W = p["W"].reshape(4, hidden // pixels, -1, kernel, kernel)
    h, c, bias = np.zeros(hidden), np.zeros(hidden), np.stack([p[f"b_{gate}"] for gate in "ifgo"])
    for t in range(len(x)):
        image = np.pad(np.concatenate([x[t], h]).reshape(-1, rows, columns), ((0, 0), (reach, reach), (reach, reach)))
        net = np.zeros((4, hidden // pixels, rows, columns))
        for row in range(rows):
            for column in range(columns):
                net[:, :, row, column] = (W * image[:, row : row + kernel, column : column + kernel]).sum((2, 3, 4)) + bias
        i, f, g, o = net.reshape(4, hidden)
        c = sigmoid(f + p["p_f"] * c) * c + sigmoid(i + p["p_i"] * c) * np.tanh(g)
        h = sigmoid(o + p["p_o"] * c) * np.tanh(c)
        out.append(p["V"] @ h + p["c"])
    return out


def released_modules(name, p, q):
    """Parameters by name as modules of PyTorch draw them from its global generator, constructed in the order of the released code."""
    import torch
    from torch.nn import Linear

    if name in ("rnn", "lstm"):
        cell, out = torch.nn.RNN(p, q) if name == "rnn" else torch.nn.LSTMCell(p, q), Linear(q, 1)
        found = [value for key, value in cell.named_parameters()]
        return dict(zip(("W_ih", "W_hh", "b_ih", "b_hh"), found, strict=True)) | {"V": out.weight, "c": out.bias}
    if name in ("mlstm", "mlstmf"):
        c, i, d, o, out = Linear(p + q, q), Linear(p + q, q), Linear(p + 2 * q, q), Linear(p + q, q), Linear(q, 1)
        memory = {"W_d": d.weight, "b_d": d.bias} if name == "mlstm" else {"b_d": torch.zeros(q)}
        gates = {"W_c": c.weight, "b_c": c.bias, "W_i": i.weight, "b_i": i.bias, "W_o": o.weight, "b_o": o.bias}
        return {**memory, **gates, "V": out.weight, "c": out.bias}
    torch.nn.RNNCell(p, q)  # what the released cell inherits and does not use
    memory = {"b_d": torch.zeros(p)}
    if name == "mrnn":
        d, h, m, x = Linear(p, p), Linear(q, p, bias=False), Linear(q, p, bias=False), Linear(p, p, bias=False)
        memory = {"W_d": torch.cat([d.weight, h.weight, m.weight, x.weight], 1), "b_d": d.bias}
    m, f, h = Linear(q, q), Linear(p, q, bias=False), Linear(q, q)
    x, h_z, m_z = Linear(p, q, bias=False), Linear(q, 1), Linear(q, 1, bias=False)
    tracks = {"W_m": m.weight, "b_m": m.bias, "W_f": f.weight, "W_h": h.weight, "b_h": h.bias, "W_x": x.weight}
    return {**memory, **tracks, "V_h": h_z.weight, "V_m": m_z.weight, "c": h_z.bias}
