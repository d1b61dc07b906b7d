"""What a study found, in one paragraph: what holds of a process, where its paths can say; what beats the forecasts without a network, which network may be the best where, which K will do; and what
that is about. And the comparisons that matter, for the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis.reporting import sentences
from analysis.reporting.sentences import TESTS, baseline_of, drawn, null_of, over
from analysis.reporting.tables import called, p_cell, with_interval
from analysis.studies.baselines import Share
from analysis.studies.compare import Comparison
from analysis.studies.paths.claims import LEAST, PathClaim, processes
from analysis.studies.verdicts import Verdicts
from analysis.study import Condition, Study
from analysis.table import of_series
from sweeps.console import counted

MOST_NAMES = 6
"""Names in one list of the paragraph."""

MOST_SPANS = 3
"""Ranges of a number in a sentence; more are counted."""

MOST_PROCESSES = 3
"""Processes that the paragraph speaks of, each in a sentence."""

MOST_PAIRS = 10
"""Comparisons that the terminal prints."""

T = TypeVar("T")


def paragraph(verdicts: Verdicts) -> str:
    """The answer; its sentences are those of which the study knows something."""
    study = verdicts.study
    known = study.forecasts and all(one.fingerprint for one in study)
    about = ABOUT if known else ABOUT_TABLE
    told = " ".join(filter(None, (claimed(verdicts), worth(verdicts), best(verdicts), against(verdicts), lengths(verdicts))))
    if verdicts.paths:
        about = about.replace("All of this", "The rest") if told else ""
        told = " ".join(filter(None, (process(verdicts), told)))
    elif known and study.simulated and told and not processes(study):
        about, told = ABOUT_SIMULATED, f"{of_series_only(study)}: {told[0].lower()}{told[1:]}"
    return " ".join(filter(None, (told, about)))


ABOUT = "All of this is about seeds, other initial parameters, on one path and one split of each series; it says nothing of another path."
ABOUT_TABLE = "All of this is about seeds, on the data that they were trained on; it says nothing of other data."
ABOUT_SIMULATED = "All of this is about seeds, other initial parameters, on one split of each series."


def of_series_only(study: Study) -> str:
    """What a study of simulated series is not about."""
    if len(study.series) == 1:
        return "A statement about this one simulated series, not about the process, as no other series was drawn"
    return f"A statement about these {len(study.series)} simulated series, not about processes ({LEAST} paths of one are needed for that)"


def process(verdicts: Verdicts) -> str:
    """What holds of each process: who beats what others are held against, on average over its paths, and by how much at most."""
    groups = of_series(verdicts.paths)
    told = [of_process(some, verdicts) for some in list(groups.values())[:MOST_PROCESSES]]
    return " ".join([*told, *([f"{len(groups) - MOST_PROCESSES} more processes stand below."] if len(groups) > MOST_PROCESSES else [])])


def of_process(some: Sequence[PathClaim], verdicts: Verdicts) -> str:
    decided = [one for one in some if one.decided]
    if len(some) == 1:
        words = sentences.process(some[0], verdicts)
        return f"{words[0].upper()}{words[1:]}"
    word, paths = drawn(verdicts.study), max(len(one.pairs) for one in some)
    least, most = min(one.seeds[0] for one in some), max(one.seeds[1] for one in some)
    where = (
        f"On the process {some[0].process}, over {paths} simulated {word} ({least if least == most else f'{least} to {most}'} seeds each)"
    )
    if all(one.verdict == "too few paths" for one in some):
        return f"{where}, no verdict is possible: {verdicts.needed_paths} {word} are needed for {counted(verdicts.tests, 'claim')}."
    if not decided:
        return f"{where}, none of {len(some)} pairs is told apart."
    by: dict[str, list[PathClaim]] = {}
    for one in decided:
        by.setdefault(one.b.name, []).append(one)
    parts = []
    for name, mine in by.items():
        better, worse = ([called(one.a.name) for one in mine if one.verdict == side] for side in ("better", "worse"))
        sides = [f"is beaten by {among(better)}" if better else "", f"beats {among(worse)}" if worse else ""]
        parts.append(f"{called(name)} {' and '.join(filter(None, sides))}")
    one = max(decided, key=lambda one: abs(one.theta.estimate - 0.5))
    a, b = (one.a, one.b) if one.verdict == "better" else (one.b, one.a)
    low, high = sorted(abs(x - (one.verdict == "worse")) for x in (one.theta.low, one.theta.high))
    share = abs(one.theta.estimate - (one.verdict == "worse"))
    clearest = f"the clearest: {called(a.name)} over {called(b.name)}, with probability {share:.2f} on average over {word} ({low:.2f} to {high:.2f})"
    left = len(some) - len(decided)
    rest = f"; {left} of {len(some)} pairs {'is' if left == 1 else 'are'} not told apart" if left else ""
    return f"{where}, {'; '.join(parts)}; {clearest}{rest}."


def claimed(verdicts: Verdicts) -> str:
    """Of the claims that decided how many seeds there are, what is decided and what is open."""
    some = verdicts.claims
    if not some:
        return ""
    places: dict[str, list[str]] = {}
    for one in some:
        if one.told:
            places.setdefault(one.told, []).append(one.dataset)
    series = len(of_series(some))
    told = [f"{words}{on(datasets, series, verdicts.study)}" for words, datasets in sorted(places.items(), key=lambda item: -len(item[1]))]
    more = f"; and {len(told) - MOST_NAMES} more" if len(told) > MOST_NAMES else ""
    found, beside = [one for one in some if not one.is_open], [one for one in some if one.is_open and one.told]
    seeds = counted(sum(len(one.errors) for one in verdicts.study), "seed run")
    also = f", {len(beside)} more shown no worse or equivalent" if beside else ""
    words = f"{len(found)} of {counted(len(some), 'claim')} decided with {seeds}{also}{': ' if told else ''}{'; '.join(told[:MOST_NAMES])}{more}."
    near = [one.more for one in some if not one.told and np.isfinite(one.more)]
    left = len(some) - len(found) - len(beside)
    still = f" {left} open" if left else ""
    return words + (still and f"{still}{f', of which the nearest would take about {min(near):,.0f} more seeds of each' if near else ''}.")


def worth(verdicts: Verdicts) -> str:
    """Do networks beat the best forecast that needs none?"""
    shares = verdicts.shares
    if not shares:
        return ""
    series, nouns = of_series(shares), verdicts.study.nouns
    where = every(len(series), nouns)
    if not any(one.learned for one in shares):
        return f"The networks learned nothing{where}: no mean beats a constant."
    if all(one.verdict == "too few seeds" for one in shares):
        return f"{counted(max(one.n for one in shares), 'seed')} are too few for a verdict against {verdicts.study.plain}s without a network ({verdicts.needed} are needed)."
    best = called_baseline(verdicts)
    any_of = f" on any of the {len(series)} {nouns}" if len(series) > 1 else ""
    if all(one.verdict == "is beaten" for one in shares):
        return f"Every network loses to {best}{where}{closest(shares, verdicts)}."
    places: dict[str, list[str]] = {}
    for dataset, some in series.items():
        if names := [briefly(one.condition, verdicts) for one in some if one.verdict == "beats"]:
            places.setdefault(among(names), []).append(dataset)
    told = [f"{names}{on(datasets, len(series), verdicts.study)}" for names, datasets in places.items()]
    if not told:
        return f"No network is shown to beat {best}{any_of}{closest(shares, verdicts)}."
    rest = len(series) - sum(map(len, places.values()))
    return f"{best[0].upper()}{best[1:]} is beaten by {'; by '.join(told)}{f'; on {rest} other {nouns} by none' if rest else ''}."


def called_baseline(verdicts: Verdicts) -> str:
    """What networks are held against: by its name where there is one series."""
    datasets = list(verdicts.study.series)
    return f"the best {verdicts.study.plain} without a network" + (f" ({baseline_of(verdicts, datasets[0])})" if len(datasets) == 1 else "")


def closest(shares: Sequence[Share], verdicts: Verdicts) -> str:
    """The condition of which most seeds beat the baseline."""
    one = max(shares, key=lambda one: one.share)
    if not one.beating:
        return ", with every seed"
    where = on([one.dataset], len(of_series(shares)), verdicts.study)
    return f"; the closest is {briefly(one.condition, verdicts)}{where}, with {one.beating} of {one.n} seeds"


def best(verdicts: Verdicts) -> str:
    """Which networks may be the best where: names that share their series together."""
    series = of_series(verdicts.best)
    if not series:
        return ""
    seeds = max(sorted(len(one.condition.errors) for one in some)[-2] for some in series.values())
    if seeds < verdicts.needed_best:
        return f"{counted(seeds, 'seed')} cannot tell which network is the best ({verdicts.needed_best} each are needed)."
    inside = {dataset: [one.condition for one in some if one.may_be_best] for dataset, some in series.items()}
    if all(len(inside[dataset]) == len(some) for dataset, some in series.items()):
        return f"Any network may be the best{every(len(series), verdicts.study.nouns)}: none is beaten by another."
    places: dict[str, list[Condition]] = {}
    for conditions in inside.values():
        for one in sorted(conditions, key=lambda one: one.level):
            places.setdefault(one.name, []).append(one)
    groups: dict[tuple[str, ...], list[Condition]] = {}
    for some in sorted(places.values(), key=len, reverse=True):
        groups.setdefault(tuple(one.dataset for one in some), []).append(some[0])
    told = [f"{among(together(some, verdicts))}{on(datasets, len(series), verdicts.study)}" for datasets, some in groups.items()]
    more = f"; and {len(told) - MOST_NAMES} more groups" if len(told) > MOST_NAMES else ""
    return f"May be the best network: {'; '.join(told[:MOST_NAMES])}{more}. Each other one is beaten by another."


def together(conditions: Sequence[Condition], verdicts: Verdicts) -> list[str]:
    """Names of conditions, those that differ in K alone as one: ``MRNN (K = 25, 50)``."""
    families: dict[str, list[Condition]] = {}
    for one in conditions:
        families.setdefault(one.family, []).append(one)
    return [
        f"{called(family)} (K = {', '.join(str(K) for K in sorted(one.K or 0 for one in some))})"
        if len(some) > 1
        else briefly(some[0], verdicts)
        for family, some in families.items()
    ]


def briefly(one: Condition, verdicts: Verdicts) -> str:
    """A condition's name, without its K where the study has its model with one K."""
    several = any(one.family == trend.model for trend in verdicts.trends)
    return called(one.name if several else one.family)


def against(verdicts: Verdicts) -> str:
    """How the comparisons came out, by what conditions were held against."""
    by: dict[str, list[str]] = {}
    for one in verdicts.comparisons:
        by.setdefault(called(one.b.name), []).append(one.verdict)
    told = [
        f"against {name} {sum(word.startswith('better') for word in said)} of {len(said)} conditions are better, {sum(word.startswith('worse') for word in said)} worse"
        for name, said in by.items()
    ]
    return f"A{'; '.join(told)[1:]}." if 0 < len(told) <= 3 else ""


def lengths(verdicts: Verdicts) -> str:
    """The shortest K that will do, by model."""
    if not verdicts.trends:
        return ""
    models = {one.model: [other for other in verdicts.trends if other.model == one.model] for one in verdicts.trends}
    groups: dict[str, list[str]] = {}
    for model, some in models.items():
        if not all(one.no_worse for one in some):
            continue  # of scores below 0 it is not asked
        found = {one.recommended for one in some}
        K = found.pop() if len(found) == 1 else None if found == {None} else "by data"
        groups.setdefault("none" if K is None else str(K), []).append(called(model))
    margin = verdicts.study.rule.within
    told = [f"K = {K} for {among(some)}" for K, some in groups.items() if K.isdigit()]
    if "none" in groups:
        told.append(f"none is for {among(groups['none'])}")
    if "by data" in groups:
        told.append(f"which one is depends on the {verdicts.study.noun} for {among(groups['by data'])}")
    return f"The shortest filter shown to be within {margin} of every other: {'; '.join(told)}." if told else ""


def every(count: int, nouns: str) -> str:
    return f" on all {count} {nouns}" if count > 1 else ""


def on(datasets: Sequence[str], count: int, study: Study) -> str:
    """Where, of so many series or tasks; of those that all differ in one number by that, ``at length 10 to 40``."""
    if count == 1:
        return ""
    if len(datasets) == count:
        return every(count, study.nouns)
    if study.axis:
        spans = spans_of([study.spots[dataset].at for dataset in datasets], [spot.at for spot in study.spots.values()])
        if len(spans) <= MOST_SPANS:
            return f" at {study.axis} {among(spans)}"
    return f" on {among(datasets)}" if count <= 4 else f" on {len(datasets)} of {count} {study.nouns}"


def spans_of(some: Sequence[float], every: Sequence[float]) -> list[str]:
    """``10 to 40``, ``70``: numbers that follow one another among all of them, together."""
    runs: list[list[float]] = []
    for x in sorted(every):
        if x not in some:
            runs.append([])
        else:
            runs = [*runs[:-1], [*(runs[-1] if runs else []), x]]
    return [f"{run[0]:g} to {run[-1]:g}" if len(run) > 1 else f"{run[0]:g}" for run in runs if run]


def among(words: Sequence[str]) -> str:
    """``MRNN, RNN and LSTM``; a long list is cut."""
    few = list(words[:MOST_NAMES])
    if len(words) > MOST_NAMES:
        return f"{', '.join(few)} and {len(words) - MOST_NAMES} more"
    return " and ".join(filter(None, (", ".join(few[:-1]), few[-1])))


def pairs(verdicts: Verdicts) -> tuple[pd.DataFrame, str]:
    """The comparisons that matter, and the test and hypothesis of their p: those of the best conditions of each series, with what they are held against; of
    processes their clearest claims.
    """
    if verdicts.paths:
        return claims(verdicts)
    place = {one.label: i for some in verdicts.study.series.values() for i, one in enumerate(sorted(some, key=lambda one: one.level))}
    won = {one.condition.label: {"beat the baseline": f"{one.beating} of {one.n}"} for one in verdicts.shares}
    if verdicts.comparisons:
        by = [sorted(some, key=lambda one: place[one.a.label]) for some in of_series(verdicts.comparisons).values()]
        tests = in_turn(by)
        null = null_of(tests[0])
        title = f"two-sided, null hypothesis {null}, {' or '.join(TESTS[one] for one in sorted({one.test for one in tests}))}, {over(verdicts, verdicts.tests)}"
        rows = [
            {
                verdicts.study.noun: one.dataset, "a": called(one.a.name), "b": called(one.b.name), "verdict of a": one.verdict,
                f"P({verdicts.study.rule.better.split()[0]})": with_interval(one.theta.estimate, one.theta.low, one.theta.high, 2), "typically": percent(one), "p" if null != "P = 1/2" else "p of P = 1/2": p_cell(one.p_adjusted), **won.get(one.a.label, {}),
            }
            for one in tests
        ]  # fmt: skip
    else:
        shares = in_turn([sorted(some, key=lambda one: place[one.condition.label]) for some in of_series(verdicts.shares).values()])
        title = f"exact binomial test, two-sided, null hypothesis half of the seeds, {over(verdicts, verdicts.tests)}"
        rows = [
            {
                verdicts.study.noun: one.dataset, "a": called(one.condition.name), "b": one.baseline, "verdict of a": one.verdict,
                "seeds of a that beat b": f"{one.beating} of {one.n}", "p of half": p_cell(one.p_adjusted),
            }
            for one in shares
        ]  # fmt: skip
    return pd.DataFrame(rows), title


def claims(verdicts: Verdicts) -> tuple[pd.DataFrame, str]:
    """The clearest claims about processes."""
    found = sorted(verdicts.paths, key=lambda one: (not one.decided, -abs(one.theta.estimate - 0.5)))
    word, by = drawn(verdicts.study), over(verdicts, verdicts.tests)
    rows = [
        {
            "process": one.process, "a": called(one.a.name), "b": called(one.b.name), "verdict of a": one.verdict, word: str(len(one.pairs)),
            f"P({verdicts.study.rule.better.split()[0]})": with_interval(one.theta.estimate, one.theta.low, one.theta.high, 2),
            "ahead on": f"{one.ahead} of {len(one.pairs)}", "p": p_cell(one.p_adjusted), f"first {word[:-1]} alone": one.alone[0],
        }
        for one in in_turn(list(of_series(found).values()))
    ]  # fmt: skip
    return pd.DataFrame(
        rows
    ), f"of the process: two-sided, null hypothesis P = 1/2 on average over {word}, t and sign flips of {word}, {by}"


def in_turn(by_series: list[list[T]]) -> list[T]:
    """The first of every series, the second of every series, and so on."""
    turns = itertools.zip_longest(*by_series)
    return [one for turn in turns for one in turn if one is not None][:MOST_PAIRS]


def percent(one: Comparison) -> str:
    gap = one.percent
    return f"{gap:+.2g} {'points' if one.a.points else '%'}" if np.isfinite(gap) else "–"
