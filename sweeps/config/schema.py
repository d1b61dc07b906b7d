"""What a study's config may hold: one dataclass a section, each with a ``check`` of its values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from ltm import checks
from ltm.errors import UserError, shown, unknown
from sweeps.search import METHODS

MOST_EPOCHS = 10_000_000
"""Of one seed run: a loss is kept of every epoch."""

MOST_SEEDS, LARGEST_SEED = 1_000_000, 2**63 - 1
"""Seeds of one study, and the largest one: seeds are 64-bit integers in generators and in the ledger."""

AUTO, AUTO_MEAN = "auto", 100
"""As many seeds as the claims need; and how many each condition may have in the mean."""

MOST_TRIALS = 100_000
MOST_RUNGS = 20

MOST_JOBS = 1000

PLACES = ("local", "cluster", "auto", "slurm")

DEVICES = ("auto", "cpu", "cuda")

SECONDS, SEED_EPOCHS, USD = "seconds", "seed-epochs", "USD"
"""What a budget counts."""

UNITS = {
    **dict.fromkeys(("s", "second", "seconds"), (1.0, SECONDS)), **dict.fromkeys(("min", "minute", "minutes"), (60.0, SECONDS)),
    **dict.fromkeys(("h", "hour", "hours"), (3600.0, SECONDS)), **dict.fromkeys(("d", "day", "days"), (86400.0, SECONDS)),
    SEED_EPOCHS: (1.0, SEED_EPOCHS), "seed-epoch": (1.0, SEED_EPOCHS), USD: (1.0, USD),
}  # fmt: skip
"""Units that a budget is written in: how many of what it counts."""


@dataclass
class TrainingConfig:
    """The training protocol: fields of :class:`ltm.training.Protocol` and, what may differ from lane to lane, of :class:`ltm.training.Lane`.

    A key with a default came later than ids were first written down: at its default it is left out of what they hash (:data:`LATER`).
    """

    max_epochs: int = MISSING
    patience: int = MISSING
    min_delta: float = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    clip: float = MISSING
    optimizer: str = "adam"
    batch: int | None = None
    order: str = "shuffled"
    schedule: str = "constant"
    loss: str | None = None
    clip_value: float = 0.0
    momentum: float = 0.0
    dropout: float = 0.0
    smoothness: float = 0.0
    watch: str = "train"
    until: dict[str, Any] | None = None
    budget: int | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    alpha: float = 0.99

    def check(self) -> None:
        from ltm.training.losses import find  # with torch, which --help does without
        from ltm.training.state import Protocol
        from ltm.training.stopping import Until

        checks.whole("training.max_epochs", self.max_epochs, high=MOST_EPOCHS)
        checks.whole("training.patience", self.patience)
        for key in ("lr", "eps"):
            checks.number(f"training.{key}", getattr(self, key), above=0)
        for key in ("min_delta", "weight_decay", "clip", "clip_value", "smoothness"):
            checks.number(f"training.{key}", getattr(self, key), low=0)
        for key in ("momentum", "dropout", "beta1", "beta2", "alpha"):
            checks.number(f"training.{key}", value := getattr(self, key), low=0)
            if value >= 1:
                raise UserError(f"training.{key} is {value:g}; expected a number of at least 0 and below 1.")
        for key in ("batch", "budget"):
            if getattr(self, key) is not None:
                checks.whole(f"training.{key}", getattr(self, key))
        if self.loss is not None:
            find(self.loss)
        if self.until is not None:
            Until.of(self.until)
        Protocol(**{key: getattr(self, key) for key in ("optimizer", "order", "schedule", "watch")})  # which knows the names that there are


LATER = {field.name: field.default for field in fields(TrainingConfig) if field.default is not MISSING}
"""Training keys that have a default, and that default."""


@dataclass
class ComputeConfig:
    where: str = "local"
    ray: str = "auto"
    address: str | None = None
    slots: int | None = None
    cpus: int | None = None
    cpus_per_pack: int = 1
    gpus_per_pack: float = 1.0
    device: str = "auto"
    memory: float | None = None
    pack_size: int | None = None
    max_failures: int = 2
    checkpoint_epochs: int = 500
    checkpoint_seconds: float = 10.0
    carry_code: bool = True
    nodes: int = 1
    time: str = "1:00:00"
    partition: str | None = None
    chain: int = 1
    template: str | None = None
    submit: bool = True
    usd_per_core_hour: float | None = None
    usd_per_gpu_hour: float | None = None

    def check(self) -> None:
        if self.where not in PLACES:
            raise unknown("place to compute", self.where, PLACES)
        if self.ray not in ("auto", "always", "never"):
            raise unknown("use of Ray: compute.ray", self.ray, ("auto", "always", "never"))
        if self.ray == "never" and self.where == "cluster":
            raise UserError("compute.ray=never trains in this process, and compute=cluster on a Ray cluster; choose one of them.")
        for key, most in (
            ("cpus", 100_000), ("cpus_per_pack", 10_000), ("slots", 1_000_000), ("pack_size", 1_000_000), ("checkpoint_epochs", checks.LARGEST),
        ):  # fmt: skip
            if (value := getattr(self, key)) is not None or key in ("cpus_per_pack", "checkpoint_epochs"):
                checks.whole(f"compute.{key}", value, high=most)
        checks.whole("compute.max_failures", self.max_failures, low=0, high=1_000_000)
        checks.whole("compute.nodes", self.nodes, high=100_000)
        checks.whole("compute.chain", self.chain, high=MOST_JOBS)
        for key in ("partition", "template"):
            if getattr(self, key) is not None:
                checks.text(f"compute.{key}", getattr(self, key))
        seconds_of(self.time)
        if self.device not in DEVICES:
            raise unknown("device: compute.device", self.device, DEVICES)
        if self.memory is not None:
            checks.number("compute.memory", self.memory, above=0)
        for key in ("usd_per_core_hour", "usd_per_gpu_hour"):
            if getattr(self, key) is not None:
                checks.number(f"compute.{key}", getattr(self, key), low=0)
        checks.number("compute.gpus_per_pack", self.gpus_per_pack, above=0, high=10_000)
        checks.number("compute.checkpoint_seconds", self.checkpoint_seconds, low=0)
        if self.gpus_per_pack > 1 and self.gpus_per_pack != int(self.gpus_per_pack):
            raise UserError(f"compute.gpus_per_pack is {self.gpus_per_pack:g}; expected a share of one GPU (0.25) or whole GPUs.")
        if 0 < self.gpus_per_pack < 1e-4:
            raise UserError(f"compute.gpus_per_pack is {self.gpus_per_pack:g}; expected at least 0.0001 of a GPU.")


@dataclass
class TrackingConfig:
    mode: str = "offline"
    project: str = "ltm"
    entity: str | None = None
    per_seed: bool = False

    def check(self) -> None:
        if self.mode not in ("offline", "online", "off"):
            raise unknown("tracking mode", self.mode, ("offline", "online", "off"))
        checks.text("tracking.project", self.project)
        if self.entity is not None:
            checks.text("tracking.entity", self.entity)


@dataclass
class SearchConfig:
    method: str = "none"
    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 32
    seeds: int = 16
    metric: str = "validation_loss"
    aggregate: str = "median"
    rungs: int = 3
    keep: int = 3
    batch: int = 8
    seed: int = 0

    def check(self) -> None:
        if self.method not in METHODS:
            raise unknown("search method", self.method, METHODS)
        if self.method == "none" and self.space:
            raise UserError(
                f"search.space names {', '.join(map(str, self.space))}, but nothing is searched; add search=random, grid or optuna."
            )
        for key, most in (("trials", MOST_TRIALS), ("seeds", MOST_SEEDS), ("rungs", MOST_RUNGS), ("batch", MOST_TRIALS)):
            checks.whole(f"search.{key}", getattr(self, key), high=most)
        checks.whole("search.seed", self.seed, low=0)
        if self.keep < 2:
            raise UserError(f"search.keep is {self.keep}; expected at least 2 (one of so many configurations goes on to the next rung).")
        checks.whole("search.keep", self.keep, low=2)


@dataclass
class StudyConfig:
    """A study as composed, before its grid is expanded (:mod:`sweeps.plan`)."""

    model: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    study: str | None = None
    root: str = "results"
    seeds: Any = 10
    claims: Any = "all"
    error_rate: float = 0.05
    budget: str | None = None
    grid: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, Any] = field(default_factory=dict)
    engine: str = "auto"
    baselines: str = "all"
    published: str | None = None
    verbose: bool = False

    def check(self) -> None:
        from ltm.engine import ENGINES  # with torch, which --help does without

        for section in (self.training, self.compute, self.tracking, self.search):
            section.check()
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        if self.compute.device != "auto" and self.engine in ("cpu", "cuda") and self.engine != self.compute.device:
            raise UserError(
                f"engine={self.engine} trains on {self.engine} and compute.device is {self.compute.device}; leave one of them out."
            )
        if self.baselines not in ("all", "none"):
            raise unknown("choice of baselines", self.baselines, ("all", "none"))
        checks.text("root", self.root)
        if self.study is not None:
            folder_name(self.study)
        parse_seeds(self.seeds)
        checks.number("error_rate", self.error_rate, above=0, high=0.5)
        if self.claims != "all" and mean_seeds(self.seeds) is None:
            raise UserError(f"claims are what seeds=auto decides, and seeds={shown(self.seeds)}; expected seeds=auto, or no claims.")
        if mean_seeds(self.seeds) and self.search.method != "none":
            raise UserError(
                f"search.method is {self.search.method}, and seeds=auto decides claims; choose one of both: seeds=100, or search=none."
            )
        if self.budget is not None and parse_budget(self.budget)[1] == USD and not self.compute.usd_per_core_hour:
            raise UserError(f"budget={self.budget} needs compute.usd_per_core_hour; expected what an hour of one core costs, such as 0.04.")


SECTIONS: dict[str, type] = {"training": TrainingConfig, "compute": ComputeConfig, "tracking": TrackingConfig, "search": SearchConfig}


def folder_name(study: str) -> str:
    """A study's name, if it is one plain folder name.

    Raises:
        UserError: empty, with a separator or a control character, ``.`` or ``..``, or too long.
    """
    plain = study.strip() and study.isprintable() and not set(study) & {"/", "\\"} and study not in (".", "..")
    if not plain or len(study.encode()) > 200:
        raise UserError(
            f"study={study[:80]!r} is no name for a folder; expected one plain name without / or \\, such as study=my_sweep (root=DIR)."
        )
    return study


def mean_seeds(given: Any) -> int | None:
    """Seeds of each condition in the mean, of ``auto`` (100) or ``auto 40``; None where seeds are fixed.

    Raises:
        UserError: no whole number above 0 after ``auto``, or too many.
    """
    word, _, number = given.strip().partition(" ") if isinstance(given, str) else ("", "", "")
    if word != AUTO:
        return None
    try:
        mean = whole(number) if number else AUTO_MEAN
    except ValueError:
        mean = 0
    if not 0 < mean <= MOST_SEEDS:
        raise UserError(
            f"seeds={shown(given)} is not understood; expected {AUTO}, or with seeds of each condition in the mean: '{AUTO} 200'."
        )
    return mean


def parse_seeds(given: Any) -> list[int]:
    """Seeds of ``100`` (0 to 99), ``100-199`` (both included) or a list; of ``auto`` those that it has in the mean, as a size.

    Raises:
        UserError: none, too many, no whole numbers, reversed, negative, too large or twice.
    """
    expected = "expected a number (seeds=100), a range (seeds=100-199), a list (seeds=[1,5]) or auto"
    said = str(given) if len(str(given)) <= 80 else f"{str(given)[:80]}..."
    given = mean_seeds(given) or given
    try:
        if isinstance(given, list):
            first, last, seeds = 0, len(given) - 1, [whole(seed) for seed in given]
        elif isinstance(given, str) and "-" in given.strip("-"):
            first, last = (whole(part) for part in given.split("-"))
            seeds = None
            if last < first:
                raise UserError(f"seeds={said} runs backwards; did you mean seeds={last}-{first}?")
        else:
            first, last, seeds = 0, whole(given) - 1, None
    except (TypeError, ValueError):
        raise UserError(f"seeds={said} is not understood; {expected}.") from None
    if last - first + 1 > MOST_SEEDS:
        raise UserError(f"seeds={said} are {last - first + 1:,} seeds; a study takes at most {MOST_SEEDS:,}.")
    seeds = list(range(first, last + 1)) if seeds is None else seeds
    if not seeds:
        raise UserError(f"seeds={said} leaves no seed; {expected}.")
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds={said} has a negative or a repeated seed; {expected}.")
    if max(seeds) > LARGEST_SEED:
        raise UserError(f"seeds={said} has a seed above {LARGEST_SEED} (2^63 - 1), which no generator takes; {expected}.")
    return seeds


def seconds_of(time: str) -> int:
    """Seconds of a time limit as SLURM writes it: minutes, M:SS, H:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS.

    Raises:
        UserError: none of these, or nothing.
    """
    found = re.fullmatch(r"(?:(\d{1,5})-)?(\d{1,7}(?::\d{1,2}){0,2})", time.strip(), re.ASCII)
    seconds = 0
    if found:
        parts = [int(part) for part in found[2].split(":")]
        h, m, s = [*parts, 0, 0][:3] if found[1] or len(parts) == 3 else [0, *parts, 0][:3]
        seconds = ((int(found[1] or 0) * 24 + h) * 60 + m) * 60 + s
    if not seconds:
        raise UserError(f"compute.time is '{shown(time)}'; expected a time limit such as 30 (minutes), 2:00:00 or 1-12:00:00.")
    return seconds


def parse_budget(given: str) -> tuple[float, str]:
    """``2 h`` as ``(7200.0, "seconds")``: the amount of a budget and what it counts.

    Raises:
        UserError: no number above 0, or no unit that there is.
    """
    number, _, unit = str(given).strip().partition(" ")
    try:
        amount, (times, counts) = float(number), UNITS[unit.strip()]
    except (ValueError, KeyError):
        amount, times, counts = math.nan, 1.0, ""
    if not 0 < amount < math.inf:
        raise UserError(
            f"budget is '{shown(given)}'; expected a number above 0 and a unit: '2 h' (or s, min, d), '1e6 seed-epochs' or '10 USD'."
        )
    return amount * times, counts


def whole(given: Any) -> int:
    """A whole number, or the digits of one; ``ValueError`` for all else, such as 3.7 or True."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and given.strip().removeprefix("-").isdecimal():
        return int(given)
    raise ValueError(given)
