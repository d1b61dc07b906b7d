"""What a command line says, before Hydra sees it: overrides that are none, commas that sweep, and the keys of grids and search spaces."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, ValueType
from hydra.errors import HydraException

from ltm.errors import UserError, unknown
from sweeps.config import grid
from sweeps.config.folders import GROUPS, Folders, check_option, options
from sweeps.config.schema import StudyConfig

APART = "grid_of_sections"
"""Where ``grid.model.K`` is composed: in the grid itself ``model`` is a list of names."""


def key_of(override: str) -> str:
    """``model.K`` of ``+model.K=50``."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


def name_of(override: str) -> str:
    """``K`` of ``+model.K=50``."""
    return key_of(override).partition(".")[2]


def check(override: str, folders: Folders) -> None:
    """What Hydra would not say in a user's words is an error before it sees it: its own message on a group's option names search paths."""
    if not override.replace("\t", " ").isprintable():
        raise UserError(f"{override!r} has a line end or another control character; write every override on one line.")
    key, value = key_of(override), override.split("=", 1)[-1]
    if override.startswith("-"):
        raise UserError(f"unknown option '{override}'; there are {OPTIONS}, all else is KEY=VALUE, such as seeds=20.")
    if not key or ("=" not in override and not override.startswith("~")):
        raise UserError(f"'{override}' is not an override; expected KEY=VALUE, such as seeds=20 or +experiment=k_sweep.")
    if key == "experiment" and not override.startswith("+"):
        raise UserError(f"'{override}': write +experiment={value} (an experiment is added to the defaults).")
    if key in GROUPS and override.startswith("~"):
        raise UserError(f"'{override}': a study needs one {key}; choose one with {key}=NAME: {', '.join(options(key, folders))}.")
    names = value.strip("[]").split(",") if key == "experiment" else [value]
    for name in names if key in GROUPS and not value.startswith("$") else ():
        check_option(key, name.strip(), folders)


OPTIONS = "--help, --cfg, --info, --dry-run and --config-dir"


def swept(override: str, folders: Folders) -> str:
    """An override as it is, or, where commas, ``choice``, ``range``, ``glob`` or a list with ``0-19`` in it sweep it, as the grid's list of these values.

    Raises:
        UserError: a key that has one value in a study.
    """
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # Hydra says so, when it composes
        return override
    key = parsed.key_or_group
    section, _, name = key.partition(".")
    if not parsed.is_sweep_override():
        spread = section in grid.SECTIONS and name and isinstance(held := parsed.value(), list) and any(map(grid.is_range, held))
        return f"grid.{key}={override.split('=', 1)[1]}" if spread else override
    if parsed.package is not None or not (key in ("model", "dataset") or (section in (*grid.SECTIONS, "grid") and name)):
        raise one_value(key, override)
    if parsed.value_type == ValueType.INTERVAL_SWEEP:
        raise UserError(
            f"'{override}': a range is drawn from by a search; write search=random search.space.{name or key}={{low:0.1,high:1}}."
        )
    return f"{key if section == 'grid' else f'grid.{key}'}=[{','.join(values_of(parsed, folders))}]"


def values_of(parsed: Override, folders: Folders) -> list[str]:
    value = parsed.value()
    return value.filter(options(parsed.key_or_group, folders)) if isinstance(value, Glob) else list(parsed.sweep_string_iterator())


def one_value(key: str, override: str) -> UserError:
    """The error for a sweep of what has one value in a study."""
    value = override.split("=", 1)[1]
    if key == "seeds":
        return UserError(f"'{override}': every condition has the same seeds; write seeds=[{value}] for these, seeds=20 or seeds=10-19.")
    if key == "experiment":
        return UserError(f"'{override}': an experiment is a study of its own; give a command for each.")
    if key.startswith("search.space."):
        return UserError(f"'{override}': write {key}=[{value}], the choices of a search.")
    section, keys = key.partition(".")[0], [*GROUPS, *(field.name for field in fields(StudyConfig))]
    if section not in keys:
        return unknown("key", section, keys)
    if key == "training":
        return UserError(f"'{override}': a study has one training; sweep keys of it, such as training.lr=0.01,0.003.")
    return UserError(
        f"'{override}': {key} has one value in a study; model, dataset and keys of model, dataset and training sweep. Give a command for each value."
    )


def opened(override: str) -> str:
    """An override of a grid's key as one that may be new, as the grid has no fixed keys; one with a section is composed apart."""
    key = key_of(override)
    names = key.split(".")
    if names[0] != "grid" or override.startswith("~"):
        return override
    place = f"{APART}.{'.'.join(names[1:])}" if len(names) > 2 and names[1] in grid.SECTIONS else key
    return f"++{place}{override.lstrip('+').removeprefix(key)}"


def keys_of_cells(overrides: Sequence[str]) -> set[str]:
    """The keys of the cells that an override of ``model.cells`` names; none where it names no cells, which is refused later."""
    from ltm import cells

    found: set[str] = set()
    for override in overrides:
        if key_of(override) == "model.cells":
            with suppress(HydraException, UserError):
                named = OverridesParser.create().parse_override(override).value()
                found |= cells.options(*(cells.find(str(one)) for one in named)) if isinstance(named, list) else set()
    return found


def space_of(overrides: Sequence[str]) -> list[str]:
    """The overrides of a search's space."""
    return [override for override in overrides if key_of(override).startswith("search.space")]


def replacing(space: Sequence[str], held: set[str]) -> list[str]:
    """Overrides of a search's space that replace what they name; Hydra alone would merge a new range into the old choices.

    Args:
        held: the keys that the space has without them.
    """
    found: list[str] = []
    held = {"search.space", *(f"search.space.{key}" for key in held)}
    for override in space:
        key = key_of(override)
        if key in held and "={" in override:
            found.append(f"~{key}")
        found.append(override if override.startswith(("~", "+")) else f"++{override}")
        if key == "search.space":
            held = {key}
    return found
