"""The study that all are given, and who trains it: the commands that a user types, the files that a user writes."""

from __future__ import annotations

import ast
import io
import json
import shlex
import sys
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ltm import data
from sweeps.store.ledger import Ledger

USER = Path(__file__).parent / "user"
MARK = "# measurement"
"""Ends a line of a user's file that is there for the measurement alone."""

WIDTH = 140
"""Columns of a line, as the code has."""

MODELS = ("rnn", "lstm", "gru", "mrnn", "rwa")
MEMORY = {"arfima20": 0.2, "arfima30": 0.3, "arfima40": 0.4, "random_rnn": None}
"""The series, each with the memory parameter d of an ARFIMA process; None: the series of a random RNN."""


@dataclass(frozen=True)
class Study:
    """Models on series, some seeds each. One unit, full-batch Adam, ``epochs`` of them, test error of the epoch with the best validation loss."""

    models: tuple[str, ...] = MODELS
    series: tuple[str, ...] = tuple(MEMORY)
    seeds: int = 20
    epochs: int = 40
    train: int = 150
    validation: int = 75
    test: int = 75
    K: int = 10
    lr: float = 0.1

    @property
    def seed_runs(self) -> int:
        return len(self.models) * len(self.series) * self.seeds

    def dataset(self, name: str) -> dict[str, Any]:
        """A series as ltm's config has it."""
        law = {"kind": "random_rnn"} if MEMORY[name] is None else {"kind": "arfima", "d": MEMORY[name]}
        length = self.train + self.validation + self.test + 1
        return {"name": name, **law, "length": length, "train": self.train, "validation": self.validation}

    def write(self, folder: Path) -> None:
        """What a user has before: ``study.json``, and each series as a CSV."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.json").write_text(json.dumps(asdict(self)))
        for name in self.series:
            values = data.build(self.dataset(name)).series.values  # type: ignore[union-attr]
            pd.DataFrame({"x": values}).to_csv(folder / f"{name}.csv", index=False)


@dataclass(frozen=True)
class Peer:
    """Who trains the study.

    Attributes:
        command: what a user types, in the folder of the study, and types again after the kill; ``{python}`` and ``{user}`` are filled in.
        files: what a user writes for it, within ``user/``.
        table: its own results, a row a seed run: model, series, seed, test_rmse.
        verdict: what it says about the models without more code.
        trains: whether it calls ``training.py``.
    """

    label: str
    command: str
    files: tuple[str, ...]
    table: Callable[[Path], pd.DataFrame]
    verdict: str
    trains: bool = True

    @property
    def lines(self) -> int:
        """Lines that a user writes for it: of its files, and its command, in lines of ``WIDTH``."""
        return sum(lines_of(USER / name) for name in self.files) + -(-len(self.typed("python", ".", "python -m ltm.sweep")) // WIDTH)

    def typed(self, python: str, user: str, ltm: str) -> str:
        """The command with a Python, the folder of the user's files, and how ltm is called."""
        return self.command.replace("{python}", python).replace("{user}/", f"{user}/").replace("{ltm}", ltm)


def peers(study: Study) -> dict[str, Peer]:
    """All of them, by the names on the command line."""
    models, series = ",".join(study.models), ",".join(study.series)
    sweep = f"model={models} series={series} 'seed=range({study.seeds})'"
    quick = "--xla_cpu_multi_thread_eigen=false --xla_cpu_use_thunk_runtime=false intra_op_parallelism_threads=1"
    return {
        "ray": Peer("Ray Tune, a trial a seed run", "{python} {user}/ray_tune.py", ("ray_tune.py",), table, "none: a table of trials"),
        "joblib": Peer(
            "Hydra, joblib launcher", f"{{python}} {{user}}/hydra_joblib.py --multirun {sweep}",
            ("hydra_joblib.py", "hydra_joblib.yaml"), results_of_hydra, "none: a folder a job",
        ),
        "optuna": Peer(
            "Optuna, grid, two processes", "{python} {user}/optuna_grid.py & {python} {user}/optuna_grid.py & wait",
            ("optuna_grid.py",), table, "none: a table of trials, and the smallest error of all",
        ),
        "jax": Peer(
            "JAX, jit and vmap over seeds", f"XLA_FLAGS='{quick}' {{python}} {{user}}/jax_loop.py",
            ("jax_loop.py",), table, "none: a table", trains=False,
        ),
        "ltm": Peer("**ltm**", ltm_command(study), (), ledger, "", trains=False),
    }  # fmt: skip


def ltm_command(study: Study) -> str:
    """The study as overrides; the series are two blocks, as that of a random RNN has no d."""
    memory = [MEMORY[name] for name in study.series]
    blocks = ["'+blocks.long={dataset: [arfima], d: " + str([d for d in memory if d]) + "}'"] if any(memory) else []
    blocks += ["'+blocks.short={dataset: [random_rnn]}'"] if None in memory else []
    return " ".join(
        [
            "{ltm} model=" + ",".join(study.models),
            *blocks,
            f"model.K={study.K} dataset.length={study.train + study.validation + study.test + 1} dataset.train={study.train}",
            f"dataset.validation={study.validation} training.max_epochs={study.epochs} training.patience={study.epochs}",
            f"training.lr={study.lr} seeds={study.seeds} study=launchers tracking=off",
        ]
    )


def table(folder: Path) -> pd.DataFrame:
    """The CSV that a peer's script ends with."""
    names = {"value": "test_rmse"}
    return pd.read_csv(folder / "table.csv").rename(
        columns=lambda name: names.get(name, name.removeprefix("config/").removeprefix("params_"))
    )


def results_of_hydra(folder: Path) -> pd.DataFrame:
    """What the jobs of the last sweep wrote."""
    last = max((folder / "multirun").glob("*/*"))
    return pd.DataFrame([json.loads(file.read_text()) for file in last.glob("*/result.json")])


def ledger(folder: Path) -> pd.DataFrame:
    runs = Ledger(folder / "results" / "launchers").runs()
    return runs.assign(series=runs["condition"])


def command_of(peer: Peer, python: str) -> str:
    """The line as bash is given it."""
    watched = shlex.join([sys.executable, "-m", "benchmarks.orchestration.watched"])
    return peer.typed(shlex.quote(python), shlex.quote(str(USER)), watched)


def lines_of(path: Path) -> int:
    """Lines with code: neither blank, nor comment or docstring, nor for the measurement."""
    text = path.read_text()
    if path.suffix != ".py":
        return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in silent]
    code = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    marked = {number for number, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)}
    return len(code - marked - set(docstrings(ast.parse(text))))


def docstrings(tree: ast.Module) -> Iterable[int]:
    """The lines of all docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)
