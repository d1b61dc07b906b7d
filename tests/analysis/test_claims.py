"""Claims in words: what they ask, what is refused in one line, and that a study's record has them again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.claims import Claims, decided, packs_of, parse
from analysis.reporting import answer
from analysis.reporting.parts.claims import shown
from analysis.studies.verdicts import judge
from analysis.study import Rule, Study
from ltm.errors import UserError
from tests.analysis.rows import rows

METRICS = {"tree": "test_rmse", "dji": "test_rmse"}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.of(pd.concat([rows(name, rnn=[1.0], lstm=[1.0], mrnn_5=[1.0], mrnn_25=[1.0]) for name in ("tree", "dji")]))


def asked(study: Study, given: object) -> list[tuple[str, str, list[str]]]:
    return [(one.kind, one.dataset, [label.rpartition(" /")[0] for label in one.of]) for one in parse(given, study, METRICS)]


def test_words_are_claims_on_every_series(study: Study) -> None:
    assert asked(study, "rnn < lstm") == [("beats", "tree", ["rnn", "lstm"]), ("beats", "dji", ["rnn", "lstm"])]
    assert asked(study, ["mrnn K=5 / tree vs rnn"]) == [("differ", "tree", ["mrnn K=5", "rnn"])]
    assert [one[2] for one in asked(study, "mrnn vs rnn") if one[1] == "tree"] == [["mrnn K=5", "rnn"], ["mrnn K=25", "rnn"]]
    assert asked(study, "best K of mrnn")[0] == ("best", "tree", ["mrnn K=5", "mrnn K=25"])
    assert asked(study, "best of all")[1] == ("best", "dji", ["rnn", "lstm", "mrnn K=5", "mrnn K=25"])
    assert asked(study, "best of rnn, mrnn")[0][2] == ["rnn", "mrnn K=5", "mrnn K=25"]
    within = parse("rnn  <=  lstm within 1.5 %", study, METRICS)[0]
    assert (within.kind, within.margin) == ("within", 1.5)
    every = asked(study, "all")
    assert len(every) == 2 * 5, "every condition against RNN and LSTM, each pair once"
    assert {one[0] for one in every} == {"differ"}


def test_what_is_asked_twice_counts_once(study: Study) -> None:
    both = parse(["rnn vs lstm", "rnn < lstm", "rnn vs lstm"], study, METRICS)
    assert [one.kind for one in both] == ["differ", "differ"]
    assert parse(["rnn vs lstm", "lstm vs rnn"], study, METRICS) == parse("rnn vs lstm", study, METRICS)


def test_the_best_k_is_asked_of_every_family() -> None:
    some = [rows(mrnn_5=[1.0], mrnn_25=[1.0]) for _ in range(2)]
    for rate, one in zip((0.1, 0.01), some, strict=True):
        one["config"] = json.dumps({"model": {"name": "mrnn"}, "dataset": {}, "training": {"lr": rate}})
        one["condition"] = one["condition"].str.replace(" /", f" lr={rate} /", regex=False)
    found = parse("best K of mrnn", Study.of(pd.concat(some)), METRICS)
    assert len({one.of for one in found}) == len(found) == 2


def test_a_margin_has_the_unit_of_its_metric(study: Study) -> None:
    mixed = METRICS | {"dji": "test_accuracy"}
    assert [one.dataset for one in parse("rnn <= lstm within 2 points", study, mixed)] == ["dji"]
    assert [one.dataset for one in parse("rnn <= lstm within 2 %", study, mixed)] == ["tree"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["rnn < lstm", "lstm < rnn"], "contradict each other; expected 'rnn vs lstm'"),
        ("gru < lstm", "gru"),
        ("best of gru", "gru"),
        ("best K of lstm", "needs several K"),
        ("best K of gru", "gru"),
        ("rnn <= lstm", "has no margin; expected one such as 'rnn <= lstm within 2 %'"),
        ("rnn <= lstm within 0 %", "above 0"),
        ("rnn > lstm", "is not understood"),
        ("best of rnn", "compares nothing"),
        (["rnn vs lstm", "best of rnn"], "best of rnn compares nothing"),
        ([], "has no claim"),
        ("rnn <= lstm within 2 points", "test_rmse takes %: within 2 %"),
        ([1], "expected 'a < b'"),
    ],
)
def test_bad_claims_are_refused_in_one_line(study: Study, given: object, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        parse(given, study, METRICS)
    assert "\n" not in str(raised.value)


def test_a_record_has_the_claims_again(study: Study) -> None:
    claims = Claims(tuple(parse(["rnn vs lstm", "best of all", "mrnn <= rnn within 3 %"], study, METRICS)), 0.1, 40)
    again = Claims.of_record(yaml.safe_load(yaml.safe_dump({"claims": claims.record()})))
    assert again
    assert (again.claims, again.rate, again.mean) == (claims.claims, 0.1, 40)
    assert again.hypotheses == 2 * 2 + 2 * 4 + 4
    assert again.budget.packs == 40 * 8 // 10
    assert Claims.of_record({}) is None


def test_packs_are_read_in_the_order_of_seeds_and_none_behind_a_gap() -> None:
    table = rows(rnn=np.arange(35.0), lstm=np.arange(40.0))
    both = Study.of(table)
    assert packs_of(both.by_label["rnn / tree"]).shape == (3, 10)
    without = Study.of(table[(table["model"] != "lstm") | (table["seed"] != 12)].iloc[::-1])
    np.testing.assert_array_equal(packs_of(without.by_label["lstm / tree"]), np.arange(10.0)[None])
    claims = Claims(tuple(parse("rnn vs lstm", both, METRICS)), 0.05, 100)
    assert claims.evidence(table)[1].tolist() == [3, 4]
    assert claims.evidence(table, {"lstm / tree": 1})[1].tolist() == [3, 1], "no more than was asked for"
    assert claims.evidence(table[table["model"] == "rnn"])[1].tolist() == [3, 0]


def test_what_is_decided_is_said() -> None:
    rng = np.random.default_rng(0)
    table = rows(rnn=rng.normal(10, 1, 60), lstm=rng.normal(13, 1, 60), gru=rng.normal(10, 1, 60))
    study = Study.of(table, Rule(anytime=True))
    claims = Claims(tuple(parse(["lstm vs rnn", "rnn vs gru", "gru <= rnn within 40 %", "best of all"], study, METRICS)), 0.05, 100)
    found = decided(claims, table, {one.label: one.name for one in study})
    assert [one.told for one in found][:3] == ["rnn beats lstm", "", "gru is no worse than rnn within 40 %"]
    assert found[3].told == ""
    assert [one.row()["seeds"] for one in found] == [60] * 4
    first = found[0]
    assert first.low < first.theta < first.high
    assert all(one.low <= one.theta <= one.high for one in found), "no margin is granted"
    assert first.low > 0.8
    assert first.more == 0
    assert found[1].more > 0
    for words in ("rnn vs gru", "gru vs rnn"):
        ahead = decided(Claims(tuple(parse(words, study, METRICS)), 0.05, 100), table[table["seed"] < 10], {})[0]
        assert ahead.theta > 0.5, "who is ahead, whoever was named first"


def test_no_worse_decides_nothing_that_was_asked() -> None:
    rng = np.random.default_rng(1)
    table = rows(rnn=rng.normal(10, 0.01, 60), gru=rng.normal(10, 0.01, 60))
    study = Study.of(table, Rule(anytime=True))
    claims = Claims(tuple(parse("rnn vs gru", study, METRICS)), 0.05, 100)
    found = decided(claims, table, {one.label: one.name for one in study})
    assert (found[0].told, found[0].is_open) == ("gru and rnn are equivalent within 2 %", True)
    said = answer.claimed(replace(judge(study, []), claims=found))
    assert said.startswith("0 of 1 claim decided with 120 seed runs, 1 more shown no worse or equivalent: gru and rnn are equivalent")
    assert shown(found)["verdict"][0].startswith("gru and rnn are equivalent within 2 %; open")
