"""The LSTM with forget gate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Draws, Parameter, State, Tensors


@dataclass(frozen=True)
class LSTM(Cell):
    """i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, c_t = sigma(f) c_{t-1} + sigma(i) tanh(g), h_t = sigma(o) tanh(c_t)

    (Hochreiter & Schmidhuber 1997; Gers et al. 2000). Parameters, gate order and initialisation are those of ``torch.nn.LSTM``.
    """

    gates = ("i", "f", "g", "o")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        return {
            "W_ih": Parameter((4 * H, I), bound),
            "W_hh": Parameter((4 * H, H), bound, recurrent=((0, H),)),
            "b_ih": Parameter((4 * H,), bound),
            "b_hh": Parameter((4 * H,), bound),
        }

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        return draws.recurrent(self.hidden_size, self.input_size, gates=4)

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        i, f, g, o = (p.W_ih @ x.now + p.b_ih + p.W_hh @ s.h + p.b_hh).chunk(4)
        c = torch.sigmoid(f) * s.c + torch.sigmoid(i) * torch.tanh(g)
        return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}
