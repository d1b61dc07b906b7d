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

    ``gate_recurrence``: gates and cells see the gates of the step before, too. So did the networks of the paper's experiments, by the numbers of
    weights that it prints: 264 and 276 (embedded Reber grammar), 93 (adding), 156 and 308 (temporal order).

    ``direct``: the read-out sees the inputs, too, as in the paper's task 2a.

    Raises:
        UserError: ``hidden_size`` is no multiple of ``block_size``.
    """

    block_size: int = 1
    truncated: bool = False
    gate_recurrence: bool = False
    direct: bool = False

    gates = ("i", "c", "o")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.block_size:
            raise UserError(
                f"model key 'block_size' is {self.block_size} and 'hidden_size' {self.hidden_size}; expected a hidden_size that is a multiple of it,"
                " cells of all blocks together."
            )

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("h", "x") if self.direct else ("h",)

    @property
    def blocks(self) -> int:
        """How many memory blocks there are."""
        return self.hidden_size // self.block_size

    def parameters(self) -> dict[str, Parameter]:
        I, n = self.input_size, self.input_size + self.hidden_size + 2 * self.blocks * self.gate_recurrence
        rows = {"i": self.blocks, "c": self.hidden_size, "o": self.blocks}
        weights = {f"W_{gate}": linear(units, n, recurrent=((I, self.hidden_size),)) for gate, units in rows.items()}
        return weights | {f"b_{gate}": bias(units, n) for gate, units in rows.items()}

    def state(self) -> dict[str, State]:
        own = {"h": State(self.hidden_size), "s": State(self.hidden_size)}
        gates = {"i": State(self.blocks), "o": State(self.blocks)} if self.gate_recurrence else {}
        return own | gates | ({"x": State(self.input_size)} if self.direct else {})

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        seen = torch.cat([s.h, s.i, s.o]) if self.gate_recurrence else s.h
        xh = torch.cat([x.now, seen.detach() if self.truncated else seen])
        i, o = torch.sigmoid(p.W_i @ xh + p.b_i), torch.sigmoid(p.W_o @ xh + p.b_o)
        new = s.s + i.repeat_interleave(self.block_size) * (4.0 * torch.sigmoid(p.W_c @ xh + p.b_c) - 2.0)
        h = o.repeat_interleave(self.block_size) * (2.0 * torch.sigmoid(new) - 1.0)
        values = {"h": h, "s": new, "i": i, "o": o, "x": x.now}
        return {name: values[name] for name in self.state()}
