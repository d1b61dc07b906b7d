"""The plain recurrent network and RNN2, its two-track form with a free filter on the input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ltm import filters
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, bias, linear


@dataclass(frozen=True)
class RNN(Cell):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman 1990).

    Parameters and initialisation are those of ``torch.nn.RNN``: both biases are kept, since Adam treats two as two.
    """

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        return {
            "W_ih": Parameter((H, I), bound),
            "W_hh": Parameter((H, H), bound, recurrent=((0, H),)),
            "b_ih": Parameter((H,), bound),
            "b_hh": Parameter((H,), bound),
        }

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        return draws.recurrent(self.hidden_size, self.input_size)

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return {"h": torch.tanh(p.W_ih @ x.now + p.b_ih + p.W_hh @ s.h + p.b_hh)}


@dataclass(frozen=True)
class RNN2(Cell):
    """Two tracks: m_t follows the filtered input F_t = sum_{k=1..K} a_k x_{t-k+1} with K free weights per input, h_t the input.

    m_t = tanh(W_m m_{t-1} + W_f F_t + b_m), h_t = tanh(W_h h_{t-1} + W_x x_t + b_h)
    (Zhao et al. 2020, Section 5: the control for MRNN without the fractional filter).
    """

    K: int = 100

    outputs = ("h", "m")

    def parameters(self) -> dict[str, Parameter]:
        return {"a": Parameter((self.K, self.input_size), self.K**-0.5, smooth=True), **two_track_parameters(self)}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "m": State(self.hidden_size)}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"now": x, "window": filters.lagged(x, self.K)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return two_tracks(p, s, x, filters.free(x.window, p.a))


def two_track_parameters(cell: Cell) -> dict[str, Parameter]:
    """Parameters of the tracks h and m. A sum of maps is drawn map by map, its bias with the first."""
    H, I = cell.hidden_size, cell.input_size
    return {
        "W_h": linear(H, H, recurrent=((0, H),)), "W_x": linear(H, I), "b_h": bias(H, H),
        "W_m": linear(H, H, recurrent=((0, H),)), "W_f": linear(H, I), "b_m": bias(H, H),
    }  # fmt: skip


def two_tracks(p: Tensors, s: Tensors, x: Tensors, filtered: torch.Tensor) -> dict[str, torch.Tensor]:
    """The step of both tracks, given the filtered input ``(I,)``."""
    return {
        "h": torch.tanh(p.W_h @ s.h + p.W_x @ x.now + p.b_h),
        "m": torch.tanh(p.W_m @ s.m + p.W_f @ filtered + p.b_m),
    }
