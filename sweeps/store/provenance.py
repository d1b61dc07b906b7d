"""Where results come from: the code with its uncommitted changes, installed packages, processor and threads; one small file each, named by its checksum.

``provenance/CHECKSUM.json`` is what rows of the ledger point to. It names ``provenance/CHECKSUM.diff`` (what a checkout had not committed) and
``provenance/CHECKSUM.py`` (the module of an own cell). What looks like a secret is left out of both.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import ltm
from sweeps.store.ledger import Ledger
from sweeps.store.tables import checksum

SECRET = re.compile(
    r"(?i)(\w*(?:api_?key|secret|token|passw)\w*[\"']?\s*[:=]\s*)[\"']?[^\s\"',]+|\bAKIA[0-9A-Z]{16}\b|\b[0-9a-f]{40}\b(?=[\"']?\s*$)"
)
SECRET_NAME = re.compile(r"(?i)key|secret|token|passw")


def of_code(ledger: Ledger, cells: Iterable[str]) -> dict[str, Any]:
    """Of the code that a sweep runs: versions, commit and uncommitted changes of the checkout, and of the own cells among these (``module:Class``).

    Changes and sources are written to the study.
    """
    from ltm.engine.base import VERSION  # which needs torch, that readers of a ledger do without

    found: dict[str, Any] = {"ltm": ltm.__version__, "engine_version": VERSION, "checkouts": {}, "sources": {}}
    folders = [Path(ltm.__file__).parent]
    for name in sorted({cell.partition(":")[0] for cell in cells if ":" in cell}):
        spec = importlib.util.find_spec(name)
        if spec and spec.origin and Path(spec.origin).is_file():
            folders.append(Path(spec.origin).parent)
            found["sources"][name] = kept(ledger, Path(spec.origin).read_text(errors="replace"), "py")
    for folder in folders:
        if top := git(folder, "rev-parse", "--show-toplevel"):
            changes = git(Path(top), "diff", "HEAD")
            found["checkouts"][Path(top).name] = {
                "commit": git(Path(top), "rev-parse", "HEAD") or "none", "uncommitted": kept(ledger, changes, "diff") if changes else None,
            }  # fmt: skip
    return found


WRITTEN: set[tuple[str, str]] = set()
"""What this process has written, by study and name."""


def write(ledger: Ledger, code: dict[str, Any], threads: int, engine: str, vectors: str = "", device: str = "cpu") -> str:
    """Write where the results of this process come from, once; returns the name that their rows carry."""
    how = {"threads": threads, "engine": engine, "vectors": vectors}
    text = json.dumps(code | machine(device) | how, indent=1, sort_keys=True).encode()
    name = checksum(text)
    if (ledger.uri, name) not in WRITTEN:
        ledger.put(f"provenance/{name}.json", text)
        WRITTEN.add((ledger.uri, name))
    return name


def kept(ledger: Ledger, text: str, kind: str) -> str:
    """Keep a text beside the ledger, without its secrets; returns its file's name."""
    content = without_secrets(text).encode()
    name = f"{checksum(content)}.{kind}"
    ledger.put(f"provenance/{name}", content)
    return name


def without_secrets(text: str) -> str:
    """Keys, tokens and passwords replaced by ``***``: those of this environment, and what looks like one."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= 8:
            text = text.replace(value, "***")
    return SECRET.sub(lambda found: f"{found[1] or ''}***", text)


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder; empty where it is no checkout or git is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@cache
def machine(device: str) -> dict[str, Any]:
    """Of this process: Python and installed packages, system, processor, and the GPU where that trains."""
    packages = {package.name: package.version for package in importlib.metadata.distributions() if package.name}
    return {
        "python": platform.python_version(), "packages": dict(sorted(packages.items())), "system": platform.platform(),
        "processor": processor(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": gpu() if device == "cuda" else None,
    }  # fmt: skip


def processor() -> str:
    """The processor's name as its maker gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def gpu() -> str:
    """The name of the GPU: torch's, or numba's where torch is installed without CUDA; ``unknown`` where neither says."""
    try:
        import torch

        if torch.cuda.is_available():
            return str(torch.cuda.get_device_name())
        from numba import cuda

        name = cuda.get_current_device().name
        return name.decode() if isinstance(name, bytes) else str(name)
    except Exception:  # drivers raise what they like, and no results are lost for a name
        return "unknown"


@cache
def code_version() -> str:
    """The version of ltm, with the commit where it runs from a git checkout."""
    folder = Path(ltm.__file__).parents[1]
    if not (folder / ".git").exists():
        return ltm.__version__
    commit = git(folder, "describe", "--always", "--dirty")
    return f"{ltm.__version__}+{commit}" if commit else ltm.__version__
