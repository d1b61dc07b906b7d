"""From the command line to a validated study: Hydra composes ``conf/``, and what it lets through is checked once more.

Nothing is written here, and no config is trusted that did not pass :func:`compose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import ltm
from ltm.engine import ENGINES
from ltm.errors import UserError, unknown

GROUPS = ("model", "dataset", "training", "compute", "tracking", "search", "experiment")


@dataclass
class TrainingConfig:
    max_epochs: int = MISSING
    patience: int = MISSING
    min_delta: float = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    clip: float = MISSING

    def check(self) -> None:
        for key in ("max_epochs", "patience"):
            if getattr(self, key) < 1:
                raise UserError(f"training.{key} is {getattr(self, key)}; expected at least 1.")
        if not self.lr > 0:
            raise UserError(f"training.lr is {self.lr}; expected a number above 0.")
        for key in ("min_delta", "weight_decay", "clip"):
            if not getattr(self, key) >= 0:
                raise UserError(f"training.{key} is {getattr(self, key)}; expected 0 or more.")


@dataclass
class ComputeConfig:
    where: str = "local"
    address: str | None = None
    slots: int | None = None
    cpus: int | None = None
    cpus_per_pack: int = 1
    gpus_per_pack: float = 0.0
    pack_size: int | None = None
    max_failures: int = 2
    checkpoint_epochs: int = 500
    checkpoint_seconds: float = 10.0
    carry_code: bool = True

    def check(self) -> None:
        if self.where not in ("local", "cluster", "auto"):
            raise unknown("place to compute", self.where, ("local", "cluster", "auto"))
        for key in ("cpus", "cpus_per_pack", "pack_size", "slots", "checkpoint_epochs"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"compute.{key} is {value}; expected at least 1.")
        for key in ("gpus_per_pack", "checkpoint_seconds", "max_failures"):
            if not getattr(self, key) >= 0:
                raise UserError(f"compute.{key} is {getattr(self, key)}; expected 0 or more.")
        if self.gpus_per_pack > 1 and self.gpus_per_pack != int(self.gpus_per_pack):
            raise UserError(f"compute.gpus_per_pack is {self.gpus_per_pack:g}; expected a share of one GPU (0.25) or whole GPUs.")


@dataclass
class TrackingConfig:
    mode: str = "offline"
    project: str = "ltm"
    entity: str | None = None
    per_seed: bool = False

    def check(self) -> None:
        if self.mode not in ("offline", "online", "off"):
            raise unknown("tracking mode", self.mode, ("offline", "online", "off"))


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
        for key in ("trials", "seeds", "rungs", "batch"):
            if getattr(self, key) < 1:
                raise UserError(f"search.{key} is {getattr(self, key)}; expected at least 1.")
        if self.keep < 2:
            raise UserError(f"search.keep is {self.keep}; expected at least 2 (one of so many configurations goes on to the next rung).")


METHODS = ("none", "random", "grid", "optuna")


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
    grid: dict[str, Any] = field(default_factory=dict)
    engine: str = "auto"
    baselines: str = "all"
    published: str | None = None
    verbose: bool = False


SECTIONS: dict[str, type] = {"training": TrainingConfig, "compute": ComputeConfig, "tracking": TrackingConfig, "search": SearchConfig}


@dataclass(frozen=True)
class Composed:
    """The study's config, and the resolved configs of every model and dataset that its grid names."""

    config: StudyConfig
    models: tuple[dict[str, Any], ...]
    datasets: tuple[dict[str, Any], ...]


@cache
def conf_dir() -> Path:
    """The folder of configs: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(ltm.__file__).parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def options(group: str) -> list[str]:
    """The names a config group offers."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def compose(overrides: Sequence[str]) -> Composed:
    """Compose a study from Hydra overrides.

    Overrides of single keys of ``model`` or ``dataset`` apply to every model or dataset of the grid that has the key.

    Raises:
        UserError: an unknown key, group option or value type; the message lists what exists.
    """
    overrides = [f"++{o}" if o.startswith("grid.") else o for o in overrides]  # the grid has no fixed keys
    for override in overrides:
        check_option(override)
    per_group = {group: [o for o in overrides if key_of(o).startswith(f"{group}.")] for group in ("model", "dataset")}
    common = [o for o in overrides if not any(o in given for given in per_group.values())]
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        common = replacing_space(common)
        plain = raw(common)
        config = validated(plain)
        chosen = {group: names_of(config.grid, group, common) for group in per_group}
        choices = composed(chosen, common) | {group: {None: plain[group]} for group, names in chosen.items() if names is None}
        resolved = {group: expand(group, choices[group], common, keys) for group, keys in per_group.items()}
        if len(resolved["model"]) == 1:
            config.model = resolved["model"][0]
        if len(resolved["dataset"]) == 1:
            config.dataset = resolved["dataset"][0]
    return Composed(config, tuple(resolved["model"]), tuple(resolved["dataset"]))


def replacing_space(overrides: Sequence[str]) -> list[str]:
    """Overrides of a search's space replace what they name; Hydra alone would merge a new range into the old choices."""
    mine = [o for o in overrides if key_of(o).startswith("search.space")]
    if not mine:
        return list(overrides)
    others = [o for o in overrides if o not in mine]
    held = {"search.space", *(f"search.space.{key}" for key in (raw(others).get("search") or {}).get("space") or {})}
    for override in mine:
        key = key_of(override)
        if key in held and "={" in override:
            others.append(f"~{key}")
        others.append(override if override.startswith(("~", "+")) else f"++{override}")
        if key == "search.space":
            held = {key}
    return others


def key_of(override: str) -> str:
    """``model.K`` of ``+model.K=50``."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


def check_option(override: str) -> None:
    """An unknown option of a group is an error before Hydra sees it: its own message names search paths."""
    if "=" not in override and not override.startswith("~"):
        raise UserError(f"'{override}' is not an override; expected KEY=VALUE, such as seeds=20 or +experiment=k_sweep.")
    key, value = key_of(override), override.split("=", 1)[-1]
    if key in GROUPS and value not in options(key) and value not in ("null", "") and not value.startswith(("[", "{", "$")):
        raise unknown(key, value, options(key))
    if key == "experiment" and not override.startswith("+"):
        raise UserError(f"'{override}': write +experiment={value} (an experiment is added to the defaults).")


def raw(overrides: Sequence[str]) -> dict[str, Any]:
    """What Hydra composes, as a plain container."""
    try:
        config = hydra_compose("config", overrides=list(overrides))
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from None


def explained(error: Exception, overrides: Sequence[str]) -> UserError:
    """Hydra's complaint in one line, with the keys that exist."""
    keys = [f.name for f in fields(StudyConfig)]
    for override in overrides:
        head, _, rest = key_of(override).partition(".")
        if head not in (*keys, *GROUPS, "hydra"):
            return unknown("key", head, keys)
        section = SECTIONS.get(head)
        if rest and section and rest not in (known := [f.name for f in fields(section)]):
            return unknown(f"key of {head}:", rest, known)
    return UserError(" ".join(str(error).split("\n")[0].split()))


def validated(container: dict[str, Any]) -> StudyConfig:
    """The container merged into the schema, which rejects the keys that ``+`` lets through."""
    schema = OmegaConf.structured(StudyConfig)
    for key in container:
        if key not in schema:
            raise unknown("key", key, [f.name for f in fields(StudyConfig)])
    for section, kind in SECTIONS.items():
        for key in container.get(section) or {}:
            if key not in (known := [f.name for f in fields(kind)]):
                raise unknown(f"key of {section}:", key, known)
    try:
        merged = OmegaConf.merge(schema, container)
        config: StudyConfig = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {str(error).splitlines()[0]}") from None
    config.training.check()
    config.compute.check()
    config.tracking.check()
    config.search.check()
    if config.engine not in ENGINES:
        raise unknown("engine", config.engine, ENGINES)
    if config.baselines not in ("all", "none"):
        raise unknown("choice of baselines", config.baselines, ("all", "none"))
    return config


def names_of(grid: dict[str, Any], group: str, overrides: Sequence[str]) -> list[str] | None:
    """The options of ``model`` or ``dataset`` that the grid varies, or None where the composed one stands."""
    if group not in grid:
        return None
    names = grid[group] if isinstance(grid[group], list) else [grid[group]]
    if not names:
        raise UserError(f"grid.{group} is empty; expected a list of: {', '.join(options(group))}.")
    given = next((o for o in overrides if key_of(o) == group), None)
    if given:
        raise UserError(f"'{given}' has no effect, the grid varies {group}; write grid.{group}=[{given.split('=', 1)[1]}] to restrict it.")
    for name in names:
        if name not in options(group):
            raise unknown(group, str(name), options(group))
    return list(dict.fromkeys(map(str, names)))


def composed(chosen: dict[str, list[str] | None], common: Sequence[str]) -> dict[str, dict[str | None, dict[str, Any]]]:
    """The config of every option by group and name, in one go: Hydra takes 50 ms each time."""
    at = {f"{group}_{i}": (group, name) for group, names in chosen.items() for i, name in enumerate(names or ())}
    container = raw([*common, *(f"+{group}@choices.{key}={name}" for key, (group, name) in at.items())]) if at else {}
    return {group: {name: container["choices"][key] for key, (of, name) in at.items() if of == group} for group in chosen}


def expand(group: str, choices: dict[str | None, dict[str, Any]], common: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The resolved config of every option (``choices`` by name; None is the composed one), with overrides of single keys where it has the key."""
    resolved, used = [], set()
    for name, plain in choices.items():
        mine = [o for o in keys if len(choices) == 1 or key_of(o).split(".", 1)[1] in plain]
        used.update(mine)
        try:
            container = raw([*common, *([f"{group}={name}"] if name else []), *mine])[group] if mine else plain
        except UserError:
            missing = next((o for o in mine if not o.startswith("+") and key_of(o).split(".", 1)[1] not in plain), None)
            if missing is None:
                raise
            raise unknown(f"key of {group}:", key_of(missing).split(".", 1)[1], [k for k in plain if k not in ("cell", "kind")]) from None
        resolved.append(container)
    for override in keys:
        if override not in used:
            raise UserError(f"'{override}': no {group} of this study has the key '{key_of(override).split('.', 1)[1]}'.")
    return resolved


def parse_seeds(given: Any) -> list[int]:
    """Seeds of ``100`` (0 to 99), ``100-199`` (both included) or a list.

    Raises:
        UserError: none, reversed, negative or twice.
    """
    expected = "expected a number (seeds=100), a range (seeds=100-199) or a list (seeds=[1,5])"
    try:
        if isinstance(given, list):
            seeds = [int(seed) for seed in given]
        elif isinstance(given, str) and "-" in given.strip("-"):
            first, last = (int(part) for part in given.split("-"))
            if last < first:
                raise UserError(f"seeds={given} runs backwards; did you mean seeds={last}-{first}?")
            seeds = list(range(first, last + 1))
        else:
            seeds = list(range(int(given)))
    except (TypeError, ValueError):
        raise UserError(f"seeds={given} is not understood; {expected}.") from None
    if not seeds:
        raise UserError(f"seeds={given} leaves no seed; {expected}.")
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds={given} has a negative or a repeated seed; {expected}.")
    return seeds
