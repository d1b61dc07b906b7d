"""A user's own training code in torch, which Ray Tune, Hydra and Optuna call for one seed run at a time."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import torch
from seen import note  # measurement
from torch import nn

FOLDER = Path(os.environ["STUDY"])
STUDY = json.loads((FOLDER / "study.json").read_text())
torch.set_num_threads(1)


class MRNN(nn.Module):
    """The memory-augmented RNN of Zhao et al. (2020), of one unit; inputs are windows, the most recent value first."""

    def __init__(self):
        super().__init__()
        self.memory, self.hidden, self.filtered = nn.Linear(4, 1), nn.Linear(2, 1), nn.Linear(2, 1)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1)
        self.lags = torch.arange(STUDY["K"], dtype=torch.float32)

    def forward(self, windows, state=None):
        d, h, m = state or (torch.zeros(1),) * 3
        outputs = []
        for window in windows:
            now = window[:1]
            d = 0.5 * torch.sigmoid(self.memory(torch.cat([d, h, m, now])))
            weights = torch.cumprod((self.lags - d) / (self.lags + 1), 0)  # of (1 - B)^d
            h = torch.tanh(self.hidden(torch.cat([h, now])))
            m = torch.tanh(self.filtered(torch.cat([m, (weights @ window)[None]])))
            outputs.append(torch.cat([h, m]))
        return torch.stack(outputs), (d, h, m)


class RWA(nn.Module):
    """The recurrent weighted average of Ostmeyer & Cowell (2017), of one unit."""

    def __init__(self):
        super().__init__()
        self.value, self.gate, self.attention = nn.Linear(1, 1), nn.Linear(2, 1), nn.Linear(2, 1, bias=False)

    def forward(self, x, state=None):
        h, n, m, top = state or (*(torch.zeros(1),) * 3, torch.full((1,), -1e30))
        outputs = []
        for now, value in zip(x, self.value(x), strict=True):
            xh = torch.cat([now, h])
            a, before = self.attention(xh), top
            top = torch.maximum(before, a.detach())
            old, new = torch.exp(before - top), torch.exp(a - top)
            n, m = n * old + value * torch.tanh(self.gate(xh)) * new, m * old + new
            h = torch.tanh(n / m)
            outputs.append(h)
        return torch.stack(outputs), (h, n, m, top)


CELLS = {"rnn": lambda: nn.RNN(1, 1), "lstm": lambda: nn.LSTM(1, 1), "gru": lambda: nn.GRU(1, 1), "mrnn": MRNN, "rwa": RWA}


class Forecaster(nn.Module):
    """A cell under a linear read-out."""

    def __init__(self, model):
        super().__init__()
        self.cell = CELLS[model]()
        self.inputs = STUDY["K"] if model == "mrnn" else 1
        self.readout = nn.Linear(2 if model == "mrnn" else 1, 1)
        for parameter in self.readout.parameters():
            nn.init.uniform_(parameter, -1, 1)

    def forward(self, windows, state=None):
        outputs, state = self.cell(windows[:, : self.inputs], state)
        return self.readout(outputs), state


def sequences(series):
    """Windows (T, K) and next values (T, 1) of a series that is scaled to [0, 1], and the scale."""
    values = np.loadtxt(FOLDER / f"{series}.csv", skiprows=1)
    scaled = (values - values.min()) / np.ptp(values)
    padded = np.concatenate([np.zeros(STUDY["K"] - 1), scaled[:-1]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, STUDY["K"])[:, ::-1]
    x, y = (torch.tensor(part.copy(), dtype=torch.float32) for part in (windows, scaled[1:, None]))
    return x, y, np.ptp(values)


def fit(network, x, y):
    """Validation losses by epoch; the network is left with the parameters of the best one."""
    train, end = STUDY["train"], STUDY["train"] + STUDY["validation"]
    optimizer = torch.optim.Adam(network.parameters(), lr=STUDY["lr"], fused=True)
    losses, best = [], {}
    for _ in range(STUDY["epochs"]):
        optimizer.zero_grad()
        outputs, state = network(x[:train])
        loss = nn.functional.mse_loss(outputs, y[:train])
        with torch.no_grad():
            losses.append(nn.functional.mse_loss(network(x[train:end], state)[0], y[train:end]).item())
        if losses[-1] == min(losses):
            best = copy.deepcopy(network.state_dict())
        loss.backward()
        optimizer.step()
    network.load_state_dict(best)
    return losses


def error(network, x, y, scale):
    """RMSE on the test part."""
    end = STUDY["train"] + STUDY["validation"]
    with torch.no_grad():
        return scale * nn.functional.mse_loss(network(x)[0][end:], y[end:]).sqrt().item()


def train(model, series, seed):
    """The test RMSE of one seed run."""
    note("began", model, series, seed)  # measurement
    torch.manual_seed(seed)
    x, y, scale = sequences(series)
    network = Forecaster(model)
    fit(network, x, y)
    rmse = error(network, x, y, scale)
    note("ended", model, series, seed)  # measurement
    return rmse
