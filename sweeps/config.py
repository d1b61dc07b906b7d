"""From the command line to a validated study: Hydra composes ``conf/``, and what it lets through is checked once more.

Nothing is written here, and no config is trusted that did not pass :func:`compose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import ltm
from ltm.errors import UserError, shown, unknown
from sweeps import grid
from sweeps.schema import SECTIONS, ComputeConfig, SearchConfig, StudyConfig, TrackingConfig, TrainingConfig, parse_seeds

__all__ = [
    "Composed", "ComputeConfig", "SearchConfig", "StudyConfig", "TrackingConfig", "TrainingConfig", "compose", "options", "parse_seeds",
]  # fmt: skip

GROUPS = ("model", "dataset", "training", "compute", "tracking", "search", "experiment")

APART = "grid_of_sections"
"""Where ``grid.model.K`` is composed: in the grid itself ``model`` is a list of names."""


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
    for override in overrides:
        check_option(override)
    overrides = [opened(override) for override in overrides]
    per_group = {group: [o for o in overrides if key_of(o).startswith(f"{group}.")] for group in ("model", "dataset")}
    common = [o for o in overrides if not any(o in given for given in per_group.values())]
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        common = replacing_space(common)
        plain = raw(common)
        varied = grid.flat(plain.get("grid")) | grid.flat(plain.pop(APART, {}))
        config = validated(plain | {"grid": varied})
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


def opened(override: str) -> str:
    """An override of a grid's key as one that may be new, as the grid has no fixed keys; one with a section is composed apart."""
    key = key_of(override)
    names = key.split(".")
    if names[0] != "grid" or override.startswith("~"):
        return override
    place = f"{APART}.{'.'.join(names[1:])}" if len(names) > 2 and names[1] in grid.SECTIONS else key
    return f"++{place}{override.lstrip('+').removeprefix(key)}"


def key_of(override: str) -> str:
    """``model.K`` of ``+model.K=50``."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


def check_option(override: str) -> None:
    """What Hydra would not say in a user's words is an error before it sees it: its own message on a group's option names search paths."""
    if not override.replace("\t", " ").isprintable():
        raise UserError(f"{override!r} has a line end or another control character; write every override on one line.")
    key, value = key_of(override), override.split("=", 1)[-1]
    if override.startswith("-"):
        raise UserError(f"unknown option '{override}'; there are --help and --cfg, all else is KEY=VALUE, such as seeds=20.")
    if not key or ("=" not in override and not override.startswith("~")):
        raise UserError(f"'{override}' is not an override; expected KEY=VALUE, such as seeds=20 or +experiment=k_sweep.")
    if key == "experiment" and not override.startswith("+"):
        raise UserError(f"'{override}': write +experiment={value} (an experiment is added to the defaults).")
    if key in GROUPS and override.startswith("~"):
        raise UserError(f"'{override}': a study needs one {key}; choose one with {key}=NAME: {', '.join(options(key))}.")
    names = value.strip("[]").split(",") if key == "experiment" else [value]
    for name in names if key in GROUPS and not value.startswith("$") else ():
        if name.strip() not in options(key):
            raise unknown(key, name.strip(), options(key))


def raw(overrides: Sequence[str]) -> dict[str, Any]:
    """What Hydra composes, as a plain container."""
    try:
        config = hydra_compose("config", overrides=list(overrides))
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except Exception as error:  # a parser and resolvers at work on the user's words: whatever they raise, these are to blame
        raise explained(error, overrides) from None


def explained(error: Exception, overrides: Sequence[str]) -> UserError:
    """Hydra's complaint in one line, with the keys that exist."""
    keys = [f.name for f in fields(StudyConfig)]
    for override in overrides:
        head, _, rest = key_of(override).partition(".")
        if head not in (*keys, *GROUPS, "hydra", APART):
            return unknown("key", head, keys)
        section = SECTIONS.get(head)
        if rest and section and rest not in (known := [f.name for f in fields(section)]):
            return unknown(f"key of {head}:", rest, known)
        if "Could not override" in str(error) and f"'{key_of(override)}'" in str(error) and head in GROUPS:
            chosen = f"choose another with {head}=NAME: {', '.join(options(head))}"
            return UserError(f"'{override}': the {head} that is chosen has no key '{rest}'; {chosen}.")
    if isinstance(error, OverrideParseException):
        given = error.override.lstrip("+").replace(f"{APART}.", "grid.")
        return UserError(f"'{given}' is not understood; expected KEY=VALUE, with quotes around special characters: 'study=\"my study\"'.")
    said = ": ".join(str(e).strip().splitlines()[0] for e in (error, error.__cause__) if str(e or "").strip()) or type(error).__name__
    return UserError(f"not understood: {said}".replace(f"++{APART}.", "grid.").replace(f"{APART}.", "grid."))


def validated(container: dict[str, Any]) -> StudyConfig:
    """The container merged into the schema, which rejects the keys that ``+`` lets through."""
    schema = OmegaConf.structured(StudyConfig)
    for key in container:
        if key not in schema:
            raise unknown("key", key, [f.name for f in fields(StudyConfig)])
    for section in ("model", "dataset", *SECTIONS):
        if not isinstance(given := container.get(section), dict):
            raise UserError(f"{section} is {shown(given)}; choose one with {section}=NAME: {', '.join(options(section))}.")
        for key in given if section in SECTIONS else ():
            if key not in (known := [f.name for f in fields(SECTIONS[section])]):
                raise unknown(f"key of {section}:", key, known)
    try:
        merged = OmegaConf.merge(schema, container)
        config: StudyConfig = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {str(error).splitlines()[0]}") from None
    config.check()
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
