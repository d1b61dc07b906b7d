"""The peephole LSTM, and the eight variants of it that Greff et al. (2017) compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError, unknown

VARIANTS = {
    "NIG": "no input gate, i = 1",
    "NFG": "no forget gate, f = 1",
    "NOG": "no output gate, o = 1",
    "NIAF": "no input activation function, g(a) = a",
    "NOAF": "no output activation function, h(a) = a",
    "CIFG": "coupled input and forget gate, f = 1 - i",
    "NP": "no peepholes",
    "FGR": "full gate recurrence: gates see all gates of the step before",
}
"""What a variant changes in the vanilla LSTM (Greff et al. 2017)."""

EXCLUDED = (("CIFG", "NIG"), ("CIFG", "NFG"))
"""Variants that contradict each other."""


@dataclass(frozen=True)
class Peephole(Cell):
    """z = tanh(W_z [x_t, h_{t-1}] + b_z), i = sigma(W_i [x_t, h_{t-1}] + p_i c_{t-1} + b_i), f = sigma(W_f [x_t, h_{t-1}] + p_f c_{t-1} + b_f),

    c_t = i z + f c_{t-1}, o = sigma(W_o [x_t, h_{t-1}] + p_o c_t + b_o), h_t = o tanh(c_t)
    (Gers & Schmidhuber 2000; Greff et al. 2017, Section II, whose y is h here).

    ``variant``: ``vanilla``, or one of :data:`VARIANTS`, or several with a plus between them, such as ``CIFG+NP``. Full gate recurrence adds
    R_ii i_{t-1} + R_fi f_{t-1} + R_oi o_{t-1} to the net input of i, and so on: columns of W_i after those of h, of the gates that there are.

    Raises:
        UserError: no such variant, or two that contradict each other.
    """

    variant: str = "vanilla"

    gates = ("z", "i", "f", "o")

    def __post_init__(self) -> None:
        super().__post_init__()
        said = str(self.variant).split("+")
        for one in said if said != ["vanilla"] else []:
            if one not in VARIANTS:
                raise unknown("value of model key 'variant':", one, ("vanilla", *VARIANTS))
        for one, other in EXCLUDED:
            if {one, other} <= set(said):
                raise UserError(
                    f"model key 'variant' is '{self.variant}', but {one} ({VARIANTS[one]}) excludes {other} ({VARIANTS[other]}); expected one of them."
                )

    def has(self, variant: str) -> bool:
        return variant in self.variant.split("+")

    @property
    def own_gates(self) -> tuple[str, ...]:
        """The gates that have parameters."""
        without = {"i": self.has("NIG"), "f": self.has("NFG") or self.has("CIFG"), "o": self.has("NOG")}
        return tuple(gate for gate, gone in without.items() if not gone)

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        found = {}
        for gate in ("z", *self.own_gates):
            reads = 1 + len(self.own_gates) * (gate != "z" and self.has("FGR"))  # states, side by side
            found[f"W_{gate}"] = linear(H, I + reads * H, recurrent=tuple((I + k * H, H) for k in range(reads)))
            found[f"b_{gate}"] = bias(H, I + reads * H)
            if gate != "z" and not self.has("NP"):
                found[f"p_{gate}"] = Parameter((H,), H**-0.5)
        return found

    def state(self) -> dict[str, State]:
        names = ("h", "c", *(self.own_gates if self.has("FGR") else ()))
        return {name: State(self.hidden_size) for name in names}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        xh, found = torch.cat([x.now, s.h]), {}
        read = torch.cat([xh, *(getattr(s, gate) for gate in self.own_gates)]) if self.has("FGR") else xh

        def gate(name: str, c: torch.Tensor) -> torch.Tensor:
            net = getattr(p, f"W_{name}") @ read + getattr(p, f"b_{name}")
            found[name] = torch.sigmoid(net if self.has("NP") else net + getattr(p, f"p_{name}") * c)
            return found[name]

        z = p.W_z @ xh + p.b_z
        new = z if self.has("NIAF") else torch.tanh(z)
        new = new if self.has("NIG") else gate("i", s.c) * new
        kept = s.c if self.has("NFG") else (1.0 - found["i"] if self.has("CIFG") else gate("f", s.c)) * s.c
        c = new + kept
        h = c if self.has("NOAF") else torch.tanh(c)
        h = h if self.has("NOG") else gate("o", c) * h
        return {"h": h, "c": c, **(found if self.has("FGR") else {})}
