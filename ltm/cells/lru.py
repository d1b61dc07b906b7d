"""The linear recurrent unit: a diagonal linear recurrence of complex numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, linear


@dataclass(frozen=True)
class LRU(Cell):
    """z_t = lambda z_{t-1} + e^gamma B x_t, h_t = Re(C z_t) + D x_t with lambda = exp(-e^nu + i e^theta) and complex z of as many units as h

    (Orvieto et al. 2023, arXiv 2303.06349, Sections 3.1 to 3.4, whose input u, state x and output y are x, z and h here). Complex numbers are pairs
    of real ones, ``NAME_re`` and ``NAME_im``. Only the layer, without the nonlinear blocks around it.

    Whatever ``init`` is, lambda starts uniform on the ring of radii ``r_min`` to ``r_max``, at phases below ``max_phase`` (Lemma 3.2), and
    gamma at log sqrt(1 - |lambda|^2) (Section 3.4). B, C and D are drawn as ``torch.nn.Linear`` draws, where the paper draws normal numbers.

    Raises:
        UserError: a ring that is none within the unit circle.
    """

    r_min: float = 0.0
    r_max: float = 1.0
    max_phase: float = 2 * math.pi

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("model key 'r_max'", self.r_max, above=0.0, high=1.0)
        checks.number("model key 'r_min'", self.r_min, low=0.0, high=self.r_max)
        checks.number("model key 'max_phase'", self.max_phase, above=0.0)

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        own = {name: Parameter((H,), 0.0) for name in ("nu", "theta", "gamma")}
        return own | {
            "B_re": linear(H, I), "B_im": linear(H, I),
            "C_re": linear(H, H), "C_im": linear(H, H), "D": linear(H, I),
        }  # fmt: skip

    def initial(self, draws: Draws) -> dict[str, torch.Tensor]:
        found = super().initial(draws)
        square, phase = torch.rand(2, self.hidden_size, generator=draws.generator, dtype=torch.float64).clamp(min=1e-9)
        rate = -0.5 * torch.log(square * (self.r_max**2 - self.r_min**2) + self.r_min**2)  # -log of the radius
        own = {"nu": torch.log(rate), "theta": torch.log(phase * self.max_phase), "gamma": 0.5 * torch.log(-torch.expm1(-2.0 * rate))}
        return found | {name: value.float() for name, value in own.items()}

    def state(self) -> dict[str, State]:
        H = self.hidden_size
        return {"h": State(H), "z_re": State(H), "z_im": State(H)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        radius, phase, scale = torch.exp(-torch.exp(p.nu)), torch.exp(p.theta), torch.exp(p.gamma)
        re, im = radius * torch.cos(phase), radius * torch.sin(phase)
        z_re = re * s.z_re - im * s.z_im + scale * (p.B_re @ x.now)
        z_im = re * s.z_im + im * s.z_re + scale * (p.B_im @ x.now)
        return {"h": p.C_re @ z_re - p.C_im @ z_im + p.D @ x.now, "z_re": z_re, "z_im": z_im}
