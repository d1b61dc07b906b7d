"""The LSTM with forget gate, plain and with layer normalisation inside its step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm.cells.base import Cell, Draws, Parameter, State, Tensors
from ltm.cells.feedforward import normalised


@dataclass(frozen=True)
class LSTM(Cell):
    """i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, c_t = sigma(f) c_{t-1} + sigma(i) tanh(g), h_t = sigma(o) tanh(c_t)

    (Hochreiter & Schmidhuber 1997; Gers et al. 2000). Parameters, gate order and initialisation are those of ``torch.nn.LSTM``.

    ``squashed``: h_t = tanh(sigma(o) tanh(c_t)), as the code released with Zhao et al. (2020) has it where reviews are classified. The paper does not.
    """

    squashed: bool = False

    gates = ("i", "f", "g", "o")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        return {
            "W_ih": Parameter((4 * H, I), bound),
            "W_hh": Parameter((4 * H, H), bound, recurrent=((0, H),)),
            "b_ih": Parameter((4 * H,), bound),
            "b_hh": Parameter((4 * H,), bound),
        }

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        return draws.recurrent(self.hidden_size, self.input_size, gates=4)

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        i, f, g, o = (p.W_ih @ x.now + p.b_ih + p.W_hh @ s.h + p.b_hh).chunk(4)
        c = torch.sigmoid(f) * s.c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return {"h": torch.tanh(h) if self.squashed else h, "c": c}


@dataclass(frozen=True)
class LNLSTM(Cell):
    """i, f, g, o = LN_h(W_hh h_{t-1}) + LN_x(W_ih x_t) + b, c_t = sigma(f) c_{t-1} + sigma(i) tanh(g), h_t = sigma(o) tanh(LN_c(c_t)),

    where LN(v) = alpha (v - mean) / sqrt(variance + 1e-5) + beta over all elements of v (Ba et al. 2016, appendix, equations 20 to 22, the first over
    the net inputs of all four gates together). Every alpha starts at 1, every beta at 0. Of a single unit LN_c leaves nothing. Key ``layer_norm`` normalises between layers; this, in the step.
    """

    gates = ("i", "f", "g", "o")

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        found = {"W_ih": Parameter((4 * H, I), bound), "W_hh": Parameter((4 * H, H), bound, recurrent=((0, H),))}
        found |= {f"b_{gate}": Parameter((H,), bound) for gate in self.gates}
        for name, size in (("h", 4 * H), ("x", 4 * H), ("c", H)):
            found |= {f"alpha_{name}": Parameter((size,), 0.0, mean=1.0), f"beta_{name}": Parameter((size,), 0.0)}
        return found

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        of_h = p.alpha_h * normalised(p.W_hh @ s.h) + p.beta_h
        of_x = p.alpha_x * normalised(p.W_ih @ x.now) + p.beta_x
        i, f, g, o = (of_h + of_x + torch.cat([p.b_i, p.b_f, p.b_g, p.b_o])).chunk(4)
        c = torch.sigmoid(f) * s.c + torch.sigmoid(i) * torch.tanh(g)
        return {"h": torch.sigmoid(o) * torch.tanh(p.alpha_c * normalised(c) + p.beta_c), "c": c}
