"""How the learning rate changes from epoch to epoch."""

from __future__ import annotations

import math

from ltm.training.state import Protocol


def factor(protocol: Protocol, epoch: int) -> float:
    """What learning rates are multiplied by in an epoch (counted from 0): 1, or falling towards 0 at ``max_epochs``, along a line or half a cosine."""
    done = epoch / protocol.max_epochs
    if protocol.schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done)) if protocol.schedule == "cosine" else 1.0
