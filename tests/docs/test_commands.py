"""Every command and every piece of Python in the documentation works: run at its smallest, in the order of its page, in an empty folder."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from ltm.__main__ import COMMANDS
from sweeps import config
from tests import warm
from tests.docs.pages import PAGES, ROOT, Command, Saved, Script, mentioned, steps

COMPOSED = {
    "compute=cluster": "a Ray cluster",
    "compute=slurm": "a SLURM",
    "s3://": "an object storage",
    "tracking=online": "W&B's server",
    "experiment=paper": "the published series, which are downloaded",
    "data fetch": "a download",
    "engine=cuda": "a GPU",
}
"""Commands with one of these need what a test has not; they are composed, and not run."""

OTHERS = {"python3", "pip", "python", "make", "ray", "wandb", "."}
"""Programs that are not ltm's. What README's two commands do is what CI does."""

BENCHMARKS = "benchmarks."
"""Modules that take minutes, and measure: they are looked for, and not run."""

SHORT = {"README.md"}
"""Pages whose test `make check` has; the others are in `make check-all`."""


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=str(p.relative_to(ROOT)), marks=[] if p.name in SHORT else [pytest.mark.long]) for p in PAGES]
)
def test_a_reader_can_follow_the_page(page: Path, tmp_path: Path) -> None:
    for number, step in enumerate(steps(page)):
        if isinstance(step, Saved):
            (tmp_path / step.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / step.name).write_text(step.text)
        elif isinstance(step, Script):
            (tmp_path / f"step{number}.py").write_text(smallest_script(step.text))
            run((f"step{number}",), tmp_path)
        elif any(mark in str(step) for mark in COMPOSED):
            compose(step.inner or step)
        elif step.module is None:
            assert step.words[0].split("/")[-1] in OTHERS, step
        elif step.module[0].startswith(BENCHMARKS):
            assert importlib.util.find_spec(step.module[0]), step
        else:
            run(smallest(step.module), tmp_path)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_commands_in_sentences_exist(page: Path) -> None:
    for command in mentioned(page):
        assert command.module, command
        module, *rest = command.module
        assert importlib.util.find_spec(module), command
        assert module != "ltm" or rest[0] in {*COMMANDS, "COMMAND", "--help"}, command


def test_the_page_of_commands_has_them_all() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    assert [name for name in COMMANDS if f"`ltm {name}" not in page] == []


def test_links_within_the_documentation_lead_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_files_that_the_documentation_names_are_there() -> None:
    named = re.compile(r"`((?:conf|ltm|sweeps|analysis|tests|benchmarks|docs)/[a-z0-9_/.-]+)`")
    found = {(page.name, path) for page in PAGES for path in named.findall(page.read_text())}
    assert len(found) > 20
    assert [where for where in sorted(found) if not (ROOT / where[1]).exists()] == []


def run(arguments: tuple[str, ...], folder: Path) -> None:
    done = warm.run(arguments, folder, os.environ)
    assert done.returncode == 0, f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"


def compose(command: Command) -> None:
    """A sweep that cannot be run here is composed; another command must exist."""
    words = list(command.module or ())
    assert words, command
    if words[0] == "ltm.sweep" or words[:2] == ["ltm", "sweep"]:
        config.compose(words[1 if words[0] == "ltm.sweep" else 2 :])
    else:
        assert words[0] != "ltm" or words[1] in COMMANDS, command


def smallest(module: tuple[str, ...]) -> tuple[str, ...]:
    """A sweep of a tenth of the seeds, two epochs and three configurations, without what takes seconds beside the training; other commands as they are."""
    if not {"ltm.sweep", "ltm.train", "sweep", "train"} & set(module[:2]):
        return module
    words = [re.sub(r"^seeds=(\d+)0$", r"seeds=\1", word) for word in module]
    small = ["training.max_epochs=2", "seeds=2", "tracking=off", "baselines=none"]
    if any("search=" in word or "hpo" in word for word in words):
        small += ["search.trials=3", "search.seeds=2"]
    return (*words, *(word for word in small if not any(given.startswith(f"{word.split('=')[0]}=") for given in words)))


def smallest_script(text: str) -> str:
    """Sweeps in Python likewise."""
    return re.sub(r'"seeds=(\d+)0"', r'"seeds=\1", "training.max_epochs=2", "tracking=off", "baselines=none"', text)
