"""The gated recurrent unit in both of its forms, and the minimal gated unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, Tensors, bias, linear
from ltm.errors import unknown

RESETS = ("after", "before")


@dataclass(frozen=True)
class GRU(Cell):
    """r, z = sigma(W x_t + b + U h_{t-1} + c), n = tanh(W_n x_t + b_n + r (U_n h_{t-1} + c_n)), h_t = (1 - z) n + z h_{t-1}

    (Cho et al. 2014, with the reset gate after the product). Parameters (W_ih holds W of r, z and n one below the other, and so on), gate order and
    initialisation are those of ``torch.nn.GRU``.

    ``reset: before`` is the form of Cho et al. (2014, equations 5 to 8): n = tanh(W_n x_t + b_n + U_n (r h_{t-1}) + c_n), of the same parameters.

    Raises:
        UserError: ``reset`` is neither.
    """

    reset: str = "after"

    gates = ("r", "z", "n")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in RESETS:
            raise unknown("value of model key 'reset':", self.reset, RESETS)

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
        if self.reset == "before":
            gates = 2 * self.hidden_size  # rows of r and z
            r_h, z_h = (p.W_hh[:gates] @ s.h + p.b_hh[:gates]).chunk(2)
            recurrent = p.W_hh[gates:] @ (torch.sigmoid(r + r_h) * s.h) + p.b_hh[gates:]
            z = torch.sigmoid(z + z_h)
            return {"h": (1.0 - z) * torch.tanh(n + recurrent) + z * s.h}
        r_h, z_h, n_h = (p.W_hh @ s.h + p.b_hh).chunk(3)
        z = torch.sigmoid(z + z_h)
        return {"h": (1.0 - z) * torch.tanh(n + torch.sigmoid(r + r_h) * n_h) + z * s.h}


@dataclass(frozen=True)
class MGU(Cell):
    """f = sigma(W_f [h_{t-1}, x_t] + b_f), h_t = (1 - f) h_{t-1} + f tanh(W_h [f h_{t-1}, x_t] + b_h)

    (the minimal gated unit of Zhou et al. 2016).
    """

    gates = ("f", "h")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {
            "W_f": linear(H, H + I, recurrent=((0, H),)), "b_f": bias(H, H + I),
            "W_h": linear(H, H + I, recurrent=((0, H),)), "b_h": bias(H, H + I),
        }  # fmt: skip

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        f = torch.sigmoid(p.W_f @ torch.cat([s.h, x.now]) + p.b_f)
        return {"h": (1.0 - f) * s.h + f * torch.tanh(p.W_h @ torch.cat([f * s.h, x.now]) + p.b_h)}
