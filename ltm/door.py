"""How the commands find the code: ltm's own packages first, then the user's modules in the working folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ltm
from ltm.errors import UserError

PACKAGES = ("sweeps", "analysis")
"""Packages of ltm that lie beside it under names that a user may well take."""


def here_last(here: str | None = None) -> None:
    """Let the working folder be searched for modules, after everything else: own cells are found there, and nothing of it hides a package of ltm."""
    here = here or os.getcwd()
    if here != home():
        sys.path[:] = [*(path for path in sys.path if os.path.abspath(path) != here), here]


@contextmanager
def workers_too() -> Iterator[None]:
    """While Ray starts on this machine: where the working folder hides a package of ltm, its workers do not look there first.

    Ray puts the folder that it is started in at the front of its workers' path, so that is ltm's for the moment. A worker looks in the working folder last
    (:class:`sweeps.execution.worker.Worker`).
    """
    here = os.getcwd()
    if here == home() or not any(Path(here, name + end).exists() for name in PACKAGES for end in (".py", "/__init__.py")):
        yield
        return
    os.chdir(home())
    try:
        yield
    finally:
        os.chdir(here)


def home() -> str:
    """The folder that ltm and its packages lie in."""
    return str(Path(ltm.__file__).parents[1])


def check() -> None:
    """That ``sweeps`` and ``analysis`` are those of ltm, which ``python -m`` and notebooks look for in the working folder first.

    Raises:
        UserError: what hides which.
    """
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or found.parent != Path(home(), name).resolve():
            raise UserError(
                f"{found} hides ltm's own package '{name}'; use the command ltm (ltm sweep ...), which looks there last, or rename it."
            )
