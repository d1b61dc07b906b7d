"""``search=random`` and ``search=grid``: synchronous successive halving (Jamieson and Talwalkar 2016), for each model and series apart."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ltm.errors import UserError
from sweeps.config import Composed
from sweeps.config.schema import MOST_TRIALS
from sweeps.plan import Plan
from sweeps.search.base import Candidate, Search
from sweeps.store.ledger import Ledger


class Halving(Search):
    """All configurations at first, for few epochs; the better ones go on to more."""

    def __init__(self, study: Composed) -> None:
        super().__init__(study)
        self.candidates = {pair: [self.candidate(pair, point) for point in self.samples()] for pair in range(len(self.pairs))}
        self.rungs = iter(self.epochs)
        self.judged: int | None = None

    def samples(self) -> list[dict[str, Any]]:
        """The configurations of ``random`` and ``grid``."""
        if self.search.method == "grid":
            if ranges := [axis.key for axis in self.axes if not axis.choices]:
                raise UserError(f"search=grid takes choices; search.space.{ranges[0]} is a range.")
            if (most := math.prod(len(axis.choices) for axis in self.axes)) > MOST_TRIALS:
                raise UserError(f"search.space has {most:,} combinations; expected at most {MOST_TRIALS:,}.")
            return [
                dict(zip((a.key for a in self.axes), values, strict=True)) for values in itertools.product(*(a.choices for a in self.axes))
            ]
        rng = np.random.default_rng(self.search.seed)
        return [{axis.key: axis.draw(rng) for axis in self.axes} for _ in range(self.search.trials)]

    def rung(self, ledger: Ledger) -> Plan | None:
        if self.judged is not None:
            self.halve(self.judged, ledger)
        self.judged = next(self.rungs, None)
        if self.judged is None:
            self.winners = [mine[0] for mine in self.candidates.values()]
            return None
        title = f"rung {self.epochs.index(self.judged) + 1} of {len(self.epochs)}, {self.judged} epochs"
        return self.plan(self.everyone, self.judged, title)

    @property
    def everyone(self) -> list[Candidate]:
        """The candidates that are left, of all models and series."""
        return list(itertools.chain(*self.candidates.values()))

    def halve(self, epochs: int, ledger: Ledger) -> None:
        """Judge a rung, and keep its better part; of the last one, the best."""
        self.judge(self.everyone, epochs, ledger)
        for pair, mine in self.candidates.items():
            kept = 1 if epochs == self.epochs[-1] else math.ceil(len(mine) / self.search.keep)
            self.candidates[pair] = sorted(mine, key=lambda c: c.score)[:kept]
