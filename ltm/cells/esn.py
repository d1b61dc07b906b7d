"""The echo state network: a random reservoir that is not trained, under a read-out that is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Draws, Parameter, Tensors, bias, linear


@dataclass(frozen=True)
class ESN(Cell):
    """h_t = (1 - a) h_{t-1} + a tanh(W_x x_t + W_h h_{t-1} + b), a the ``leak`` (Jaeger 2001; Jaeger et al. 2007)

    All three parameters stay as they were drawn: their gradient is 0, and the read-out alone is trained, by the training's optimiser, where the
    literature solves a linear regression. (Weight decay would shrink them; expected is ``training.weight_decay=0``, the default.)

    Whatever ``init`` is, W_h starts with the spectral radius ``spectral_radius``: what was drawn, divided by its own.

    Raises:
        UserError: a radius or a leak out of its range.
    """

    spectral_radius: float = 0.9
    leak: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("model key 'spectral_radius'", self.spectral_radius, above=0.0)
        checks.number("model key 'leak'", self.leak, above=0.0, high=1.0)

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        return {"W_x": linear(H, I), "W_h": linear(H, H, recurrent=((0, H),)), "b": bias(H, I)}

    def initial(self, draws: Draws) -> dict[str, torch.Tensor]:
        found = super().initial(draws)
        W = found["W_h"].double()  # in float32, processors would differ in the digits that ids are made of
        return found | {"W_h": (W * (self.spectral_radius / torch.linalg.eigvals(W).abs().max())).float()}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        new = torch.tanh(p.W_x.detach() @ x.now + p.W_h.detach() @ s.h + p.b.detach())
        return {"h": (1.0 - self.leak) * s.h + self.leak * new}
