"""Where results come from: what is kept of code and machine, once, and never a secret."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from analysis.reporting.parts import provenance as told
from ltm.engine.base import VERSION
from sweeps.store import provenance
from sweeps.store.ledger import Ledger


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an own cell that has uncommitted changes, and a key in it."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=folder, check=True, capture_output=True)

    git("init")
    (folder / "kept_cell.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "one")
    (folder / "kept_cell.py").write_text('x = 2\nAPI_KEY = "abcdef0123456789"\nother = "in-the-environment"\n')
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("MY_SECRET", "in-the-environment")
    return folder


def test_code_its_changes_and_own_cells_are_kept_once_and_without_secrets(own: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "study")
    code = provenance.of_code(ledger, {"lstm", "kept_cell:Cell"})
    assert code["engine_version"] == VERSION
    assert set(code["sources"]) == {"kept_cell"}
    mine = code["checkouts"]["mine"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=own, capture_output=True, text=True, check=True).stdout.strip()
    assert mine["commit"] == head
    assert "+x = 2" in (ledger.text(f"provenance/{mine['uncommitted']}") or "")
    name = provenance.write(ledger, code, threads=1, engine="cpu")
    assert provenance.write(ledger, code, threads=1, engine="cpu") == name
    facts = json.loads(ledger.text(f"provenance/{name}.json") or "")
    assert facts["packages"]["torch"]
    assert facts["processor"]
    assert facts["threads"] == 1
    for path in (tmp_path / "study" / "provenance").iterdir():
        assert "abcdef0123456789" not in path.read_text()
        assert "in-the-environment" not in path.read_text()
    assert provenance.write(ledger, code, threads=2, engine="cpu") != name
    units = provenance.write(ledger, code, threads=1, engine="cpu", vectors="units")
    assert json.loads(ledger.text(f"provenance/{units}.json") or "")["vectors"] == "units"


@pytest.mark.parametrize("line", ["WANDB_API_KEY=" + "0123abcd" * 5, "key: AKIAABCDEFGHIJKLMNOP", "aws_secret_access_key: wJalrXUtn/K7MDENG", "my_token = 'hf_abc'",
                                  '"password": "hunter22",'])  # fmt: skip
def test_what_looks_like_a_secret_is_left_out(line: str) -> None:
    kept = provenance.without_secrets(f"a\n{line}\nW_token_size = 3 + tokens(4)\n")
    assert "***" in kept
    assert not any(part in kept for part in ("0123abcd", "AKIAABC", "wJalrXUtn", "hf_abc", "hunter22"))


def test_the_report_says_what_the_study_cost(own: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "study")
    name = provenance.write(ledger, provenance.of_code(ledger, {"kept_cell:Cell"}), threads=1, engine="cpu")
    runs = pd.DataFrame(
        {
            "seconds": [1.0, 2.0, 3.0],
            "provenance": [name, name, None],
            "engine": "cpu",
            "code": "0.2.0",
            "engine_version": [VERSION, VERSION, 0],
        }
    )
    part = told.section(ledger, runs, {"command": "python -m ltm.sweep"})
    assert "3 seed runs took 6 s of training in all, 2 s a seed run" in part.text
    assert provenance.processor() in part.text
    assert f"2 of version {VERSION}, 1 of version 0. They are the same work with other rounding." in part.text
    assert "own cell kept_cell: provenance/" in part.text
