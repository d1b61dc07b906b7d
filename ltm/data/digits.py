"""Sequential digits: a picture of a handwritten digit, read row by row or pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltm.data.own import Own, Read
from ltm.errors import UserError, unknown

BY = {"rows": 8, "pixels": 64}
"""Steps of a sequence."""


@dataclass(frozen=True, kw_only=True)
class Digits(Own):
    """The 1,797 pictures of 8 x 8 pixels, 0 to 16, that come with scikit-learn; which digit it is, is asked for after the last step.

    They are the test part of Alpaydin and Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI, and are split here by shares. Reading digits
    pixel by pixel is of Le, Jaitly and Hinton (2015), arXiv 1504.00941, section 4.2, with the 784 pixels of MNIST.

    Attributes:
        by: ``rows``: eight steps of eight pixels; ``pixels``: 64 steps of one, from left to right and from top to bottom.
        symbols: a pixel is a symbol; only by pixels.
    """

    kind = "digits"
    by: str = "rows"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in BY:
            raise unknown("choice of dataset.by", self.by, BY)
        if self.symbols and self.by == "rows":
            self.fail("symbols is true and by is rows; expected by: pixels, as a symbol is one number, or symbols: false.")

    def read(self) -> Read:
        try:
            from sklearn.datasets import load_digits  # optional
        except ImportError:
            raise UserError(f"dataset '{self.name}' comes with scikit-learn, which is not installed; pip install 'ltm[digits]'.") from None
        pictures, digit = load_digits(return_X_y=True)
        n, T = len(pictures), BY[self.by]
        last = np.broadcast_to(np.arange(T) == T - 1, (n, T))
        inputs = pictures.astype(int) if self.symbols else pictures.reshape(n, T, -1)
        return Read(inputs, last * digit[:, None], last.astype(float), np.full(n, T), range(n), tuple("0123456789"), True, None)
