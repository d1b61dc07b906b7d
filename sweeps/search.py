"""Hyperparameter search with seeds inside: a configuration is judged over many seeds, which are lanes of one pack.

A rung of successive halving is a plan like any other, so what the ledger holds is never trained again, and a search that was killed goes on
by the same command. Only validation errors choose; the winner is trained on seeds that no choice has seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import yaml

from analysis.statistics.intervals import aggregate
from ltm.errors import UserError, unknown
from sweeps import damage, grid, launch
from sweeps.config import Composed, parse_seeds
from sweeps.ledger import Ledger
from sweeps.plan import Condition, Plan, digest, label, resolve
from sweeps.progress import say
from sweeps.schema import MOST_TRIALS

LARGEST_END = 2**53
"""Of a range: every whole number up to here is a float."""

FIRST_SEED = 1_000_000
"""Seeds from here on judge configurations; those of the study, below, are fresh."""


@dataclass(frozen=True)
class Axis:
    """One searched key: a range (whole numbers where both ends are), or choices."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Its choices, or both ends of its range."""
        return self.choices or (self.low, self.high)

    def draw(self, rng: np.random.Generator) -> Any:
        if self.choices:
            return self.choices[int(rng.integers(len(self.choices)))]
        if self.whole and not self.log:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high))) if self.log else float(rng.uniform(self.low, self.high))
        return round(value) if self.whole else float(f"{value:.6g}")

    def suggest(self, trial: Any) -> Any:
        """The value that an Optuna trial suggests."""
        if self.choices:
            return trial.suggest_categorical(self.key, list(self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return float(f"{trial.suggest_float(self.key, self.low, self.high, log=self.log):.6g}")


def axes_of(space: Mapping[str, Any], known: set[str]) -> list[Axis]:
    """The search space, checked.

    Raises:
        UserError: an empty space, a key that nothing has, an empty or reversed range, a logarithm of 0, unknown words.
    """
    if not space:
        raise UserError("search.space is empty; name a key, such as search.space.lr={low:0.001,high:0.1,log:true}.")
    found = []
    for key, given in space.items():
        if key not in known:
            raise unknown("key in search.space:", key, known)
        said = {"choices": given} if isinstance(given, list) else given
        expected = f"search.space.{key} is {given}; expected {{low: A, high: B}} with A below B, log: true where A is above 0, or {{choices: [...]}}."
        if not isinstance(said, Mapping) or not set(said) <= {"low", "high", "log", "choices"}:
            raise UserError(expected)
        if "choices" in said:
            if not isinstance(said["choices"], list) or not said["choices"] or len(said) > 1:
                raise UserError(expected)
            found.append(Axis(key, choices=tuple(said["choices"])))
            continue
        low, high, log = cast(float, said.get("low")), cast(float, said.get("high")), bool(said.get("log", False))
        ends = all(isinstance(end, int | float) and not isinstance(end, bool) and abs(end) <= LARGEST_END for end in (low, high))
        if not ends or not low < high or (log and low <= 0):
            raise UserError(expected)
        found.append(Axis(key, low, high, log))
    return found


@dataclass
class Candidate:
    """One configuration of one model on one series; ``score`` is that of its last rung."""

    pair: int
    values: dict[str, Any]
    score: float = math.inf


class Search:
    """The configurations of a study's search, and how they are scored. Holds no result: these are in the ledger."""

    def __init__(self, study: Composed) -> None:
        config = study.config
        self.study, self.config, self.search = study, config, config.search
        self.pairs = list(itertools.product(study.datasets, study.models))
        self.training = asdict(config.training)
        if self.search.metric not in ("validation_loss", "train_loss"):
            raise UserError(
                f"search.metric is '{self.search.metric}'; a test error must not choose. Expected validation_loss (or train_loss)."
            )
        self.reduce = aggregate(self.search.aggregate)
        has = grid.keys_of(study.models, study.datasets, set(self.training) - {"max_epochs"})
        if set(config.grid) - {"model", "dataset"}:
            raise UserError(
                f"a search takes grid.model and grid.dataset only; move {', '.join(set(config.grid) - {'model', 'dataset'})} to search.space."
            )
        space = grid.flat(self.search.space)
        grid.check(space, has, "search.space", "key in search.space:")
        self.axes = axes_of(space, set(space))
        self.seeds = tuple(FIRST_SEED + i for i in range(self.search.seeds))
        self.fresh = tuple(parse_seeds(config.seeds))
        if max(self.fresh) >= FIRST_SEED:
            raise UserError(f"seeds={config.seeds} reach into those of the search, from {FIRST_SEED:,}; choose smaller ones.")
        if self.search.method == "optuna":
            optuna()
        self.check()

    def check(self) -> None:
        """Resolve every configuration that may be tried, or of a range its ends, and the untuned ones.

        Raises:
            UserError: values that a cell, a series or the protocol rejects.
        """
        drawn = self.points() if self.search.method != "optuna" else [{axis.key: value} for axis in self.axes for value in axis.ends]
        for pair, point in itertools.product(range(len(self.pairs)), [{}, *drawn]):
            self.condition(self.candidate(pair, point), self.epochs[-1])

    @property
    def epochs(self) -> list[int]:
        """Epochs of every rung, the last one the study's own."""
        most = int(self.training["max_epochs"])
        return sorted({max(1, round(most / self.search.keep**i)) for i in range(self.search.rungs)})

    def points(self) -> list[dict[str, Any]]:
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

    def candidate(self, pair: int, point: Mapping[str, Any]) -> Candidate:
        """A configuration with the keys that this pair's model, series or training has."""
        dataset, model = self.pairs[pair]
        sections = {"model": model, "dataset": dataset, "training": self.training}
        return Candidate(pair, {key: value for key, value in point.items() if grid.place(key, sections)})

    def condition(self, candidate: Candidate, epochs: int) -> Condition:
        dataset, model = self.pairs[candidate.pair]
        return resolve(model, dataset, self.training | {"max_epochs": epochs}, candidate.values)

    def name(self, condition: Condition) -> str:
        return label(condition, [axis.key for axis in self.axes if axis.key not in ("K", "model.K")])

    def plan(self, candidates: Sequence[Candidate], epochs: int) -> Plan:
        """One rung: these configurations with the search's seeds."""
        conditions = {c.id: c for c in (self.condition(candidate, epochs) for candidate in candidates)}
        return Plan(
            tuple(conditions.values()), self.seeds, {key: f"search, {epochs} epochs: {self.name(c)}" for key, c in conditions.items()}
        )

    def judge(self, candidates: Sequence[Candidate], epochs: int, ledger: Ledger) -> None:
        """Score configurations from the ledger; a seed that diverged or failed is infinitely bad."""
        runs = ledger.runs(["run_id", "condition_id", "seed", "status", self.search.metric])
        runs = runs[runs["seed"].isin(self.seeds)]
        values = runs[self.search.metric].where(runs["status"] != "diverged").fillna(np.inf)
        by_condition = {key: group.to_numpy(float) for key, group in values.groupby(runs["condition_id"])}
        for candidate in candidates:
            have = by_condition.get(self.condition(candidate, epochs).id, np.zeros(0))
            whole = np.concatenate([have, np.full(len(self.seeds) - len(have), np.inf)])
            candidate.score = self.reduce(whole)


def run(search: Search, job: launch.Job) -> int:
    """Search, then train the winners and the untuned configurations on fresh seeds, and report. Returns the exit status."""
    ledger, console = job.ledger, job.console
    propose = optuna_rungs if search.search.method == "optuna" else halving
    claim(search, ledger, job.name, job.command)
    ledger.done()
    if healed := damage.heal(ledger):
        say(console, healed)

    def train(plan: Plan, what: str) -> int:
        missing = len(launch.lacking(plan.runs, ledger))
        say(
            console,
            f"{what}: {len(plan.conditions)} configurations x {len(plan.seeds)} seeds; {len(plan.runs) - missing} finished before, {missing} to train",
        )
        return launch.complete(plan, job)

    winners, status = propose(search, ledger, train)
    if not status:
        untuned = [search.candidate(pair, {}) for pair in range(len(search.pairs))]
        last = search.epochs[-1]
        conditions = {c.id: c for c in (search.condition(candidate, last) for candidate in [*winners, *untuned])}
        labels = {key: search.name(c) for key, c in conditions.items()}
        for winner in winners:
            say(
                console,
                f"winner: {labels[search.condition(winner, last).id]}, {search.search.aggregate} {search.search.metric} {winner.score:.4g}",
            )
        status = train(Plan(tuple(conditions.values()), search.fresh, labels), "fresh seeds, winners and untuned")
    if status != launch.STOPPED:
        launch.report(job)
    return status or (0 if ledger.failures().empty else launch.FAILED)


Train = Callable[[Plan, str], int]


def halving(search: Search, ledger: Ledger, train: Train) -> tuple[list[Candidate], int]:
    """Synchronous successive halving (Jamieson and Talwalkar 2016), for each model and series apart. Returns the winners and the exit status."""
    candidates = {pair: [search.candidate(pair, point) for point in search.points()] for pair in range(len(search.pairs))}
    for i, epochs in enumerate(search.epochs):
        everyone = list(itertools.chain(*candidates.values()))
        status = train(search.plan(everyone, epochs), f"rung {i + 1} of {len(search.epochs)}, {epochs} epochs")
        if status not in (0, launch.FAILED):
            return [], status
        search.judge(everyone, epochs, ledger)
        for pair, mine in candidates.items():
            best = sorted(mine, key=lambda c: c.score)
            candidates[pair] = best[: 1 if epochs == search.epochs[-1] else math.ceil(len(mine) / search.search.keep)]
    return [mine[0] for mine in candidates.values()], 0


def optuna_rungs(search: Search, ledger: Ledger, train: Train) -> tuple[list[Candidate], int]:
    """Optuna's TPE, a batch at a time, for each model and series apart; the same results lead it the same way again."""
    tpe = optuna()
    epochs, asked = search.epochs[-1], 0
    studies = [tpe.create_study(sampler=tpe.samplers.TPESampler(seed=search.search.seed + i)) for i in range(len(search.pairs))]
    best: dict[int, Candidate] = {}
    while asked < search.search.trials:
        count = min(search.search.batch, search.search.trials - asked)
        batch = []
        for pair, of_pair in enumerate(studies):
            for _ in range(count):
                trial = of_pair.ask()
                batch.append((of_pair, trial, search.candidate(pair, {axis.key: axis.suggest(trial) for axis in search.axes})))
        asked += count
        candidates = [candidate for _, _, candidate in batch]
        status = train(search.plan(candidates, epochs), f"configurations {asked - count + 1} to {asked} of {search.search.trials}")
        if status not in (0, launch.FAILED):
            return [], status
        search.judge(candidates, epochs, ledger)
        for of_pair, trial, candidate in batch:
            if math.isfinite(candidate.score):
                of_pair.tell(trial, candidate.score)
            else:
                of_pair.tell(trial, state=tpe.trial.TrialState.FAIL)
            if candidate.pair not in best or candidate.score < best[candidate.pair].score:
                best[candidate.pair] = candidate
    return list(best.values()), 0


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


def claim(search: Search, ledger: Ledger, name: str, command: str) -> None:
    """Write the study's record, unless its folder holds another study. More fresh seeds or trials are the same search."""
    mine = digest([asdict(replace(search.search, trials=0)), search.training, [list(pair) for pair in search.pairs]])
    held = ledger.record()
    if held and (held.get("search") or {}).get("id") != mine:
        raise UserError(f"{ledger.path} holds another study or search; choose another folder with study=NAME, such as study={name}_2.")
    if not held:
        launch.ready([search.condition(search.candidate(pair, {}), search.epochs[-1]) for pair in range(len(search.pairs))], search.config)
    record = launch.record_of(search.config, name, command) | {
        "conditions": {}, "search": {"id": mine, "axes": [axis.key for axis in search.axes], "first_seed": FIRST_SEED},
    }  # fmt: skip
    ledger.put(launch.CONFIG, yaml.safe_dump(record, sort_keys=False, allow_unicode=True).encode())
