"""``search=optuna``: Optuna's TPE, a batch at a time, for each model and series apart; the same results lead it the same way again."""

from __future__ import annotations

import math
from typing import Any

from ltm.errors import UserError
from sweeps.config import Composed
from sweeps.plan import Plan
from sweeps.search.base import Candidate, Search
from sweeps.store.ledger import Ledger


class Optuna(Search):
    """Asks Optuna for a batch of configurations, and tells it their scores."""

    def __init__(self, study: Composed) -> None:
        self.tpe = optuna()
        super().__init__(study)
        self.studies = [
            self.tpe.create_study(sampler=self.tpe.samplers.TPESampler(seed=self.search.seed + i)) for i in range(len(self.pairs))
        ]
        self.batch: list[tuple[Any, Candidate]] = []
        self.asked = 0
        self.best: dict[int, Candidate] = {}

    def samples(self) -> list[dict[str, Any]]:
        return [{axis.key: value} for axis in self.axes for value in axis.ends]

    def rung(self, ledger: Ledger) -> Plan | None:
        self.tell(ledger)
        count = min(self.search.batch, self.search.trials - self.asked)
        if not count:
            self.winners = list(self.best.values())
            return None
        self.batch = []
        for pair, study in enumerate(self.studies):
            for _ in range(count):
                trial = study.ask()
                self.batch.append((trial, self.candidate(pair, {axis.key: axis.suggest(trial) for axis in self.axes})))
        self.asked += count
        title = f"configurations {self.asked - count + 1} to {self.asked} of {self.search.trials}"
        return self.plan([candidate for _, candidate in self.batch], self.epochs[-1], title)

    def tell(self, ledger: Ledger) -> None:
        """Judge the last batch, and let Optuna know."""
        self.judge([candidate for _, candidate in self.batch], self.epochs[-1], ledger)
        for trial, candidate in self.batch:
            if math.isfinite(candidate.score):
                self.studies[candidate.pair].tell(trial, candidate.score)
            else:
                self.studies[candidate.pair].tell(trial, state=self.tpe.trial.TrialState.FAIL)
            if candidate.pair not in self.best or candidate.score < self.best[candidate.pair].score:
                self.best[candidate.pair] = candidate


def optuna() -> Any:
    """Optuna, quiet.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("search=optuna needs Optuna: pip install 'ltm[search]' (or choose search=random).") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
