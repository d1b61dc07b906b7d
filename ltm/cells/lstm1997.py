"""The LSTM of 1997: memory blocks whose cells share an input and an output gate, and no forget gate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError


@dataclass(frozen=True)
class LSTM1997(Cell):
    """s_t = s_{t-1} + i_t g(W_c [x_t, h_{t-1}] + b_c), h_t = o_t h(s_t), i, o = sigma(W [x_t, h_{t-1}] + b), a gate of each for a memory block

    (Hochreiter & Schmidhuber 1997, Section 4 and Appendix A.1), with g(a) = 4 sigma(a) - 2 and h(a) = 2 sigma(a) - 1.
    ``hidden_size`` cells stand in blocks of ``block_size``, one block after another; a block's cells share its gates. Gates and cells see the
    inputs and all h of the step before.

    ``truncated``: the paper's gradient (Section 4 and Appendix A.1). What arrives at the net inputs of gates and cells goes no further back:
    of the past, errors pass through s alone, unchanged.

    Raises:
        UserError: ``hidden_size`` is no multiple of ``block_size``.
    """

    block_size: int = 1
    truncated: bool = False

    gates = ("i", "c", "o")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.block_size:
            raise UserError(
                f"model key 'block_size' is {self.block_size} and 'hidden_size' {self.hidden_size}; expected a hidden_size that is a multiple of it,"
                " cells of all blocks together."
            )

    def parameters(self) -> dict[str, Parameter]:
        H, I, blocks = self.hidden_size, self.input_size, self.hidden_size // self.block_size
        rows = {"i": blocks, "c": H, "o": blocks}
        weights = {f"W_{gate}": linear(n, I + H, recurrent=((I, H),)) for gate, n in rows.items()}
        return weights | {f"b_{gate}": bias(n, I + H) for gate, n in rows.items()}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "s": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        xh = torch.cat([x.now, s.h.detach() if self.truncated else s.h])
        i = torch.sigmoid(p.W_i @ xh + p.b_i).repeat_interleave(self.block_size)
        o = torch.sigmoid(p.W_o @ xh + p.b_o).repeat_interleave(self.block_size)
        new = s.s + i * (4.0 * torch.sigmoid(p.W_c @ xh + p.b_c) - 2.0)
        return {"h": o * (2.0 * torch.sigmoid(new) - 1.0), "s": new}
