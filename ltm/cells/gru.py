"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, Tensors


@dataclass(frozen=True)
class GRU(Cell):
    """r, z = sigma(W x_t + b + U h_{t-1} + c), n = tanh(W_n x_t + b_n + r (U_n h_{t-1} + c_n)), h_t = (1 - z) n + z h_{t-1}

    (Cho et al. 2014, with the reset gate after the product). Parameters (W_ih holds W of r, z and n one below the other, and so on), gate order and
    initialisation are those of ``torch.nn.GRU``.
    """

    gates = ("r", "z", "n")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        return {
            "W_ih": Parameter((3 * H, I), bound),
            "W_hh": Parameter((3 * H, H), bound, recurrent=((0, H),)),
            "b_ih": Parameter((3 * H,), bound),
            "b_hh": Parameter((3 * H,), bound),
        }

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        r, z, n = (p.W_ih @ x.now + p.b_ih).chunk(3)
        r_h, z_h, n_h = (p.W_hh @ s.h + p.b_hh).chunk(3)
        z = torch.sigmoid(z + z_h)
        return {"h": (1.0 - z) * torch.tanh(n + torch.sigmoid(r + r_h) * n_h) + z * s.h}
