"""Memory-augmented RNNs: a second track that sees the fractionally filtered input (Zhao et al. 2020, Section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ltm import filters
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, bias, linear
from ltm.cells.rnn import two_track_parameters, two_tracks


@dataclass(frozen=True)
class MRNN(Cell):
    """d_t = 0.5 sigma(W_d [d_{t-1}, h_{t-1}, m_{t-1}, x_t] + b_d), F_t = sum_{k=1..K} w_k(d_t) x_{t-k+1},

    m_t = tanh(W_m m_{t-1} + W_f F_t + b_m), h_t = tanh(W_h h_{t-1} + W_x x_t + b_h).
    """

    K: int = 100

    outputs = ("h", "m")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {"W_d": linear(I, I, H, H, I), "b_d": bias(I, I), **two_track_parameters(self)}

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        H, I = self.hidden_size, self.input_size
        draws.recurrent(H, I)  # the released cell is a torch.nn.RNNCellBase, whose own parameters it does not use
        W_dd, b_d = draws.linear(I, I)
        W_d = torch.cat([W_dd, draws.weight(I, H), draws.weight(I, H), draws.weight(I, I)], 1)
        return {"W_d": W_d, "b_d": b_d, **self.released_tracks(draws)}

    def released_tracks(self, draws: Draws) -> dict[str, torch.Tensor]:
        H, I = self.hidden_size, self.input_size
        W_m, b_m = draws.linear(H, H)
        W_f = draws.weight(H, I)
        W_h, b_h = draws.linear(H, H)
        return {"W_m": W_m, "b_m": b_m, "W_f": W_f, "W_h": W_h, "b_h": b_h, "W_x": draws.weight(H, I)}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "m": State(self.hidden_size), "d": State(self.input_size)}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"now": x, "basis": filters.chebyshev_basis(x, self.K)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        d = 0.5 * torch.sigmoid(p.W_d @ torch.cat([s.d, s.h, s.m, x.now]) + p.b_d)
        return {"d": d, **two_tracks(p, s, x, filters.chebyshev(x.basis, d))}


@dataclass(frozen=True)
class MRNNF(MRNN):
    """MRNN with one learned memory parameter per input, constant in time: d = 0.5 sigma(b_d), b_d = 0 at the start."""

    def parameters(self) -> dict[str, Parameter]:
        return {"b_d": Parameter((self.input_size,), 0.0), **two_track_parameters(self)}

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        draws.recurrent(self.hidden_size, self.input_size)
        return {"b_d": torch.zeros(self.input_size), **self.released_tracks(draws)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        d = 0.5 * torch.sigmoid(p.b_d)
        return {"d": d, **two_tracks(p, s, x, filters.chebyshev(x.basis, d))}
