"""Memory-augmented LSTMs: the cell state is fractionally integrated instead of forgotten (Zhao et al. 2020, Section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import filters
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, bias, linear


@dataclass(frozen=True)
class MLSTM(Cell):
    """d_t = 0.5 sigma(W_d [x_t, h_{t-1}, d_{t-1}] + b_d), c_t = i_t tanh(W_c [x_t, h_{t-1}] + b_c) - sum_{k=1..K} w_k(d_t) c_{t-k},

    h_t = o_t tanh(c_t), with input and output gates as in the LSTM and no forget gate. d has one element per hidden unit.
    """

    K: int = 100

    gates = ("d", "i", "o", "c")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {"W_d": linear(H, I + 2 * H, recurrent=((I, H), (I + H, H))), "b_d": bias(H, I + 2 * H), **self.others()}

    def others(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {
            "W_i": linear(H, I + H, recurrent=((I, H),)), "b_i": bias(H, I + H),
            "W_o": linear(H, I + H, recurrent=((I, H),)), "b_o": bias(H, I + H),
            "W_c": linear(H, I + H, recurrent=((I, H),)), "b_c": bias(H, I + H),
        }  # fmt: skip

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        H, I = self.hidden_size, self.input_size
        gates = {gate: draws.linear(H, I + (2 if gate == "d" else 1) * H) for gate in "cido"}
        return {**{f"W_{g}": W for g, (W, _) in gates.items()}, **{f"b_{g}": b for g, (_, b) in gates.items()}}

    def state(self) -> dict[str, State]:
        H = self.hidden_size
        return {"h": State(H), "c": State(H, lags=max(self.K, 2)), "d": State(H)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        d = 0.5 * torch.sigmoid(p.W_d @ torch.cat([x.now, s.h, s.d]) + p.b_d)
        return self.integrate(p, s, x, d)

    def integrate(self, p: Tensors, s: Tensors, x: Tensors, d: torch.Tensor) -> dict[str, torch.Tensor]:
        """The gates and the fractionally integrated cell state, given d ``(H,)``."""
        xh = torch.cat([x.now, s.h])
        i = torch.sigmoid(p.W_i @ xh + p.b_i)
        o = torch.sigmoid(p.W_o @ xh + p.b_o)
        c = i * torch.tanh(p.W_c @ xh + p.b_c) - filters.direct(s.c[: self.K], d)
        return {"h": o * torch.tanh(c), "c": c, "d": d}


@dataclass(frozen=True)
class MLSTMF(MLSTM):
    """MLSTM with one learned memory parameter per hidden unit, constant in time: d = 0.5 sigma(b_d), b_d = 0 at the start."""

    def parameters(self) -> dict[str, Parameter]:
        return {"b_d": Parameter((self.hidden_size,), 0.0), **self.others()}

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        return super().released(draws) | {"b_d": torch.zeros(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return self.integrate(p, s, x, 0.5 * torch.sigmoid(p.b_d))
