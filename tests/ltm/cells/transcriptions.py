"""The cells' equations once more, as plain loops over scalars in NumPy float64: what the library is tested against."""

from __future__ import annotations

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(name, p, x, K, hidden, delays=8):
    """Outputs ``(T, O)`` of a cell by name, from parameters ``p`` (name to array) and inputs ``x`` ``(T, I)``."""
    step = {"mrnnf": mrnn, "mlstmf": mlstm, "rnn2": mrnn}.get(name, globals().get(name))
    return np.array(step(p, x, K, hidden, delays))


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


def gru(p, x, K, hidden, delays):
    h, out = np.zeros(hidden), []
    for t in range(len(x)):
        (a_r, a_z, a_n), (b_r, b_z, b_n) = (np.split(v, 3) for v in (p["W_ih"] @ x[t] + p["b_ih"], p["W_hh"] @ h + p["b_hh"]))
        r, z = sigmoid(a_r + b_r), sigmoid(a_z + b_z)
        h = (1 - z) * np.tanh(a_n + r * b_n) + z * h
        out.append(p["V"] @ h + p["c"])
    return out


def mrnn(p, x, K, hidden, delays):
    inputs = x.shape[1]
    h, m, d, out = np.zeros(hidden), np.zeros(hidden), np.zeros(inputs), []
    for t in range(len(x)):
        if "W_d" in p:
            d = 0.5 * sigmoid(p["W_d"] @ np.concatenate([d, h, m, x[t]]) + p["b_d"])
        elif "b_d" in p:
            d = 0.5 * sigmoid(p["b_d"])
        F = np.zeros(inputs)
        for i in range(inputs):
            w = 1.0
            for k in range(1, K + 1):
                w *= (k - 1 - d[i]) / k
                if t - k + 1 >= 0:
                    F[i] += (p["a"][k - 1, i] if "a" in p else w) * x[t - k + 1, i]
        m = np.tanh(p["W_m"] @ m + p["W_f"] @ F + p["b_m"])
        h = np.tanh(p["W_h"] @ h + p["W_x"] @ x[t] + p["b_h"])
        out.append(p["V_h"] @ h + p["V_m"] @ m + p["c"])
    return out


def mlstm(p, x, K, hidden, delays):
    h, d, past, out = np.zeros(hidden), np.zeros(hidden), [], []
    for t in range(len(x)):
        d = 0.5 * sigmoid(p["W_d"] @ np.concatenate([x[t], h, d]) + p["b_d"]) if "W_d" in p else 0.5 * sigmoid(p["b_d"])
        xh = np.concatenate([x[t], h])
        c = sigmoid(p["W_i"] @ xh + p["b_i"]) * np.tanh(p["W_c"] @ xh + p["b_c"])
        for i in range(hidden):
            w = 1.0
            for k in range(1, min(K, t) + 1):
                w *= (k - 1 - d[i]) / k
                c[i] -= w * past[-k][i]
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
