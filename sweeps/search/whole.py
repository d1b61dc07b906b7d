"""``search=none``: the grid of the study, all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sweeps.config import Composed
from sweeps.plan import Plan, make
from sweeps.record import claim
from sweeps.store.ledger import Ledger


class Whole:
    """Proposes the study's own plan, once, with what else is to be said of it."""

    def __init__(self, study: Composed, note: str = "") -> None:
        plan = make(study)
        self.config, self.plan, self.over = study.config, replace(plan, notes=(*plan.notes, *filter(None, [note]))), False

    def next(self, ledger: Ledger) -> Plan | None:
        if self.over:
            return None
        self.over = True
        return self.plan

    def claim(self, plan: Plan, ledger: Ledger, name: str, command: str, before: Callable[[], None] | None = None) -> Plan:
        return claim(ledger, plan, self.config, name, command, before)
