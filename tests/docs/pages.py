"""The pages of the documentation as what a reader does with them: files saved, Python run, commands typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^( *)```(?P<language>[^\n]*)\n(?P<text>.*?)^\1```$", re.MULTILINE | re.DOTALL)
SAVED = re.compile(r"# (?P<name>[\w./-]+\.(?:py|yaml))\n")
INLINE = re.compile(r"(?<!`)`((?:ltm|python -m) [^`]+)`(?!`)")


@dataclass(frozen=True)
class Saved:
    """A block that opens with a comment of a file's name: the reader saves it."""

    name: str
    text: str


@dataclass(frozen=True)
class Script:
    """A block of Python to run."""

    text: str


@dataclass(frozen=True)
class Command:
    """One command of a shell block, as words."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def module(self) -> tuple[str, ...] | None:
        """What Python runs, ``python -m`` left out; None where it is another program."""
        if self.words[0] == "ltm":
            return self.words
        return self.words[2:] if self.words[:2] == ("python", "-m") else None

    @property
    def inner(self) -> Command | None:
        """An ltm command that another program is given to run."""
        given = next((word for word in self.words[1:] if word.startswith("ltm ")), None)
        return Command(tuple(shlex.split(given))) if given else None


def steps(page: Path) -> Iterator[Saved | Script | Command]:
    """What a reader of the page does, in its order."""
    for block in FENCE.finditer(page.read_text()):
        text, language = dedent(block["text"]), block["language"].strip()
        if saved := SAVED.match(text):
            yield Saved(saved["name"], text)
        elif language == "python":
            yield Script(text)
        elif not language:
            for line in text.strip().splitlines():
                yield from (Command(tuple(shlex.split(part, comments=True))) for part in line.split("&&"))


def mentioned(page: Path) -> list[Command]:
    """The commands within sentences."""
    text = FENCE.sub("", page.read_text())
    return [Command(tuple(shlex.split(found.replace("...", "")))) for found in INLINE.findall(text)]
