"""Command lines that nobody would type: each goes as far as a sweep goes before it trains, and ends in success or in one line."""

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltm import sweep
from sweeps import config, study
from sweeps.config.schema import SECTIONS, StudyConfig
from sweeps.execution import cluster
from sweeps.store.ledger import Ledger

KEYS = [
    *(name for name in StudyConfig.__dataclass_fields__ if name not in ("model", "dataset", *SECTIONS)),
    *(f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.__dataclass_fields__),
    *(f"model.{name}" for name in ("name", "cell", "hidden_size", "K", "delays", "layers", "cells", "bidirectional", "readout", "dropout", "")),
    *(f"dataset.{name}" for name in ("name", "kind", "length", "d", "ar", "ma", "sigma", "seed", "hidden", "train", "validation", "scaling", "file", "column")),
    *(f"grid.{name}" for name in ("K", "lr", "model", "dataset", "ar", "seed", "max_epochs", "model.K", "dataset.d", "training.lr", "training", "cells", "batch", "loss", "name", "x.y", "")),
    *(f"search.space.{name}" for name in ("lr", "K", "dataset.d", "hidden_size", "scaling", "")),
    "hydra.run.dir", "trainig.lr", "model@dataset", "a/b", "*", "",
]  # fmt: skip

VALUES = [
    "", "null", "true", "-1", "0", "1", "2", "3.7", "1e99", "-1e-400", "inf", "-inf", "nan", "9" * 30, "2147483648", "a", "a b", "'a b'", "'", '"', "\\", "/", "..", "../x",
    "ü", "'ü'", "\u2028", "\x00", "\n", "😀", "[", "]", "[]", "{}", "[1,", "[1,2]", "[0.5]", "[a]", "[nan]", "[null]", "[[1]]", "[true,false]", "[{a:1}]", "{a:1}", "{1:2}",
    "{low:0.1,high:1}", "{low:1,high:0}", "{low:nan,high:1}", "{low:0,high:1,log:true}", "{choices:[1,2]}", "{choices:[a]}", "{choices:[[0.1]]}", "${seeds}", "${study}",
    "${nope}", "${oc.env:NOPE}", "${oc.env:HOME}", "${", "$", "1,2", "range(1,4)", "choice(a,b)", "glob(*)", "???", "5-2", "1-3", "-3-5", "[1,1]", "full", "[5,full]", "rnn",
    "[rnn,mrnn]", "[rnn,rnn]", "arfima", "random_rnn", "csv", "[arfima,random_rnn]", "optuna", "grid", "random", "test_rmse", "cpu", "torch", "cuda", "adam", "[lstm,rnn]", "[[lstm,rnn]]", "latching", "zhao2020_table2", ":", "a:",
    ":a", "a:b", "os:path", "ltm.cells:RNN", "ltm.cells:build", "s3://", "nope://a", "~", "--x", "x" * 300,
]  # fmt: skip

GROUPED = [f"{group}={name}" for group in config.GROUPS if group != "experiment" for name in config.options(group)]

keyed = st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), st.sampled_from(KEYS), st.sampled_from(VALUES))
grouped = st.sampled_from([*GROUPED, *(f"+experiment={name}" for name in config.options("experiment") if name != "paper_table2")])
broken = st.builds("{}={}".format, st.sampled_from([*config.GROUPS, *(f"+{group}" for group in config.GROUPS)]), st.sampled_from(VALUES))
loose = st.sampled_from(
    [*VALUES, "--cfg", "-x", "--foo=1", "=", "~grid", "~model", "~seeds", "~model.K", "~dataset.kind", "~training.lr", "model", "+", "@"]
)
command_lines = st.lists(keyed | keyed | keyed | grouped | broken | loose, min_size=1, max_size=3)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sweeps in this process, in an empty folder, that neither start Ray nor train: the files that they would have written."""
    files: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Ledger, "put", lambda self, name, content: files.append(name))
    monkeypatch.setattr(cluster, "connect", lambda compute, verbose=False: cluster.Slots(1))
    monkeypatch.setattr(study, "complete", lambda plan, executor, job: study.Outcome.DONE)
    monkeypatch.setattr(study, "report", lambda job: None)
    return files


@settings(max_examples=200, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(arguments=command_lines)
def test_any_command_line_is_a_sweep_or_one_line(written: list[str], tmp_path: Path, arguments: list[str]) -> None:
    written.clear()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = sweep.main(arguments)
    assert not list(tmp_path.iterdir())
    if status == 2:
        assert err.getvalue().startswith("error: ")
        assert len(err.getvalue().splitlines()) == 1
        assert not written
    else:
        assert status == 0
        assert written or "--cfg" in arguments
