"""Causal self-attention over the last inputs: a comparator without a recurrent state."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.cells.xlstm import check_heads

MOST_INPUTS = 64
"""The longest window: so many past values of a state can be read one by one on the fused kernels."""


@dataclass(frozen=True)
class Attention(Cell):
    """h_t = W_o sum_j a_j v_{t-j} + b_o, a = softmax_j(q_t . k_{t-j} / sqrt(d) + r_j), over the present input and those before, j = 0 to ``window`` - 1

    (Vaswani et al. 2017, equation 1 and Section 3.2.2), with q, k, v = W x + b, in each of ``heads`` heads of d = H / heads units. What tells positions
    apart is a learned r_j for every lag and head (Raffel et al. 2020, Section 2.1). Steps before the sequence starts are left out.
    The states k and v hold the last keys and values; ``start`` is -1e30 before the sequence and 0 in it.

    Raises:
        UserError: ``hidden_size`` is no multiple of ``heads``; a window that is too long.
    """

    heads: int = 1
    window: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.hidden_size, self.heads)
        checks.whole("model key 'window'", self.window, high=MOST_INPUTS)

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {
            "W_q": linear(H, I), "b_q": bias(H, I), "W_k": linear(H, I), "b_k": bias(H, I), "W_v": linear(H, I), "b_v": bias(H, I),
            "r": linear(self.heads, self.window), "W_o": linear(H, H), "b_o": bias(H, H),
        }  # fmt: skip

    def state(self) -> dict[str, State]:
        H, lags = self.hidden_size, max(self.window - 1, 2)
        return {"h": State(H), "k": State(H, lags), "v": State(H, lags), "start": State(1, lags, initial=-1e30)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        past, heads = self.window - 1, self.heads
        q, k, v = p.W_q @ x.now + p.b_q, p.W_k @ x.now + p.b_k, p.W_v @ x.now + p.b_v
        here = torch.zeros_like(s.start[0])
        keys = torch.cat([k.unsqueeze(0), s.k[:past]]) * q  # (window, H)
        scores = torch.stack([part.sum(1) for part in keys.chunk(heads, 1)]) * (self.hidden_size // heads) ** -0.5 + p.r
        a = torch.softmax(scores + torch.cat([here, s.start[:past, 0]]), 1)  # (heads, window)
        values = torch.cat([v.unsqueeze(0), s.v[:past]]).chunk(heads, 1)
        read = torch.cat([(weights.unsqueeze(1) * part).sum(0) for weights, part in zip(a.unbind(0), values, strict=True)])
        return {"h": p.W_o @ read + p.b_o, "k": k, "v": v, "start": here}
