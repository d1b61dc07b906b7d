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

    ``decay``: ``fractional``, or other weights w_k of one parameter or two (:data:`ltm.filters.PATTERNS`), each of which takes the place of d, with its
    own range, W, b and past value.

    Raises:
        UserError: no such decay; one that the released code lacks with ``init`` released.
    """

    K: int = 100
    decay: str = "fractional"

    gates = ("d", "i", "o", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        filters.check(self.decay, self.init, tuple(filters.PATTERNS))

    @property
    def ranges(self) -> dict[str, float]:
        """The parameters of the decay, each between 0 and this."""
        return filters.PATTERNS[self.decay].parameters

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        weights = linear(H, I + 2 * H, recurrent=((I, H), (I + H, H)))
        return {**{f"{kind}_{q}": weights if kind == "W" else bias(H, I + 2 * H) for q in self.ranges for kind in "Wb"}, **self.others()}

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
        return {"h": State(H), "c": State(H, lags=max(self.K, 2)), **{q: State(H) for q in self.ranges}}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        def net(q: str) -> torch.Tensor:
            return getattr(p, f"W_{q}") @ torch.cat([x.now, s.h, getattr(s, q)]) + getattr(p, f"b_{q}")

        return self.integrate(p, s, x, {q: high * torch.sigmoid(net(q)) for q, high in self.ranges.items()})

    def integrate(self, p: Tensors, s: Tensors, x: Tensors, theta: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The gates and the integrated cell state, given the parameters of the decay, ``(H,)`` each."""
        xh = torch.cat([x.now, s.h])
        i = torch.sigmoid(p.W_i @ xh + p.b_i)
        o = torch.sigmoid(p.W_o @ xh + p.b_o)
        c = i * torch.tanh(p.W_c @ xh + p.b_c) - filters.PATTERNS[self.decay].direct(s.c[: self.K], *theta.values())
        return {"h": o * torch.tanh(c), "c": c, **theta}


@dataclass(frozen=True)
class MLSTMF(MLSTM):
    """MLSTM with one learned memory parameter per hidden unit, constant in time: d = 0.5 sigma(b_d), b_d = 0 at the start; so are those of other
    decays."""

    def parameters(self) -> dict[str, Parameter]:
        return {**{f"b_{q}": Parameter((self.hidden_size,), 0.0) for q in self.ranges}, **self.others()}

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        return super().released(draws) | {"b_d": torch.zeros(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return self.integrate(p, s, x, filters.constants(self.ranges, p))
