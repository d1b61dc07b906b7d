"""The networks that the code released with Zhao et al. (2020) classifies reviews by, which are not those of the paper: what stands between and behind two cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ltm.cells.base import Cell
from ltm.cells.feedforward import Feedforward
from ltm.cells.lstm import LSTM
from ltm.cells.mlstm import MLSTMF
from ltm.cells.mrnn import MRNNF
from ltm.cells.rnn import RNN
from ltm.errors import UserError

Layer = tuple[type[Cell], dict[str, Any]]
"""A cell and the fields that are set for it."""

TANH: Layer = (Feedforward, {"activation": "tanh", "mapped": False})
SQUASHED: Layer = (LSTM, {"squashed": True})

NETWORKS: dict[type[Cell], tuple[Layer, ...]] = {
    RNN: ((RNN, {}), TANH, (LSTM, {}), TANH),
    LSTM: (SQUASHED, SQUASHED),
    MRNNF: ((MRNNF, {}), (Feedforward, {"activation": "tanh", "maps": 2}), SQUASHED),
    MLSTMF: ((MLSTMF, {}), (Feedforward, {"activation": "identity"}), SQUASHED),
}
"""By the cell under the LSTM. An RNN and the LSTM above it hand on tanh of their states, and feed back the states themselves; an LSTM without an RNN feeds back what
it hands on. An MRNNF hands on tanh(V_h h_t + V_m m_t + c), an MLSTMF V h_t + c, which are as wide as its states."""


def layers(kinds: Sequence[type[Cell]]) -> tuple[Layer, ...]:
    """The layers of the released network of these two cells.

    Raises:
        UserError: it has none of these.
    """
    found = NETWORKS.get(kinds[0])
    if found is None or list(kinds[1:]) != [LSTM]:
        names = ", ".join(f"[{kind.__name__.lower()}, lstm]" for kind in NETWORKS)
        given = ", ".join(kind.__name__.lower() for kind in kinds)
        raise UserError(
            f"model key 'released' is true, and the cells are [{given}]; the released networks are cells={names}; expected one, or released=false."
        )
    return found
