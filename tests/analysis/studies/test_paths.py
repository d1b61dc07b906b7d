"""Several paths of one series in a study: each is a series of its own."""

from __future__ import annotations

import json

import pandas as pd

from analysis.studies import compare
from analysis.studies.verdicts import judge
from analysis.study import Study
from tests.analysis.rows import rows


def path(seed: int, level: float, **models: str) -> pd.DataFrame:
    table = rows(**{name: [level + i for i in range(8)] for name in models})
    words = {f"{row} / tree": f"{row} seed={seed} / tree" for row in ("rnn", "lstm", "mrnn K=5")}
    return table.assign(
        condition=table["condition"].map(words),
        fingerprint=f"path {seed}",
        draws=table["model"],
        config=json.dumps({"dataset": {"seed": seed}}),
    )


def test_errors_on_one_path_are_never_held_against_those_on_another() -> None:
    names = {"rnn": "", "lstm": "", "mrnn_5": ""}
    study = Study.of(pd.concat([path(0, 1.0, **names), path(1, 9.0, **names)], ignore_index=True))
    assert {name: [one.label for one in found] for name, found in study.series.items()} == {
        f"tree seed={i}": [f"rnn seed={i} / tree", f"lstm seed={i} / tree", f"mrnn K=5 seed={i} / tree"] for i in (0, 1)
    }
    assert study.conditions[0].name == "rnn"
    pairs = compare.pairs_against(study)
    assert len(pairs) == 6
    assert all(a.fingerprint == b.fingerprint for a, b in pairs)
    verdicts = judge(study)
    assert verdicts.best_tests == 6
    assert all(one.may_be_best for one in verdicts.best), "the path with larger errors has its own best"


def test_paths_that_settings_do_not_tell_apart_are_numbered_and_unknown_data_are_one() -> None:
    two = pd.concat([rows(rnn=[1.0]), rows(lstm=[1.0]).assign(fingerprint="another")], ignore_index=True)
    assert list(Study.of(two).series) == ["tree (1)", "tree (2)"]
    assert list(Study.of(two.assign(fingerprint=["known", None])).series) == ["tree"]


def test_a_pair_is_compared_once_whichever_way_it_was_asked_for() -> None:
    table = pd.concat([rows(rnn=[1.0, 2.0]), rows(rnn=[2.0, 3.0]).assign(condition="rnn lr=0.1 / tree")], ignore_index=True)
    study = Study.of(table)
    assert len(compare.pairs_of(study, "rnn", "rnn")) == 1
    assert [one.name for one in study] == ["rnn (1)", "rnn (2)"], "nothing is known that tells them apart"
