"""A report that nothing has changed since is known as such; anything that it is made of makes it old."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.reporting import build, folder
from analysis.study import Rule
from sweeps.store.ledger import Ledger
from tests.analysis.reporting.test_page import written


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(folder, "code_version", lambda: "0.2.0+abc")
    rng = np.random.default_rng(0)
    written(tmp_path, {"tree": {"rnn": rng.normal(2, 0.1, 8), "lstm": rng.normal(3, 0.1, 8)}})
    return Ledger(tmp_path)


def test_a_report_is_unchanged_until_something_it_is_made_of_changes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    said = folder.unchanged(ledger)
    assert said
    assert "RNN" in said
    assert "╇" in said, "the table of comparisons"
    ledger.set_former(["tree rnn"])
    assert folder.unchanged(ledger) is None
    ledger.set_former([])
    assert folder.unchanged(ledger) is None, "a file of that name is there now"
    build.write(ledger.uri)
    assert folder.unchanged(ledger)
    monkeypatch.setattr(folder, "code_version", lambda: "0.2.0+abd")
    assert folder.unchanged(ledger) is None
    monkeypatch.setattr(folder, "code_version", lambda: "0.2.0+abc-dirty")
    build.write(ledger.uri)
    assert folder.unchanged(ledger) is None, "uncommitted changes may be anything"


def test_a_report_by_another_rule_is_none_of_a_sweeps(ledger: Ledger) -> None:
    build.write(ledger.uri, rule=Rule(correction="none"))
    assert folder.unchanged(ledger) is None


def test_a_report_without_its_page_is_written_again(ledger: Ledger) -> None:
    ledger.delete([f"{ledger.path}/report/index.html"])
    assert folder.unchanged(ledger) is None
