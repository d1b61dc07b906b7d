"""The convolutional LSTM: inputs and states are images, and maps between them convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ltm import checks
from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError


@dataclass(frozen=True)
class ConvLSTM(Cell):
    """i, f, g, o = W * [x_t, h_{t-1}] + b, c_t = sigma(f + p_f c_{t-1}) c_{t-1} + sigma(i + p_i c_{t-1}) tanh(g), h_t = sigma(o + p_o c_t) tanh(c_t)

    (Shi et al. 2015, equation 3), where * is the convolution of images of ``rows`` x ``columns`` pixels by a square ``kernel``, with zeros around
    them. Images are flat, channel after channel, row after row: ``hidden_size`` and the inputs are channels times pixels. W has a row for every
    channel of i, f, g and o, a column for every pixel under the kernel of every channel of x, then of h; a peephole p has its weight for every unit.
    No fused kernel is derived from a convolution: the torch engine runs it.

    Raises:
        UserError: sizes that are no multiple of an image, an even kernel.
    """

    rows: int = 1
    columns: int = 1
    kernel: int = 3

    gates = ("i", "f", "g", "o")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, size in (("model key 'hidden_size'", self.hidden_size), ("the number of inputs", self.input_size)):
            if size % self.pixels:
                raise UserError(
                    f"{name} is {size}; expected a multiple of {self.pixels}, the pixels of an image of {self.rows} rows and {self.columns} columns."
                )
        checks.whole("model key 'kernel'", self.kernel)
        if self.kernel % 2 == 0:
            raise UserError(f"model key 'kernel' is {self.kernel}; expected an odd number, so that a kernel has a pixel in its middle.")

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    def parameters(self) -> dict[str, Parameter]:
        H, I, channels = self.hidden_size, self.input_size, self.hidden_size // self.pixels
        reads = (I + H) // self.pixels * self.kernel**2
        own = {"W": linear(4 * channels, reads)} | {f"b_{gate}": bias(channels, reads) for gate in self.gates}
        return own | {f"p_{gate}": Parameter((H,), reads**-0.5) for gate in "ifo"}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        k, images = self.kernel, torch.cat([x.now, s.h]).reshape(-1, self.rows, self.columns)
        b = torch.cat([p.b_i, p.b_f, p.b_g, p.b_o])
        net = torch.nn.functional.conv2d(images.unsqueeze(0), p.W.reshape(len(b), -1, k, k), b, padding=k // 2)
        i, f, g, o = net.reshape(-1).chunk(4)
        c = torch.sigmoid(f + p.p_f * s.c) * s.c + torch.sigmoid(i + p.p_i * s.c) * torch.tanh(g)
        return {"h": torch.sigmoid(o + p.p_o * c) * torch.tanh(c), "c": c}
