"""``ltm COMMAND ...``, and ``python -m ltm``: one line a command, each the ``main`` of its module."""

from __future__ import annotations

import gc
import sys
from importlib import import_module

import ltm
from ltm import door
from ltm.errors import UserError, unknown

COMMANDS = {
    "sweep": ("ltm.sweep", "train what a study lacks, then report: ltm sweep +experiment=k_sweep seeds=20"),
    "train": ("ltm.train", "one condition in this process, nothing written: ltm train model=mrnn"),
    "report": ("analysis.__main__", "the report of a study again: ltm report results/k_sweep"),
    "compare": ("analysis.__main__", "every test and effect size of two models: ltm compare results/k_sweep --a mrnn --b mlstm"),
    "power": ("analysis.__main__", "how many seeds two models need, and what the present ones could have seen"),
    "memory": (
        "analysis.__main__",
        "long memory of a series (ltm memory FILE.csv --column x), and what trained networks leave of it and remember",
    ),
    "error-flow": ("analysis.inside", "how errors scale on their way back through time, before and after training"),
    "landscape": ("analysis.inside", "the loss over two weights by sequence length: ltm landscape STUDY --x 'W_hh[0,0]' --y 'b_hh[0]'"),
    "states": ("analysis.inside", "the states of the median and the worst seed over time"),
    "export": (
        "analysis.__main__",
        "tables and figures to a folder (--to DIR), or all seed runs to one file (--to FILE.csv or FILE.parquet)",
    ),
    "status": ("sweeps.__main__", "how far a study is, who trains what, time left"),
    "watch": ("sweeps.watch", "follow a study on a page of this machine: ltm watch results/k_sweep; --once prints it here"),
    "verify": ("sweeps.__main__", "read every file of a study; --repair moves damaged ones away"),
    "compact": ("sweeps.__main__", "merge a study's many small files into few"),
    "data": ("ltm.data.__main__", "the published data files: ltm data list, ltm data fetch"),
}
"""The module of every command, and what it does."""

SHARED = ("analysis.__main__", "analysis.inside", "sweeps.__main__")
"""Modules of several commands, which are told which one is meant."""

USAGE = """ltm COMMAND ...

{commands}

ltm COMMAND --help says more; ltm sweep --help lists every key of a study. ltm --version: {version}
From Python: ltm.run("+experiment=k_sweep", "seeds=20")"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is that of the command, 2 for one that does not exist."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(USAGE.format(commands="\n".join(f"  {key:11}{words}" for key, (_, words) in COMMANDS.items()), version=ltm.__version__))
        return 0
    if name == "--version":
        print(ltm.__version__)
        return 0
    if name not in COMMANDS:
        print(f"error: {misnamed(name)}", file=sys.stderr)
        return 2
    door.here_last()
    module = "sweeps.__main__" if name == "export" and to_one_file(rest) else COMMANDS[name][0]
    command = import_module(module).main
    status: int = command(rest, "ltm sweep") if name == "sweep" else command([name, *rest] if module in SHARED else rest)
    gc.freeze()  # or Python looks through every object once more before it ends, which takes seconds
    return status


def misnamed(name: str) -> UserError:
    """The error for a command that does not exist; an override was meant for a sweep."""
    return UserError(f"'{name}' is no command; write ltm sweep {name} ...") if "=" in name else unknown("command", name, COMMANDS)


def to_one_file(arguments: list[str]) -> bool:
    """Whether ``export`` is to write the seed runs as one file."""
    return any(argument.endswith((".csv", ".parquet")) for argument in arguments)


if __name__ == "__main__":
    sys.exit(main())
