"""Moving shapes: squares that bounce in a frame, whose next picture is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Generated


@dataclass(frozen=True, kw_only=True)
class MovingShapes(Generated):
    """Pictures of 0 and 1, flattened row by row; squares move by one pixel along both axes and turn at the walls; the answer, at every step, is the next picture.

    A small form of Moving MNIST (Srivastava, Mansimov and Salakhutdinov 2015, section 4.1), on which Shi et al. (2015) tried ConvLSTM. Here squares
    stand for digits. Places and the four directions are uniform, and squares pass through each other. A pixel is one output, yes or no, with binary
    cross-entropy as there. One picture does not tell the direction: the first answer can only be a guess.

    Attributes:
        side, square: pixels of a side of the picture, and of a square.
        shapes: squares in a picture.
    """

    kind = "moving_shapes"
    length: int = 20
    side: int = 8
    square: int = 2
    shapes: int = 1
    ranges: ClassVar = Generated.ranges | {"side": (2, 1_000), "square": (1, 999), "shapes": (1, 1_000)}

    def __post_init__(self) -> None:
        if isinstance(self.side, int) and isinstance(self.square, int) and self.square >= self.side:
            self.fail(f"square is {self.square} and side {self.side}; expected square to be less than side, so that there is room to move.")
        super().__post_init__()

    @property
    def width(self) -> int:
        return self.side**2

    def facts(self) -> dict[str, Any]:
        return {"yes_or_no": True}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        steps, room = self.length + 1, self.side - self.square
        start = rng.integers(0, room + 1, (2, n, 1, self.shapes))
        direction = 2 * rng.integers(0, 2, (2, n, 1, self.shapes)) - 1
        unfolded = (start + direction * np.arange(steps)[:, None]) % (2 * room)  # a wall is a mirror: there and back again is a circle
        place = np.where(unfolded > room, 2 * room - unfolded, unfolded)
        pixel = np.arange(self.side)
        row, column = (place[..., None] <= pixel) & (pixel < place[..., None] + self.square)
        frames = np.zeros((n, steps, self.side, self.side), bool)
        for shape in range(self.shapes):
            frames |= row[:, :, shape, :, None] & column[:, :, shape, None, :]
        pictures = frames.reshape(n, steps, -1).astype(float)
        return Sequences(pictures[:, :-1], pictures[:, 1:], np.ones((n, self.length)))
