"""Every key of a study with its default and meaning, read from the comments of ``conf/``: the one place where a key is documented."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from ltm.errors import unknown
from sweeps.config.folders import GROUPS, Folders, conf_dir, options

STUDY = "study"
"""What the keys without a group are listed under."""

FIRST = {"model": "mrnn", "dataset": "arfima", "training": "released", "compute": "local", "tracking": "offline", "search": "random"}
"""The file of a group that is read first: it has the most keys."""

LINE = re.compile(r"^(\w+):(?:[^#]*[^#\s])?\s*(?:#\s*(.*))?$")
"""A key at the beginning of a line, and its comment."""


@dataclass(frozen=True)
class Key:
    """``default`` as a config writes it, that of the first file that has the key; ``group`` is ``study`` for the keys that have none."""

    group: str
    key: str
    default: str
    meaning: str

    @property
    def name(self) -> str:
        """As an override names it."""
        return self.key if self.group == STUDY else f"{self.group}.{self.key}"


def described() -> list[Key]:
    """Every key, group by group, the study's own first."""
    found: dict[tuple[str, str], Key] = {}
    for group in (STUDY, *FIRST):
        for path in files(group):
            for key in of_file(group, path):
                held = found.setdefault((group, key.key), key)
                if key.meaning and not held.meaning:
                    found[group, key.key] = Key(group, key.key, held.default, key.meaning)
    return list(found.values())


def files(group: str) -> list[Path]:
    """The files that a group's keys are read from, in this order."""
    if group == STUDY:
        return [conf_dir() / "config.yaml"]
    return [conf_dir() / group / f"{name}.yaml" for name in sorted(options(group), key=lambda name: (name != FIRST[group], name))]


def of_file(group: str, path: Path) -> list[Key]:
    """The keys of one file."""
    text = path.read_text()
    values = yaml.safe_load(text)
    comments = {match[1]: match[2] or "" for line in text.splitlines() if (match := LINE.match(line))}
    return [Key(group, key, written(value), comments.get(key, "")) for key, value in values.items() if key != "defaults"]


def written(value: object) -> str:
    """A value on one line, as an override writes it."""
    return yaml.safe_dump(value, default_flow_style=True, width=1_000).removesuffix("\n").removesuffix("\n...").strip()


def about(group: str, name: str, folders: Folders = ()) -> str:
    """The comment on top of an option's file; of an experiment, what follows its command."""
    path = next(folder / group / f"{name}.yaml" for folder in (conf_dir(), *folders) if (folder / group / f"{name}.yaml").is_file())
    top = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#") and not line.startswith("# @package")]
    return " ".join(line for line in top if not line.startswith("python "))


def help_on(group: str | None, folders: Folders = ()) -> str:
    """The options and keys of one group, or of all.

    Raises:
        UserError: no such group.
    """
    groups = (STUDY, *GROUPS)
    if group and group not in groups:
        raise unknown("group of keys", group, groups)
    keys = described()
    wide = max(len(f"{key.name}={key.default}") for key in keys if len(key.default) < 30)
    blocks = []
    for one in (group,) if group else groups:
        lines = (
            [f"{one}={'|'.join(options(one, folders))}".replace("experiment=", "+experiment=")] if one != STUDY else ["a study's own keys"]
        )
        if group and one not in (STUDY, "model"):
            lines += [f"  {name:16}{about(one, name, folders)}".rstrip() for name in options(one, folders)]
        lines += [f"  {f'{key.name}={key.default}':{wide}}  {key.meaning}".rstrip() for key in keys if key.group == one]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
