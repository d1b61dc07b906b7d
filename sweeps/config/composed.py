"""From the command line to a validated study: Hydra composes ``conf/``, and what it lets through is checked once more.

Nothing is written here, and no config is trusted that did not pass :func:`compose`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ltm.errors import UserError, shown, unknown
from sweeps.config import folders as places
from sweeps.config import grid, overrides
from sweeps.config.folders import GROUPS, Folders, check_option, conf_dir, options
from sweeps.config.overrides import APART, key_of, name_of
from sweeps.config.schema import SECTIONS, StudyConfig


@dataclass(frozen=True)
class Composed:
    """The study's config, and the resolved configs of every model and dataset that its grid names; with blocks, each of them composed for itself."""

    config: StudyConfig
    models: tuple[dict[str, Any], ...]
    datasets: tuple[dict[str, Any], ...]
    blocks: tuple[Composed, ...] = ()


def compose(arguments: Sequence[str]) -> Composed:
    """Compose a study from Hydra overrides, ``--config-dir DIR`` among them.

    Overrides of single keys of ``model`` or ``dataset`` apply to every model or dataset of the grid that has the key. Commas sweep: they are lists of the grid.

    Raises:
        UserError: an unknown key, group option or value type; the message lists what exists.
    """
    given, folders = places.given(arguments)
    lists = [overrides.swept(override, folders) for override in given]
    for override in lists:
        overrides.check(override, folders)
    commas = [key_of(new).removeprefix("grid.") for old, new in zip(given, lists, strict=True) if key_of(old) != key_of(new)]
    of_cells = overrides.keys_of_cells(lists)
    named = [of_network(overrides.opened(override), of_cells) for override in lists]
    per_group = {group: [o for o in named if key_of(o).startswith(f"{group}.")] for group in ("model", "dataset")}
    common = [o for o in named if not any(o in mine for mine in per_group.values())] + places.searchpath(folders)
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        common = replacing_space(common)
        plain = raw(common)
        varied = grid.flat(plain.get("grid")) | grid.flat(plain.pop(APART, {}))
        for key in commas:  # they replace the grid of an experiment, which may name the key without its section
            if f"grid.{(bare := key.rpartition('.')[2])}" not in map(key_of, lists) and bare != key:
                varied.pop(bare, None)
        config = validated(plain | {"grid": varied}, folders)

        of_each = blocks_of(config) if config.blocks else [config]
        check_sections(plain, [group for group in per_group if all(group in one.grid for one in of_each)], common, folders)

        def of_grid(config: StudyConfig) -> Composed:
            chosen = {group: names_of(config.grid, group, common, folders) for group in per_group}
            choices = composed(chosen, common) | {group: {None: plain[group]} for group, names in chosen.items() if names is None}
            resolved = {group: expand(group, choices[group], common, keys) for group, keys in per_group.items()}
            if len(resolved["model"]) == 1:
                config.model = resolved["model"][0]
            if len(resolved["dataset"]) == 1:
                config.dataset = resolved["dataset"][0]
            study = Composed(config, tuple(resolved["model"]), tuple(resolved["dataset"]))
            check_whole(study, named)
            return study

        if not config.blocks:
            return of_grid(config)
        blocks = tuple(map(of_grid, of_each))
    models, datasets = ({one["name"]: one for block in blocks for one in getattr(block, group)} for group in ("models", "datasets"))
    return Composed(config, tuple(models.values()), tuple(datasets.values()), blocks)


def blocks_of(config: StudyConfig) -> list[StudyConfig]:
    """The study of every block: the grid with the block's keys, which come before those of the grid.

    Raises:
        UserError: a block that is no mapping.
    """
    for name, block in config.blocks.items():
        if not isinstance(block, dict):
            raise UserError(f"blocks.{name} is {shown(block)}; expected keys with a value or a list each, such as blocks.{name}.lr=0.1.")
    return [replace(config, grid=config.grid | grid.flat(block), blocks={}) for block in config.blocks.values()]


def of_network(override: str, of_cells: Set[str] = frozenset()) -> str:
    """An override of a key that every model, or a cell of the network, has, as one that a model's YAML need not list."""
    from ltm.cells import STACK

    group, _, name = key_of(override).partition(".")
    return f"++{override.lstrip('+')}" if group == "model" and name in {*STACK, *of_cells} and not override.startswith("~") else override


def with_network(group: str, config: dict[str, Any]) -> dict[str, Any]:
    """A model's config with the keys that every model has."""
    from ltm.cells import STACK

    return config | {key: value for key, value in STACK.items() if key not in config} if group == "model" else config


def check_whole(study: Composed, given: Sequence[str]) -> None:
    """What only the whole study shows: two models of one name, an override that the grid makes vain.

    Raises:
        UserError: the first of these.
    """
    has = {
        "model": {k for m in study.models for k in m},
        "dataset": {k for d in study.datasets for k in d},
        "training": set(asdict(study.config.training)),
    }
    for group, all_of in (("model", study.models), ("dataset", study.datasets)):
        names = [str(one.get("name")) for one in all_of]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"two of the {group}s of this study are called '{twice}'; give one of them another name, in a YAML of its own.")
    for override in given:
        section, name = key_of(override).partition(".")[0], name_of(override)
        held = [key for key in study.config.grid if grid.place(key, has) == (section, name)] if section in has and name else []
        if held and not override.startswith(("~", "+")):
            raise UserError(
                f"'{override}' has no effect, the grid varies {held[0]}; write grid.{held[0]}=[{override.partition('=')[2]}] to restrict it."
            )


def replacing_space(given: Sequence[str]) -> list[str]:
    """Overrides of a search's space replace what they name (:func:`overrides.replacing`)."""
    if not (mine := overrides.space_of(given)):
        return list(given)
    others = [o for o in given if o not in mine]
    return others + overrides.replacing(mine, set((raw(others).get("search") or {}).get("space") or {}))


def raw(given: Sequence[str]) -> dict[str, Any]:
    """What Hydra composes, as a plain container."""
    try:
        config = hydra_compose("config", overrides=list(given))
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except Exception as error:  # a parser and resolvers at work on the user's words: whatever they raise, these are to blame
        raise explained(error, given) from None


def explained(error: Exception, given: Sequence[str]) -> UserError:
    """Hydra's complaint in one line, with the keys that exist."""
    keys = [f.name for f in fields(StudyConfig)]
    for override in given:
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
        said = error.override.lstrip("+").replace(f"{APART}.", "grid.")
        return UserError(f"'{said}' is not understood; expected KEY=VALUE, with quotes around special characters: 'study=\"my study\"'.")
    said = ": ".join(str(e).strip().splitlines()[0] for e in (error, error.__cause__) if str(e or "").strip()) or type(error).__name__
    return UserError(f"not understood: {said}".replace(f"++{APART}.", "grid.").replace(f"{APART}.", "grid."))


def validated(container: dict[str, Any], folders: Folders) -> StudyConfig:
    """The container merged into the schema, which rejects the keys that ``+`` lets through."""
    schema = OmegaConf.structured(StudyConfig)
    for key in container:
        if key not in schema:
            raise unknown("key", key, [f.name for f in fields(StudyConfig)])
    for section in ("model", "dataset", *SECTIONS):
        if not isinstance(given := container.get(section), dict):
            raise UserError(f"{section} is {shown(given)}; choose one with {section}=NAME: {', '.join(options(section, folders))}.")
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


def names_of(grid: dict[str, Any], group: str, given: Sequence[str], folders: Folders) -> list[str] | None:
    """The options of ``model`` or ``dataset`` that the grid varies, or None where the composed one stands."""
    if group not in grid:
        return None
    names = grid[group] if isinstance(grid[group], list) else [grid[group]]
    if not names:
        raise UserError(f"grid.{group} is empty; expected a list of: {', '.join(options(group, folders))}.")
    if vain := next((o for o in given if key_of(o) == group), None):
        raise UserError(f"'{vain}' has no effect, the grid varies {group}; write grid.{group}=[{vain.split('=', 1)[1]}] to restrict it.")
    for name in names:
        check_option(group, str(name), folders)
    return list(dict.fromkeys(map(str, names)))


def check_sections(plain: dict[str, Any], groups: Sequence[str], common: Sequence[str], folders: Folders) -> None:
    """That an experiment gives no key of a model or dataset which the grid names: each is read from its own file.

    Raises:
        UserError: the first such key.
    """
    names = {group: [str(plain[group].get("name"))] for group in groups}
    files = composed({group: [name] for group, (name,) in names.items() if name in options(group, folders)}, common)
    for group, by_name in files.items():
        (alone,) = by_name.values()
        for key, value in plain[group].items():
            if key not in alone or alone[key] != value:
                raise UserError(
                    f"{group}.{key}={shown(value)} has no effect, the grid names the {group}s; write grid: {{{group}.{key}: {shown(value)}}}."
                )


def composed(chosen: dict[str, list[str] | None], common: Sequence[str]) -> dict[str, dict[str | None, dict[str, Any]]]:
    """The config of every option by group and name, in one go: Hydra takes 50 ms each time."""
    at = {f"{group}_{i}": (group, name) for group, names in chosen.items() for i, name in enumerate(names or ())}
    container = raw([*common, *(f"+{group}@choices.{key}={name}" for key, (group, name) in at.items())]) if at else {}
    return {group: {name: container["choices"][key] for key, (of, name) in at.items() if of == group} for group in chosen}


def expand(group: str, choices: dict[str | None, dict[str, Any]], common: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The resolved config of every option (``choices`` by name; None is the composed one), with overrides of single keys where it has the key."""
    from ltm import data  # with pandas, which --help does without

    resolved, used = [], set()
    for name, composed_alone in choices.items():
        plain = with_network(group, composed_alone)
        mine = [o for o in keys if len(choices) == 1 or key_of(o).split(".", 1)[1] in plain]
        used.update(mine)
        try:
            container = with_network(group, raw([*common, *([f"{group}={name}"] if name else []), *mine])[group]) if mine else plain
        except UserError:
            missing = next((o for o in mine if not o.startswith("+") and key_of(o).split(".", 1)[1] not in plain), None)
            if missing is None:
                raise
            key = key_of(missing).split(".", 1)[1]
            if group == "dataset" and key in (said := data.instead([plain])):
                raise UserError(said[key]) from None
            raise unknown(f"key of {group}:", key, [k for k in plain if k not in ("cell", "kind")]) from None
        resolved.append(container)
    for override in keys:
        if override not in used:
            raise UserError(f"'{override}': no {group} of this study has the key '{key_of(override).split('.', 1)[1]}'.")
    return resolved
