"""Tree-structured LSTMs: a step is a node, and reads the states of its children, which are any earlier steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear


@dataclass(frozen=True)
class TreeLSTM(Cell):
    """The Child-Sum Tree-LSTM, and with ``children: N`` the N-ary Tree-LSTM (Tai, Socher & Manning 2015, equations 2-8 and 9-14).

    Of a node with input x and children k, whose states are h_k and c_k, where i, o and u read r = sum_k h_k, or of N children r = [h_1, ..., h_N]:

    i = sigma(W_i [x, r] + b_i), o = sigma(W_o [x, r] + b_o), u = tanh(W_u [x, r] + b_u),
    f_k = sigma(W_f x + U_f h_k + b_f), or of N children f_k = sigma(W_f x + U_fk r + b_f),
    c = i u + sum_k f_k c_k, h = o tanh(c).

    A child that a node lacks has the states 0, which adds nothing. The sum knows no order among children and takes any number of them; the N-ary form
    has a map for every place. U_f has the N maps U_fk one below the other. No fused kernel is derived of a tree: the torch engine runs it.

    Raises:
        UserError: fewer than two children: that is an LSTM.
    """

    children: int | None = None

    gates = ("i", "f", "o", "u")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.children is not None:
            checks.whole("model key 'children'", self.children, low=2)

    def parameters(self) -> dict[str, Parameter]:
        H, I, N = self.hidden_size, self.input_size, self.children or 1
        reads = linear(H, I + N * H, recurrent=tuple((I + k * H, H) for k in range(N)))
        forgets = {"W_f": linear(H, I), "U_f": linear(N * H, N * H, recurrent=tuple((k * H, H) for k in range(N)))}
        return {**{f"W_{gate}": reads for gate in "iou"}, **forgets, **{f"b_{gate}": bias(H, I + N * H) for gate in self.gates}}

    def state(self) -> dict[str, State]:
        return {name: State(self.hidden_size, lags=self.children or 1, children=True) for name in ("h", "c")}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        r = s.h.sum(0) if self.children is None else s.h.reshape(-1)
        i, o, u = (getattr(p, f"W_{gate}") @ torch.cat([x.now, r]) + getattr(p, f"b_{gate}") for gate in "iou")
        recurrent = s.h @ p.U_f.T if self.children is None else (p.U_f @ r).reshape(self.children, -1)
        f = torch.sigmoid(p.W_f @ x.now + p.b_f + recurrent)
        c = torch.sigmoid(i) * torch.tanh(u) + (f * s.c).sum(0)
        return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}
