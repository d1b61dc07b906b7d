"""The two cells of the xLSTM (Beck et al. 2024, arXiv 2405.04517), without the blocks around them. The matrix one is no relation of the
memory-augmented :class:`ltm.cells.mlstm.MLSTM`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError, unknown

FORGET_GATES = ("sigmoid", "exp")


def check_heads(hidden_size: int, heads: int) -> None:
    """That units are shared out evenly.

    Raises:
        UserError: they are not.
    """
    if hidden_size % heads:
        raise UserError(
            f"model key 'heads' is {heads} and 'hidden_size' {hidden_size}; expected a hidden_size that is a multiple of heads."
        )


@dataclass(frozen=True)
class Exponential(Cell):
    """What both cells share: ``heads`` groups of units, and a forget gate that is a ``sigmoid`` or an ``exp`` of its net input.

    Raises:
        UserError: ``hidden_size`` is no multiple of ``heads``; another forget gate.
    """

    heads: int = 1
    forget_gate: str = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.hidden_size, self.heads)
        if self.forget_gate not in FORGET_GATES:
            raise unknown("value of model key 'forget_gate':", self.forget_gate, FORGET_GATES)

    def stabilised(self, i: torch.Tensor, f: torch.Tensor, m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Input gate, forget gate, and their common scale m (equations 15 to 17), of net inputs and the last m.

        The output of a cell does not depend on m, so m is left out of the gradient.
        """
        log_f = f if self.forget_gate == "exp" else torch.nn.functional.logsigmoid(f)
        scale = torch.maximum(log_f + m, i).detach()
        return torch.exp(i - scale), torch.exp(log_f + m - scale), scale


@dataclass(frozen=True)
class SLSTM(Exponential):
    """i, f, z, o = W x_t + R h_{t-1} + b, c_t = f' c_{t-1} + i' tanh(z), n_t = f' n_{t-1} + i', h_t = sigma(o) c_t / n_t

    (Beck et al. 2024, equations 8 to 17), with exponential gates i' = e^{i - m_t}, f' = sigma(f) e^{m_{t-1} - m_t} on the scale
    m_t = max(log sigma(f) + m_{t-1}, i). A unit's recurrent inputs are those of its own head (Section 2.2): R ``(4 H, H / heads)`` holds for
    every head its rows of i, f, z and o.
    """

    gates = ("i", "f", "z", "o")

    def parameters(self) -> dict[str, Parameter]:
        H, I, d = self.hidden_size, self.input_size, self.hidden_size // self.heads
        return {"W": linear(4 * H, I), "R": Parameter((4 * H, d), d**-0.5, recurrent=((0, d),)), "b": bias(4 * H, I + d)}

    def state(self) -> dict[str, State]:
        H = self.hidden_size
        return {"h": State(H), "c": State(H), "n": State(H), "m": State(H, initial=-1e30)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        by_head = [R @ h for R, h in zip(p.R.chunk(self.heads), s.h.chunk(self.heads), strict=True)]
        recurrent = torch.stack([part.reshape(4, -1) for part in by_head], 1).reshape(-1)
        i, f, z, o = (p.W @ x.now + recurrent + p.b).chunk(4)
        i, f, m = self.stabilised(i, f, s.m)
        c, n = f * s.c + i * torch.tanh(z), f * s.n + i
        return {"h": torch.sigmoid(o) * (c / n), "c": c, "n": n, "m": m}


@dataclass(frozen=True)
class MatrixLSTM(Exponential):
    """The mLSTM of Beck et al. (2024, equations 19 to 27): a memory C, d x d for every head of d = H / heads units, and nothing else recurrent.

    q = W_q x_t + b_q, k = W_k x_t / sqrt(d) + b_k, v = W_v x_t + b_v, C_t = f' C_{t-1} + i' v k^T, n_t = f' n_{t-1} + i' k,
    h_t = sigma(W_o x_t + b_o) C_t q / max(|n_t^T q|, e^{-m_t}), with i' = e^{i - m_t} and f' = sigma(f) e^{m_{t-1} - m_t} of one i = W_i x_t + b_i
    and f = W_f x_t + b_f for every head, and m_t = max(log sigma(f) + m_{t-1}, i). On that scale e^{-m_t} is the 1 of equation 21.
    State C holds C^T of every head, row after row.
    """

    gates = ("i", "f", "o")

    def parameters(self) -> dict[str, Parameter]:
        I, rows = self.input_size, {"q": self.hidden_size, "k": self.hidden_size, "v": self.hidden_size}
        rows |= {"i": self.heads, "f": self.heads, "o": self.hidden_size}
        return {f"W_{name}": linear(n, I) for name, n in rows.items()} | {f"b_{name}": bias(n, I) for name, n in rows.items()}

    def state(self) -> dict[str, State]:
        H = self.hidden_size
        return {"h": State(H), "C": State(H * H // self.heads), "n": State(H), "m": State(self.heads)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        heads, d = self.heads, self.hidden_size // self.heads
        q = (p.W_q @ x.now + p.b_q).reshape(heads, d)
        k = (p.W_k @ x.now * d**-0.5 + p.b_k).reshape(heads, d)
        v = (p.W_v @ x.now + p.b_v).reshape(heads, d)
        i, f, m = self.stabilised(p.W_i @ x.now + p.b_i, p.W_f @ x.now + p.b_f, s.m)
        ik, f = i.unsqueeze(1) * k, f.unsqueeze(1)
        C = f.unsqueeze(2) * s.C.reshape(heads, d, d) + ik.unsqueeze(2) * v.unsqueeze(1)
        n = f * s.n.reshape(heads, d) + ik
        scale = torch.maximum(torch.abs((n * q).sum(1)), torch.exp(-m))
        read = (q.unsqueeze(2) * C).sum(1) / scale.unsqueeze(1)
        h = torch.sigmoid(p.W_o @ x.now + p.b_o) * read.reshape(-1)
        return {"h": h, "C": C.reshape(-1), "n": n.reshape(-1), "m": m}
