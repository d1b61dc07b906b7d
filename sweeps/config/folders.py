"""Where configs lie: ``conf/`` of ltm, then the folders of the user (``--config-dir``, ``hydra.searchpath``), and cells by their import path."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

import ltm
from ltm.errors import UserError, unknown

GROUPS = ("model", "dataset", "training", "compute", "tracking", "search", "experiment")

SEARCHPATH = "hydra.searchpath"

Folders = tuple[Path, ...]


@cache
def conf_dir() -> Path:
    """The folder of configs: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(ltm.__file__).parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def options(group: str, folders: Folders = ()) -> list[str]:
    """The names a config group offers."""
    return sorted({path.stem for folder in (conf_dir(), *folders) for path in (folder / group).glob("*.yaml")})


def check_option(group: str, name: str, folders: Folders = ()) -> None:
    """That a group has this option; a model may be a class by its import path, which gets a config of its own then.

    Raises:
        UserError: what there is; or why the class is no cell.
    """
    if group == "model" and ":" in name:
        from ltm import cells

        config = cells.config_of(name)
        if config["name"] in options("model", folders):
            config["name"] = name  # or two models of one study might have one name
        ConfigStore.instance().store(group="model", name=name, node=config)
    elif name not in options(group, folders):
        own = " An own class is model=mymodule:MyCell." if group == "model" else ""
        raise UserError(f"{unknown(group, name, options(group, folders))}{own}")


def given(arguments: Sequence[str]) -> tuple[list[str], Folders]:
    """Overrides apart from the folders that they add; ``--config-dir DIR`` is one of these.

    Raises:
        UserError: a folder that is not there, or whose file has the name of one of ltm's.
    """
    overrides: list[str] = []
    folders: list[Path] = []
    rest = iter(arguments)
    for argument in rest:
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            folders.append(existing(value or next(rest, ""), flag))
        elif flag == SEARCHPATH:
            folders += [existing(path, SEARCHPATH) for path in listed(argument)]
        else:
            overrides.append(argument)
    for folder in folders:
        check_names(folder)
    return overrides, tuple(folders)


def listed(override: str) -> list[str]:
    """The folders of ``hydra.searchpath=[file://DIR,pkg://PACKAGE]``."""
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        value = None
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        raise UserError(f"'{override}' is not understood; expected {SEARCHPATH}=[file:///my/conf], or --config-dir /my/conf.")
    return [str(path) for path in value]


def existing(name: str, flag: str) -> Path:
    """The folder of a path, of ``file://DIR`` or of ``pkg://PACKAGE``."""
    path = Path(name.removeprefix("file://"))
    if name.startswith("pkg://"):
        try:
            spec = importlib.util.find_spec(name.removeprefix("pkg://"))
        except ImportError:
            spec = None
        path = Path(next(iter((spec and spec.submodule_search_locations) or []), name))
    if not name or not path.is_dir():
        raise UserError(f"{flag} '{name}' is no folder; expected one with model/, dataset/ or experiment/ and YAML files in these.")
    return path.absolute()


def check_names(folder: Path) -> None:
    """That no file of a user's folder has the name of one of ltm's, which Hydra would take first, in silence."""
    for group in GROUPS:
        for path in sorted((folder / group).glob("*.yaml")):
            ours = conf_dir() / group / path.name
            if ours.is_file() and ours.read_bytes() != path.read_bytes():
                raise UserError(f"{path} has the name of ltm's own {group} '{path.stem}', which comes first; give the file another name.")


def searchpath(folders: Folders) -> list[str]:
    """Hydra's override that adds these folders."""
    quoted = (f'"file://{path}"' for path in (str(folder).replace("\\", "\\\\").replace('"', '\\"') for folder in folders))
    return [f"{SEARCHPATH}=[{','.join(quoted)}]"] if folders else []
