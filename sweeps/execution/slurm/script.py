"""The script of a study's SLURM job: a template with ``{{name}}`` where something of the study belongs. Nothing is submitted here."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ltm.errors import UserError, reason, unknown
from sweeps.config import ComputeConfig
from sweeps.config.overrides import key_of
from sweeps.config.schema import seconds_of
from sweeps.store.ledger import Ledger

FOLDER = "slurm"
"""Of a study: ``job.sh``, ``ID.json`` of every job that was submitted, and its ``ID.log``."""

TEMPLATE = Path(__file__).with_name("job.sh")

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

OWN = ("compute", *(f"compute.{key}" for key in ("where", "nodes", "time", "partition", "chain", "template", "submit")))
"""Overrides that say what the job is; inside it they have no meaning."""

WARNING_SECONDS = 120
"""Before the time limit, to end the sweep and write what is there; of a short job a quarter."""


def warning(compute: ComputeConfig) -> int:
    """Seconds before the time limit at which the sweep is ended."""
    return min(WARNING_SECONDS, seconds_of(compute.time) // 4)


def of(name: str, ledger: Ledger, given: Sequence[str], compute: ComputeConfig) -> str:
    """The script of a study's job.

    Args:
        given: the sweep's command line, without the program.

    Raises:
        UserError: a template that cannot be read, that trains nothing, or that has a placeholder which does not exist.
    """
    job = "ltm-" + re.sub(r"[^\w.-]", "_", name)
    folder = str(ledger.local() / FOLDER) if ledger.is_local else os.getcwd()
    words = {
        "study": name, "job": job, "partition": compute.partition and shlex.quote(compute.partition), "nodes": compute.nodes, "time": compute.time,
        "warning": warning(compute), "cores": f"--cpus-per-task={compute.cpus}" if compute.cpus else "--exclusive --mem=0",
        "here": shlex.quote(os.getcwd()), "folder": shlex.quote(folder), "output": shlex.quote(f"{folder.replace('%', '%%')}/%j.log"), "bin": shlex.quote(str(Path(sys.executable).parent)),
        "command": inner(given, compute.nodes),
    }  # fmt: skip
    return filled(template(compute.template), words)


def inner(given: Sequence[str], nodes: int) -> str:
    """The sweep as the job runs it: on one node as on any machine, on several on their Ray cluster."""
    kept = [override for override in given if key_of(override) not in OWN]
    return shlex.join(["python", "-m", "ltm", "sweep", *kept, "compute=local" if nodes == 1 else "compute=cluster"])


def template(path: str | None) -> str:
    """The text of a template, ltm's own where none is named."""
    try:
        text = Path(path or TEMPLATE).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"compute.template={path} cannot be read ({reason(error)}); expected a copy of {TEMPLATE}, with your changes."
        ) from None
    if "{{command}}" not in text:
        raise UserError(
            f"compute.template={path} has no {{{{command}}}}, so that its job would train nothing; start from a copy of {TEMPLATE}."
        )
    return text


def filled(text: str, words: Mapping[str, object]) -> str:
    """A template with its placeholders replaced; a line is left out whose placeholder stands for None."""
    if strange := next((key for key in PLACEHOLDER.findall(text) if key not in words), None):
        raise unknown("placeholder of compute.template:", strange, words)
    lines = [line for line in text.splitlines() if not any(words[key] is None for key in PLACEHOLDER.findall(line))]
    return PLACEHOLDER.sub(lambda found: str(words[found[1]]), "\n".join(lines)) + "\n"
