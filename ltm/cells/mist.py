"""Mixed history recurrent network (MIST)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear

MOST_DELAYS = 20
"""The longest delay is then 2^19 steps."""


@dataclass(frozen=True)
class MIST(Cell):
    """Attention over states at exponentially spaced delays 2^0..2^{D-1} (DiPietro et al. 2017).

    a_t = softmax(W_a [h_{t-1}, x_t] + b_a), r_t = sigma(W_r [h_{t-1}, x_t] + b_r),
    h_t = tanh(W_h (r_t * sum_i a_{t,i} h_{t-2^i}) + W_x x_t + b).
    """

    delays: int = 8

    gates = ("r",)

    def __post_init__(self) -> None:
        super().__post_init__()  # the types
        checks.whole("model key 'delays'", self.delays, high=MOST_DELAYS)

    def parameters(self) -> dict[str, Parameter]:
        H, I, D = self.hidden_size, self.input_size, self.delays
        return {
            "W_a": linear(D, H + I), "b_a": bias(D, H + I),
            "W_r": linear(H, H + I, recurrent=((0, H),)), "b_r": bias(H, H + I),
            "W_h": linear(H, H, recurrent=((0, H),)), "W_x": linear(H, I), "b": bias(H, H),
        }  # fmt: skip

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size, lags=max(2 ** (self.delays - 1), 2))}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        hx = torch.cat([s.h[0], x.now])
        a = torch.softmax(p.W_a @ hx + p.b_a, 0)
        r = torch.sigmoid(p.W_r @ hx + p.b_r)
        mixed = a[0] * s.h[0]
        for i in range(1, self.delays):
            mixed = mixed + a[i] * s.h[2**i - 1]
        return {"h": torch.tanh(p.W_h @ (r * mixed) + p.W_x @ x.now + p.b)}
