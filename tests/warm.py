"""``python -m MODULE``, started as the fork of a process that has imported all that is slow to import: the same, without the seconds that imports take."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

SLOW = ["tests.warm_imports"]


def run(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float = 1500) -> subprocess.CompletedProcess[str]:
    """Run a module with arguments in a folder and an environment. Returns its exit status and what it printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(SLOW)
    with tempfile.TemporaryDirectory() as folder:
        printed = [f"{folder}/out", f"{folder}/err"]
        process = context.Process(target=_child, args=(list(arguments), str(cwd), dict(environment), printed))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        status = process.exitcode
        process.close()
        return subprocess.CompletedProcess(list(arguments), status, *(Path(file).read_text() for file in printed))


def _child(arguments: list[str], cwd: str, environment: dict[str, str], printed: list[str]) -> None:
    os.setsid()  # so that Linux shares the processor with it as with a command of a shell of its own, whatever tests run beside
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    for descriptor, file in enumerate(printed, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = arguments
    status: object = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    sys.exit(status)
