"""A search as a study sees it: it is asked for the next plan and never runs anything."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from sweeps.config import Composed
from sweeps.config.schema import mean_seeds
from sweeps.plan import Plan
from sweeps.search import METHODS
from sweeps.store.ledger import Ledger


class Proposer(Protocol):
    """Decides what is trained next, from what the ledger holds. It is asked again once a plan is as complete as it gets."""

    def next(self, ledger: Ledger) -> Plan | None:
        """The next plan, or None where there is none."""
        ...

    def claim(self, plan: Plan, ledger: Ledger, name: str, command: str, before: Callable[[], None] | None = None) -> Plan:
        """Write the study's record, unless its folder holds another study.

        Args:
            plan: the first one.
            before: called before anything is written; what it raises leaves no trace.

        Returns:
            The plan, with the labels that its conditions have in this study already.
        """
        ...


def proposer_of(study: Composed) -> Proposer:
    """The proposer of ``search.method``, or of ``seeds=auto``.

    Raises:
        UserError: what it cannot search.
    """
    adaptive = mean_seeds(study.config.seeds) is not None
    module, _, name = ("adaptive:proposer" if adaptive else METHODS[study.config.search.method]).partition(":")
    proposer: Proposer = getattr(import_module(f"sweeps.search.{module}"), name)(study)
    return proposer
