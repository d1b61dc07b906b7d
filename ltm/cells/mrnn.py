"""Memory-augmented RNNs: a second track that sees the fractionally filtered input (Zhao et al. 2020, Section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ltm import filters
from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.cells.rnn import two_track_parameters, two_tracks


@dataclass(frozen=True)
class MRNN(Cell):
    """d_t = 0.5 sigma(W_d [d_{t-1}, h_{t-1}, m_{t-1}, x_t] + b_d), F_t = sum_{k=1..K} w_k(d_t) x_{t-k+1},

    m_t = tanh(W_m m_{t-1} + W_f F_t + b_m), h_t = tanh(W_h h_{t-1} + W_x x_t + b_h), y_t = V_h h_t + V_m m_t + c.
    """

    K: int = 100

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {"W_d": linear(I, 2 * I + 2 * H), "b_d": bias(I, 2 * I + 2 * H), **two_track_parameters(self)}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "m": State(self.hidden_size), "d": State(self.input_size)}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"now": x, "basis": filters.chebyshev_basis(x, self.K)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        d = 0.5 * torch.sigmoid(p.W_d @ torch.cat([s.d, s.h, s.m, x.now]) + p.b_d)
        return {"d": d, **two_tracks(p, s, x, filters.chebyshev(x.basis, d))}

    def readout(self, p: Tensors, s: Tensors) -> torch.Tensor:
        return p.V_h @ s.h + p.V_m @ s.m + p.c


@dataclass(frozen=True)
class MRNNF(MRNN):
    """MRNN with one learned memory parameter per input, constant in time: d = 0.5 sigma(b_d), b_d = 0 at the start."""

    def parameters(self) -> dict[str, Parameter]:
        return {"b_d": Parameter((self.input_size,), 0.0), **two_track_parameters(self)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        d = 0.5 * torch.sigmoid(p.b_d)
        return {"d": d, **two_tracks(p, s, x, filters.chebyshev(x.basis, d))}
