"""``python docs/generate.py``: the pages of the reference that stand elsewhere already, config keys in ``conf/`` and columns in the ledger's docstring."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from sweeps.config import keys
from sweeps.config.folders import options
from sweeps.store import ledger

DOCS = Path(__file__).parent

ABOUT = {
    "study": "Keys without a group.",
    "training": "The protocol. Any of these keys can be swept or searched.",
    "compute": "Where packs run, and how large they are.",
    "search": "How hyperparameters are searched; `search=none` is the default.",
    "tracking": "W&B.",
    "model": "Cells and their fields. An own cell has the fields of its class.",
    "dataset": "A series, its split and its scaling; or another task.",
}
"""The groups, in the order of the page."""

HEAD = "<!-- Written by `python docs/generate.py`; edit {source} instead. -->\n\n"


def config_page() -> str:
    """``reference/config.md``: every key of every group, with its default and the comment beside it in ``conf/``."""
    described = keys.described()
    lines = [
        "# Config keys\n",
        "Every key can be set on the command line: `ltm sweep training.lr=0.003`. A key that does not exist is an error that lists those that do.",
    ]
    for group, words in ABOUT.items():
        names = "" if group == keys.STUDY else f" Options: {', '.join(f'`{name}`' for name in options(group))}."
        lines += [f"\n## {group}\n", f"{words}{names}\n", "| key | default | what |", "| --- | --- | --- |"]
        lines += [f"| `{key.name}` | `{key.default}` | {key.meaning} |" for key in described if key.group == group]
    lines += [
        "\n## experiment\n",
        "Added by `+experiment=NAME`: an experiment sets the keys above.\n",
        "| experiment | what |",
        "| --- | --- |",
    ]
    lines += [f"| `{name}` | {keys.about('experiment', name)} |" for name in options("experiment")]
    return HEAD.format(source="the comments in `conf/`") + "\n".join(lines) + "\n"


def ledger_page() -> str:
    """``reference/ledger.md``: the docstring of the ledger's module, its table as Markdown."""
    rule = re.compile(r"^=+  =+$")
    lines, inside = [], False
    for line in (inspect.getdoc(ledger) or "").splitlines():
        if rule.match(line):
            inside = not inside
            lines += ["| column | what |", "| --- | --- |"] if inside else []
        elif inside:
            column, _, words = line.partition("  ")
            lines.append(f"| `{'`, `'.join(column.split(', '))}` | {words.strip()} |")
        else:
            lines.append(line)
    page = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", "\n".join(lines).replace("``", "`"))
    return HEAD.format(source="the docstring of `sweeps/store/ledger.py`") + "# Ledger\n\n" + page + "\n"


PAGES = {"reference/config.md": config_page, "reference/ledger.md": ledger_page}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    sys.exit(main())
