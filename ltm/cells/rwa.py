"""Recurrent weighted average."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear


@dataclass(frozen=True)
class RWA(Cell):
    """The hidden state is an attention-weighted average over the whole past (Ostmeyer & Cowell 2017).

    u_t = W_u x_t + b_u, g_t = W_g [x_t, h_{t-1}] + b_g, a_t = W_a [x_t, h_{t-1}], z_t = u_t tanh(g_t),
    n_t = n_{t-1} + z_t e^{a_t}, m_t = m_{t-1} + e^{a_t}, h_t = tanh(n_t / m_t).
    n and m are kept divided by e^{top}, top the running maximum of a, so that nothing overflows; h does not depend on
    that scale, so the scale is left out of the gradient.
    """

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {
            "W_u": linear(H, I), "b_u": bias(H, I),
            "W_g": linear(H, I + H, recurrent=((I, H),)), "b_g": bias(H, I + H),
            "W_a": linear(H, I + H, recurrent=((I, H),)),
        }  # fmt: skip

    def state(self) -> dict[str, State]:
        H = self.hidden_size
        return {"h": State(H), "n": State(H), "m": State(H), "top": State(H, initial=-1e30)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        xh = torch.cat([x.now, s.h])
        a = p.W_a @ xh
        z = (p.W_u @ x.now + p.b_u) * torch.tanh(p.W_g @ xh + p.b_g)
        top = torch.maximum(s.top, a.detach())
        old, new = torch.exp(s.top - top), torch.exp(a - top)
        n, m = s.n * old + z * new, s.m * old + new
        return {"h": torch.tanh(n / m), "n": n, "m": m, "top": top}
