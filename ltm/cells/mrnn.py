"""Memory-augmented RNNs: a second track that sees the fractionally filtered input (Zhao et al. 2020, Section 4.1), or that of another decay; and the
filter alone, as a layer.
"""

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

    ``decay``: ``fractional``, or other weights w_k of one parameter or two (:data:`ltm.filters.PATTERNS`), each of which takes the place of d, with its
    own range, maps W and b, and past value; or ``free``, K weights per input, which are parameters: the RNN2.

    Raises:
        UserError: no such decay; one that the released code lacks with ``init`` released.
    """

    K: int = 100
    decay: str = "fractional"

    outputs = ("h", "m")

    def __post_init__(self) -> None:
        super().__post_init__()
        filters.check(self.decay, self.init)

    @property
    def ranges(self) -> dict[str, float]:
        """The parameters of the decay, each between 0 and this."""
        return {} if self.decay == filters.FREE else filters.PATTERNS[self.decay].parameters

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        maps = {f"{kind}_{q}": linear(I, I, H, H, I) if kind == "W" else bias(I, I) for q in self.ranges for kind in "Wb"}
        return {**maps, **self.free_parameters(), **two_track_parameters(self)}

    def free_parameters(self) -> dict[str, Parameter]:
        return {"a": Parameter((self.K, self.input_size), self.K**-0.5, smooth=True)} if self.decay == filters.FREE else {}

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
        return {"h": State(self.hidden_size), "m": State(self.hidden_size), **{q: State(self.input_size) for q in self.ranges}}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"now": x, **filters.features(x, self.K, self.decay)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        def net(q: str) -> torch.Tensor:
            return getattr(p, f"W_{q}") @ torch.cat([getattr(s, q), s.h, s.m, x.now]) + getattr(p, f"b_{q}")

        theta = {q: high * torch.sigmoid(net(q)) for q, high in self.ranges.items()}
        return {**theta, **two_tracks(p, s, x, self.filtered(p, x, theta))}

    def filtered(self, p: Tensors, x: Tensors, theta: dict[str, torch.Tensor]) -> torch.Tensor:
        """The filtered input ``(I,)``, given the parameters of the decay, ``(I,)`` each."""
        return filters.free(x.window, p.a) if self.decay == filters.FREE else filters.PATTERNS[self.decay].filtered(x, *theta.values())


@dataclass(frozen=True)
class MRNNF(MRNN):
    """MRNN with one learned memory parameter per input, constant in time: d = 0.5 sigma(b_d), b_d = 0 at the start; so are those of other decays."""

    def parameters(self) -> dict[str, Parameter]:
        constants = {f"b_{q}": Parameter((self.input_size,), 0.0) for q in self.ranges}
        return {**constants, **self.free_parameters(), **two_track_parameters(self)}

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        draws.recurrent(self.hidden_size, self.input_size)
        return {"b_d": torch.zeros(self.input_size), **self.released_tracks(draws)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        theta = filters.constants(self.ranges, p)
        return {**theta, **two_tracks(p, s, x, self.filtered(p, x, theta))}


@dataclass(frozen=True)
class Filtered(MRNNF):
    """The filter as a layer below others, ``cells: [filtered, gru]``: h_t = F_t, beside it the input itself, x_t; the decay is constant in time, as in MRNNF.

    Both are as wide as the input, whatever ``hidden_size`` is. Not of the paper.
    """

    outputs = ("h", "x")

    def parameters(self) -> dict[str, Parameter]:
        return {**{f"b_{q}": Parameter((self.input_size,), 0.0) for q in self.ranges}, **self.free_parameters()}

    def state(self) -> dict[str, State]:
        return {name: State(self.input_size) for name in ("h", "x", *self.ranges)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        theta = filters.constants(self.ranges, p)
        return {"h": self.filtered(p, x, theta), "x": x.now, **theta}
