"""``--dry-run``: what a command would train, and about how long that takes."""

from __future__ import annotations

from collections import Counter

from rich.console import Console

from ltm.errors import UserError
from sweeps import budget as budgets
from sweeps.budget import Budget
from sweeps.config import Composed
from sweeps.config.schema import mean_seeds
from sweeps.console import counted, duration, say
from sweeps.execution import cluster, estimate, placing
from sweeps.plan import make
from sweeps.record import folder_of, joined, lacking
from sweeps.search.adaptive import Adaptive, proposer


def dry_run(study: Composed, console: Console) -> int:
    """Say what a command would train and how long that takes, measured here; nothing is written but compiled kernels, which the sweep takes. Returns 0.

    Raises:
        UserError: what the sweep would refuse; or a search.
    """
    config = study.config
    cluster.check(config.compute)
    if config.search.method != "none":
        raise UserError("--dry-run: what a search trains depends on what it finds; expected a study without one (search=none).")
    name, ledger = folder_of(study)
    adaptive = proposer(study) if mean_seeds(config.seeds) else None
    asked = adaptive.claims if isinstance(adaptive, Adaptive) else None
    plan = joined(ledger, adaptive.plan if adaptive else make(study), config, name, asked.record() if asked else None)
    if asked:
        say(
            console,
            f"seeds={config.seeds}: {counted(len(asked.claims), 'claim')} decide how many of these are trained, {asked.mean} of each condition in the mean",
        )
    missing = lacking(plan.runs, ledger)
    slots = cluster.here(config.compute)
    places = placing.decided(plan, config, slots, ledger)
    budget = Budget.of(config)
    if budget:
        budget.price(config.compute, slots, places.values())
        packs = budgets.packs_of(budget, plan, missing, places, slots, config)
    else:
        packs = placing.packs_of(missing, places, slots, config.compute)
    for line in (*plan.notes, *plan.of_data):
        say(console, line)
    lacks = Counter(run.condition.id for run in missing)
    for condition in plan.conditions:
        say(console, f"{plan.labels[condition.id]}: {lacks[condition.id]} of {len(plan.seeds)} seeds to train")
    say(
        console,
        f"study {name}: {plan.size}; {len(missing)} to train, in {counted(len(packs), 'pack')}",
    )
    if not packs:
        return 0
    found = estimate.estimated(packs, plan, places, slots, config, ledger)
    longest = found.elapsed(found.seconds)
    workers = f"{slots.cpu} workers" + (f" and {slots.cuda} on a GPU" if any(place.device == "cuda" for place in places.values()) else "")
    each = "" if slots.cpu == 1 else f", {duration(found.share * sum(found.seconds.values()))} if one did all"
    say(
        console,
        f"training takes about {duration(found.share * longest)} on {workers} of this machine's kind{each}: {found.why}; at most {duration(longest)}",
    )
    if budget:
        say(console, budgets.announced(budget, plan, missing, found, packs))
    say(
        console,
        f"beside it: {'some seconds to write a report, as it trains in one process' if estimate.is_here(missing, config) else f'{estimate.AROUND} s or so to start the workers and to write a report'};"
        f" {duration(found.compiling)} to trace and compile kernels, which is done now and kept",
    )
    return 0
