"""The claims of Zhao et al. (2020) on made-up studies: one where all hold, one where none does, studies that lack something."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reporting.parts.papers import zhao2020 as parts
from analysis.studies import zhao2020
from analysis.studies.memory import forgetting
from analysis.studies.verdicts import judge
from analysis.studies.zhao2020.evidence import FEW, NOT, PART, UPHELD, Evidence, verdict_of
from analysis.studies.zhao2020.pairs import FILTERED, MODELS, SERIES, SHORT, asks, bold, find
from analysis.study import Study
from sweeps.store.ledger import Ledger

LAWS = {"rnn": "exponential", "lstm": "exponential"}
GOOD = {"mrnn": 1.0, "mrnnf": 1.0, "lstm": 1.2, "mlstm": 1.3, "mlstmf": 1.3, "rnn2": 1.5, "mist": 1.6, "rnn": 1.7, "rwa": 2.0}
BAD = {"mrnnf": 2.0, "mrnn": 2.2, "rwa": 1.0, "mist": 1.0, "rnn2": 1.0, "rnn": 1.1, "mlstm": 1.2, "mlstmf": 1.2, "lstm": 1.3}


def rows(
    errors: Callable[[str, str, int], float], models: Iterable[str] = MODELS, seeds: int = 20, lengths: tuple[int, ...] = (25, 100)
) -> pd.DataFrame:
    """Rows of a ledger: ``errors(model, series, K)`` is a condition's level."""
    rng, found = np.random.default_rng(0), []
    for dataset in (*SERIES, SHORT):
        for model in models:
            for K in lengths if model in FILTERED else (None,):
                label = f"{model} / {dataset}" if K is None else f"{model} K={K} / {dataset}"
                level = errors(model, dataset, K or 100)
                found += [
                    {
                        "dataset": dataset, "model": model, "K": K, "condition": label, "seed": seed, "status": "completed", "fingerprint": dataset,
                        "test_rmse": level + rng.normal(0, 0.001),
                    }
                    for seed in range(seeds)
                ]  # fmt: skip
    return pd.DataFrame(found).astype({"K": "Int64"})


def baselines(error: float, constant: float) -> pd.DataFrame:
    table = [
        {"fingerprint": name, "dataset": name, "baseline": kind, "label": kind, "test_rmse": value}
        for name in (*SERIES, SHORT)
        for kind, value in (("AR", error), ("mean", constant), ("constant", constant))
    ]
    return pd.DataFrame(table)


def series(d: float) -> np.ndarray:
    """ARFIMA(0, d, 0), 2,000 values."""
    k = np.arange(1, 2000)
    weights = np.concatenate([[1.0], np.cumprod((k - 1 + d) / k)])
    return np.convolve(np.random.default_rng(1).normal(size=2000), weights)[:2000]


def decays(study: Study, law: Callable[[str], str], beyond: str) -> pd.DataFrame:
    found = [
        {"condition": one.label, "to_lag": one.K or 100, "law": law(one.model), "power": 1.0, "rate": 1.0, "rate_beyond": 1.0,
         "law_beyond": beyond if one.K == 25 else None}
        for one in study for _ in range(20)
    ]  # fmt: skip
    return forgetting.law_table(pd.DataFrame(found))


def check(p: float) -> pd.DataFrame:
    """The check of 36 means against the published ones."""
    return pd.DataFrame(
        {"condition": [f"{i}" for i in range(36)], "p_adjusted": p, "low": -0.001, "high": 0.001, "published_mean": 1.0, "percent": 0.1}
    )


def good_level(model: str, dataset: str, K: int) -> float:
    if dataset == SHORT:
        return 1.0
    slope = {"mrnn": 1e-4, "mrnnf": 1e-4, "mlstm": -1e-4, "mlstmf": -1e-4}.get(model, 0.0)
    return GOOD[model] + slope * (100 - K)


def bad_level(model: str, dataset: str, K: int) -> float:
    return 1.0 + (model != "rnn") if dataset == SHORT else BAD[model]


@functools.cache
def good() -> Evidence:
    study = Study.of(rows(good_level), baselines=baselines(1.1, 1.05))
    residuals = {one.label: np.random.default_rng(2).normal(0.01 if one.model in ("mrnn", "mrnnf") else 0.3, 0.001, 20) for one in study}
    memory = forgetting.Memory(series={name: series(0.3) for name in SERIES} | {SHORT: series(0.0)}, residuals=residuals)
    laws = decays(study, lambda model: LAWS.get(model, "power law"), "power law")
    return Evidence(judge(study, zhao2020.pairs(study)), memory, laws, check(1.0))


@functools.cache
def bad() -> Evidence:
    study = Study.of(rows(bad_level), baselines=baselines(0.1, 0.1))
    residuals = {one.label: np.random.default_rng(2).normal(0.4 if one.model in ("mrnn", "mrnnf") else 0.1, 0.001, 20) for one in study}
    memory = forgetting.Memory(series=dict.fromkeys(SERIES, series(0.0)) | {SHORT: series(0.3)}, residuals=residuals)
    laws = decays(study, lambda model: "power law" if model in LAWS else "exponential", "exponential")
    return Evidence(judge(study, zhao2020.pairs(study)), memory, laws, check(0.0))


def verdicts(evidence: Evidence) -> dict[str, str]:
    return {claim.number: claim.verdict for claim in zhao2020.claims(evidence)}


def test_every_claim_is_upheld_where_it_holds() -> None:
    found = verdicts(good())
    assert found == dict.fromkeys(found, UPHELD)
    assert len(found) == len(zhao2020.CLAIMS) == 17


def test_no_claim_is_upheld_where_none_holds() -> None:
    found = verdicts(bad())
    assert found == dict.fromkeys(found, NOT)


def test_figures_say_how_many_tests_showed_it() -> None:
    figures = {claim.number: claim.figure for claim in zhao2020.claims(good())}
    assert figures["1"].startswith("Better in 8 of 8: P(smaller error) arfima_paper 1.00 ▲, 1.00 ▲; dji")
    assert figures["3"].startswith("The bold model of Table 2 beats 28 of 28 rivals")
    assert "RNN 20 of 20 seeds a series" in figures["13a"]
    assert "Better in 0 of 8, worse in 8" in zhao2020.claims(bad())[0].figure
    assert figures["10"].startswith("Shown in 8 of 8 (8 point that way): P(longer wins) arfima_paper")


def test_the_family_holds_the_pairs_of_the_claims_each_once() -> None:
    study = good().study
    found = zhao2020.pairs(study)
    assert len(found) == len(asks()) == len({frozenset((a.label, b.label)) for a, b in found})
    assert len(good().verdicts.comparisons) == len(found)
    assert bold() == {"arfima_paper": "mrnn", "dji": "mrnnf", "traffic": "mrnnf", "tree": "mrnn"}
    assert zhao2020.pairs(study.only([])) == []


@pytest.mark.parametrize(
    ("shown", "few", "expected"),
    [([True, True], False, UPHELD), ([True, False], False, PART), ([False, False], False, NOT), ([False], True, FEW), ([True, False], True, PART)],
)  # fmt: skip
def test_verdicts_are_all_some_or_none(shown: list[bool], few: bool, expected: str) -> None:
    assert verdict_of(shown, few) == expected


def test_a_claim_that_lacks_conditions_is_not_tested_and_says_what_it_lacks() -> None:
    study = Study.of(rows(good_level, ["rnn", "lstm", "mlstm"]))
    evidence = Evidence(judge(study, zhao2020.pairs(study)))
    found = verdicts(evidence)
    assert found["1"] == "not tested: lacks mrnn K=100 / arfima_paper, mrnnf K=100 / arfima_paper and 6 more"
    assert found["4"] == UPHELD
    assert found["12"] == "not tested: lacks the series arfima_paper, the series dji and 3 more"
    assert found["13a"].startswith("not tested: lacks the response of rnn / arfima_paper")
    assert found["16"].startswith("not tested: lacks the baselines of")
    assert found["10"].startswith("not tested: lacks mrnn with K = 25 to 100")
    assert all(found[number].startswith("not tested") for number in found if number != "4")


def test_a_study_of_one_filter_length_or_no_models_at_all_is_no_error() -> None:
    study = Study.of(rows(good_level, lengths=(100,)))
    found = verdicts(Evidence(judge(study, zhao2020.pairs(study))))
    assert (found["1"], found["7"], found["10"][:10]) == (UPHELD, UPHELD, "not tested")
    nothing = study.only([])
    assert {one[:10] for one in verdicts(Evidence(judge(nothing, []))).values()} == {"not tested"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_said_to_be_too_few(seeds: int) -> None:
    study = Study.of(rows(good_level, seeds=seeds), baselines=baselines(1.1, 1.05))
    evidence = Evidence(
        judge(study, zhao2020.pairs(study)),
        laws=decays(study, lambda model: "either", "either").assign(measured=seeds),
    )
    found = verdicts(evidence)
    assert {found[number] for number in ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "13a", "13b", "16")} == {FEW}


def test_free_weights_that_win_with_a_short_filter_forbid_upheld() -> None:
    study = Study.of(rows(lambda model, dataset, K: 0.5 if model == "rnn2" and K == 25 else good_level(model, dataset, K)))
    claim = zhao2020.claims(Evidence(judge(study, zhao2020.pairs(study))))[6]
    assert (claim.number, claim.verdict) == ("7", PART)
    assert "worse in 8" in claim.figure


def test_a_series_with_nothing_to_learn_is_said_to_have_nothing() -> None:
    study = replace(good().study, baselines=baselines(1.1, 0.5))
    evidence = Evidence(judge(study, zhao2020.pairs(study)))
    assert verdicts(evidence)["9"] == "upheld, but there is nothing to learn: no network's mean beats the best constant"


def test_the_parts_of_a_report_hold_what_there_is(tmp_path: Path) -> None:
    runs = rows(good_level)
    study = Study.of(runs, baselines=baselines(1.1, 1.05))
    judged = judge(study, zhao2020.pairs(study))
    material = parts.Material(Ledger(str(tmp_path)), runs, judged, forgetting.Memory(why="no parameters"))
    vars(material)["responses"] = (pd.DataFrame(), {}, "no parameters")
    found = {part.title: part for part in parts.of(material)}
    assert next(iter(found)) == parts.CLAIMS
    table = found["Table 2"].tables[0].shown.set_index("model")
    assert table.loc["MRNN", "dji"] == "1.000 (0.001) / 0.002 (0.000) *"
    assert table.loc["AR", "tree"] == "1.100 AR"
    assert "No published minimum is at hand" in found["Table 3, minima"].text
    assert len(found["Two-sample t-tests"].tables[0].shown) == 16
    assert "differ in 0 of 16" in found["Two-sample t-tests"].text
    assert len(found["Short memory"].tables[0].shown) == 9 + 3
    assert "no parameters" in found["Definition 3"].text
    claims = found[parts.CLAIMS]
    assert claims.text.startswith("<p>Of 17 claims ")
    assert parts.at_a_glance(claims.tables[0].shown)["figure"][0] == "Better in 8 of 8"


def test_the_parts_of_a_report_without_anything_are_no_error(tmp_path: Path) -> None:
    runs = rows(good_level, ["rnn"], seeds=1)
    study = Study.of(runs, baselines=baselines(1.1, 1.05).iloc[:0])
    material = parts.Material(Ledger(str(tmp_path)), runs, judge(study, zhao2020.pairs(study)), forgetting.Memory())
    vars(material)["responses"] = (pd.DataFrame(), {}, "")
    assert next(part.title for part in parts.of(material)) == parts.CLAIMS
    assert find(study, "mrnn", "dji") is None
