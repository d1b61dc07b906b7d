"""Where packs are trained: one :class:`Executor` in two forms, this process (:mod:`sweeps.execution.local`) and Ray (:mod:`sweeps.execution.ray`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sweeps.budget import Budget
from sweeps.execution.cluster import Slots
from sweeps.execution.progress import Progress
from sweeps.execution.worker import Failure, Kind, Report
from sweeps.plan import Pack, Plan
from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError
from sweeps.tracking.tracker import Tracker

SCRATCH = ".tune"
"""The study's folder of Tune's state. No later command reads it: what is finished is in the ledger, and packs under way in ``checkpoints``."""

SPENT = "the budget is used"
"""Why a watch has stopped, where nothing is wrong."""


class Watch:
    """Tells progress and tracker what packs report, and collects those that failed; ``stopped`` says why all must end, where the storage takes no more
    or the budget is used.

    Args:
        packs: by id.
        checkpoint_epochs: how often a pack is kept, for the words on one that was interrupted.
        budget: of the command, where it has one.
    """

    def __init__(
        self,
        progress: Progress,
        tracker: Tracker,
        packs: dict[str, Pack],
        ledger: Ledger,
        checkpoint_epochs: int,
        budget: Budget | None = None,
    ) -> None:
        self.progress, self.tracker, self.packs, self.ledger = progress, tracker, packs, ledger
        self.checkpoint_epochs, self.budget = checkpoint_epochs, budget
        self.failures: dict[str, Failure] = {}
        self.reported: dict[str, int] = {}
        self.stopped = ""

    def report(self, pack: str, said: Report) -> None:
        """A pack reports."""
        if said.failure:
            self.failed(pack, said.failure)
            return
        before, resumed = self.reported.get(pack), said.resumed
        if resumed >= 0 and (pack, resumed) not in self.progress.resumed and before is None:
            self.progress.resumed.add((pack, resumed))
            self.progress.log(f"pack {pack[:8]} goes on from epoch {resumed}, where it was kept")
        elif before is not None and (said.epoch < before or (resumed >= 0 and (pack, resumed) not in self.progress.resumed)):
            self.progress.resumed.add((pack, resumed))
            start = max(resumed, 0)
            before = max(before, start)  # a worker may die before its last report is read
            again = max(before - start, self.checkpoint_epochs)
            self.progress.log(
                f"pack {pack[:8]} was interrupted after epoch {before}, and goes on from epoch {start}: at most {again} epochs lost"
            )
        self.reported[pack] = said.epoch
        self.progress.note(str(self.packs[pack].runs[0].condition.model["name"]), said.why_slow)
        self.progress.update(pack, said.seed_epochs, done=said.done)
        if self.budget:
            self.budget.begin()
            self.budget.count(pack, said.seed_epochs - max(resumed, 0) * len(self.packs[pack].runs))
            if self.budget.over and len(self.progress.finished) < len(self.progress.packs):
                self.stopped = self.stopped or SPENT
        if said.done:
            self.tracker.finished(self.packs[pack].runs, said.name)

    def failed(self, pack: str, failure: Failure) -> None:
        """A pack will report no more."""
        self.failures[pack] = failure
        self.progress.update(pack, 0, failed=True)
        if failure.kind is not Kind.PACK:
            self.probe()

    def probe(self) -> None:
        """Check the storage after an error that it may have caused: on a full disk no checkpoint is kept, and Tune cannot even record why."""
        try:
            self.ledger.probe()
        except StorageError as error:
            self.stopped = str(error)


class Executor(Protocol):
    """Trains packs. What is finished is in the ledger; what failed, and why, is told to the watch."""

    def open(self) -> Slots:
        """Start or join what trains, unless that is done. Returns how many packs train at once.

        Raises:
            UserError: there is no such place, or a pack does not fit into it.
        """
        ...

    def train(self, plan: Plan, packs: Sequence[Pack], watch: Watch) -> None:
        """Train these packs, the last first, until each is done or has failed, or the watch has stopped."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...
