"""Verdicts in words: the finding first, then its effect, its test with the hypothesis and the corrected p, and its seeds. The numbers come from
:mod:`analysis.studies`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.reporting.tables import called, p_value, score, shown
from analysis.statistics import Outcome
from analysis.statistics.families import CORRECTIONS
from analysis.statistics.success import survival
from analysis.statistics.success.shares import wilson
from analysis.studies.baselines import Share
from analysis.studies.best import Place
from analysis.studies.compare import Comparison
from analysis.studies.filter_length import Trend
from analysis.studies.paths.claims import PathClaim
from analysis.studies.verdicts import Verdicts
from analysis.study import Condition, Study
from sweeps.console import counted

TESTS = {
    "wins": "relabelling", "signs": "sign test of seeds that share their start", "shares": "Barnard's exact test", "log-rank": "log-rank test",
    "bets": "bets that may be read after every pack of ten seeds",
}  # fmt: skip
"""By :attr:`analysis.studies.compare.Comparison.test`."""

NULLS = {"shares": "one rate of success", "log-rank": "one rate of success at all times"}
"""Null hypotheses other than P = 1/2."""

TREND = "Cochran and Armitage"
"""The test of a trend of shares."""


def over(verdicts: Verdicts, tests: int) -> str:
    """``Holm over 60``."""
    correction = verdicts.study.rule.correction
    return CORRECTIONS[correction] if correction == "none" else f"{CORRECTIONS[correction]} over {tests}"


def claim(one: Comparison, verdicts: Verdicts) -> str:
    """One comparison."""
    a, b = called(one.a.name), called(one.b.name)
    if one.a.diverged == len(one.a.errors) and one.b.diverged == len(one.b.errors):
        return f"{a} and {b}: no seed of either finished. {seeds(one)}"
    margin = verdicts.study.rule.within
    head = {
        "better": f"{a} beats {b}",
        "worse": f"{a} is beaten by {b}",
        "equivalent": f"{a} and {b} are equivalent within {margin}{both_lose(one, verdicts)}",
        "no worse": f"{a} is no worse than {b} by more than {margin}{both_lose(one, verdicts)}",
        "undecided": f"{a} and {b} are not told apart",
        "too few seeds": f"{a} and {b}: too few seeds for a verdict ({verdicts.needed} each are needed for {counted(verdicts.tests, 'test')})",
    }.get(one.verdict, f"{a} against {b} is {one.verdict}")
    return " ".join(filter(None, (f"{head}.", effect(one, verdicts.study.rule.better), tested(one, verdicts), of_means(one), seeds(one))))


def drawn(study: Study) -> str:
    """What several draws of a process are called."""
    return "paths" if study.forecasts else "draws"


def process(one: PathClaim, verdicts: Verdicts) -> str:
    """One claim about a process, the winner first."""
    word, (least, most) = drawn(verdicts.study), one.seeds
    ahead = one.theta if one.theta.estimate >= 0.5 else Outcome(1 - one.theta.estimate, 1 - one.theta.high, 1 - one.theta.low)
    a, b = (called(side.name) for side in ((one.a, one.b) if one.theta.estimate >= 0.5 else (one.b, one.a)))
    each = f"{least}" if least == most else f"{least} to {most}"
    where = f"on {one.process} ({len(one.pairs)} simulated {word}, {each} seeds each of {a} and {b} on every {word[:-1]})"
    p = f"95 % {ahead.low:.2f} to {ahead.high:.2f}; {p_value(one.p_adjusted)}, {over(verdicts, verdicts.tests)}"
    spread = (
        f"; between {word} the probability varies with sd {one.spread.estimate:.2f} (95 % {one.spread.low:.2f} to {one.spread.high:.2f})"
        if np.isfinite(one.spread.estimate)
        else ""
    )
    share = f"{ahead.estimate:.2f} on average over {word} ({p})"
    if one.decided:
        return f"{where} a seed of {a} beats one of {b} with probability {share}{spread}."
    why = f"{len(one.pairs)} {word} are too few for a verdict on the process ({verdicts.needed_paths} are needed for {counted(verdicts.tests, 'claim')})"
    head = why if one.verdict == "too few paths" else f"{a} and {b} are not told apart"
    return f"{where} {head}: a seed of {a} beats one of {b} with probability {share}{spread}."


def alone(one: PathClaim, verdicts: Verdicts) -> str:
    """What each path alone would have said, which is about that path."""
    word = drawn(verdicts.study)
    return (
        f"Each {word[:-1]} alone, about that {word[:-1]} only, corrected over its own pairs: {called(one.a.name)} against {called(one.b.name)} is {one.alone[0]} on the first ({one.a.dataset});"
        f" better on {one.alone.count('better')} of {len(one.pairs)}, worse on {one.alone.count('worse')}; P is above 1/2 on {one.ahead}."
    )


def both_lose(one: Comparison, verdicts: Verdicts) -> str:
    """Equal to one another is no feat where both lose to a forecast without a network."""
    lost = {share.condition.label: share.baseline for share in verdicts.shares if share.verdict == "is beaten"}
    return f", and both lose to {lost[one.a.label]}" if one.a.label in lost and one.b.label in lost else ""


def tested(one: Comparison, verdicts: Verdicts) -> str:
    """The test that the verdict rests on: its name, its hypothesis, its correction, and its p."""
    by = over(verdicts, verdicts.tests)
    if one.verdict in ("equivalent", "no worse"):
        null = "either is worse by the margin or more" if one.verdict == "equivalent" else "worse by the margin or more"
        p = one.p_equivalent_adjusted if one.verdict == "equivalent" else one.p_no_worse_adjusted
        return f"One-sided, margin {verdicts.study.rule.within}, null hypothesis {null}, {by}: {p_value(p)}."
    if one.verdict == "too few seeds":
        return f"Two-sided, null hypothesis {null_of(one)}, {TESTS[one.test]}, uncorrected: {p_value(one.theta.p)}."
    could = could_have(one, verdicts) if one.verdict == "undecided" else ""
    return f"Two-sided, null hypothesis {null_of(one)}, {TESTS[one.test]}, {by}: {p_value(one.p_adjusted)}.{could}"


def null_of(one: Comparison) -> str:
    return NULLS.get(one.test, "P = 1/2")


def null_of_study(verdicts: Verdicts) -> str:
    return NULLS.get({"success": "shares", "time": "log-rank"}.get(verdicts.study.rule.what.kind, ""), "P = 1/2")


def effect(one: Comparison, better: str) -> str:
    """How often and by how much; ``better``: of :class:`analysis.study.Rule`."""
    if one.a.kind == "success":
        gap = 100 * np.array([one.difference.estimate, one.difference.low, one.difference.high])
        return f"{succeeded(one.a)} against {succeeded(one.b)}: {gap[0]:+.0f} points (95 % {gap[1]:+.0f} to {gap[2]:+.0f})."
    what = f"{better}, of starts that tell them apart" if one.paired else better
    text = f"P({what}) = {one.theta.estimate:.2f}"
    if one.theta.low > 0 or one.theta.high < 1:
        text += f" (95 % {one.theta.low:.2f} to {one.theta.high:.2f})"
    return f"{text}{typically(one)}."


def succeeded(one: Condition) -> str:
    """``83 of 100 seeds succeed (74 to 89 %)``."""
    k, n = int(-one.errors.sum()), len(one.errors)
    share = wilson(k, n)
    return f"{k} of {n} seeds succeed ({100 * share.low:.0f} to {100 * share.high:.0f} %)"


def typically(one: Comparison) -> str:
    """``, typically lower by 2.3 % (95 % 1.8 to 2.9 %)``: in per cent of b's median where that can be said."""
    gap = one.difference.estimate
    if np.isnan(gap):
        return ""
    if np.isinf(gap):
        does, fails = ("succeeds", "does not") if one.a.kind == "time" else ("finishes", "diverges")
        return f"; of pairs of which at least one {does}, in half or more only {'the other' if one.a.sign * gap < 0 else 'it'} {fails}"
    if gap == 0:
        return ", typically by nothing"
    scale = one.percent / gap if np.isfinite(one.percent) else 1.0
    unit = (" points" if one.a.points else " %") if np.isfinite(one.percent) else ""
    ends = sorted(np.sign(gap) * scale * np.array([one.difference.low, one.difference.high]))
    low, high = (f"{end:.2g}" if unit else shown(float(end)) for end in ends)
    size = f"{scale * abs(gap):.2g}" if unit else shown(abs(gap))
    interval = f" (95 % {low} to {high}{unit})" if np.isfinite(ends).all() else ""
    return f", typically {'lower' if gap < 0 else 'higher'} by {size}{unit}{interval}"


def of_means(one: Comparison) -> str:
    """The second statement: the means of finished seeds, and their difference where it may be stated."""
    a, b, points = one.a.mean, one.b.mean, one.a.points
    if one.a.kind == "time":
        return f"Median sequences until success: {median(one.a)} and {median(one.b)}."
    if np.isnan(a) or np.isnan(b) or one.a.kind == "success":
        return ""
    if np.isfinite(one.means.low):
        gap = one.means.estimate
        low, high = sorted(np.sign(gap or 1) * (points or 1) * np.array([one.means.low, one.means.high]))
        size = f"{points * abs(gap):.2g} points" if points else shown(abs(gap))
        interval = f"(95 % {shown(float(low))} to {shown(float(high))}, uncorrected)"
        return f"Its mean is {'lower' if gap < 0 else 'higher'} by {size} {interval}." if gap else f"The means are the same {interval}."
    against = {"better": one.a.sign * (a - b) > 0, "worse": one.a.sign * (a - b) < 0}.get(one.verdict, False)
    return f"{'Yet the' if against else 'The'} means of finished seeds are {score(a, points)} and {score(b, points)}."


def median(one: Condition) -> str:
    """``1,200 (900 to 1,500)``: the median time until success with its interval; as far as it was reached."""
    found = survival.kaplan_meier(one.errors).median
    low, middle, high = (f"{end:,.0f}" if np.isfinite(end) else "not reached" for end in (found.low, found.estimate, found.high))
    return f"{middle} ({low} to {high})" if np.isfinite(found.low) else middle


def could_have(one: Comparison, verdicts: Verdicts) -> str:
    least = verdicts.could_see(len(one.a.errors), len(one.b.errors))
    if one.test != "wins" or np.isnan(least):
        return ""
    return "" if least >= 1 else f" P = {least:.2f} or more would have been seen four times in five."


def seeds(one: Comparison) -> str:
    """``20 against 20 seeds, 1 and 0 diverged, counted last.``"""
    text = f"{len(one.a.errors)} against {len(one.b.errors)} seeds"
    fate = "without success" if one.a.kind == "time" else "diverged"
    return text + (f", {one.a.diverged} and {one.b.diverged} {fate}, counted last." if one.a.diverged + one.b.diverged else ".")


def best(places: Sequence[Place], verdicts: Verdicts) -> str:
    """Which conditions may be the best of a series, from the places of all of it."""
    null = null_of_study(verdicts)
    inside = sorted((one for one in places if one.may_be_best), key=lambda one: one.condition.level)
    by, out = f"Two-sided tests of all pairs, null hypothesis {null}, {over(verdicts, verdicts.best_tests)}.", len(places) - len(inside)
    if not out:
        most = sorted(len(one.condition.errors) for one in places)[-2]  # of the smaller sample of any pair
        if most < verdicts.needed_best:
            return f"{counted(most, 'seed')} cannot leave any of {len(places)} out: {verdicts.needed_best} each are needed for {counted(verdicts.best_tests, 'test')}."
        return f"Any of the {len(places)} conditions may be the best: none is beaten by another. {by}"
    hsu = [one.condition for one in places if one.among]
    weaker = f" With 95 % the best of this {verdicts.study.noun} is among {listed(names(hsu))} (Hsu)." if len(hsu) < len(inside) else ""
    lost = {one.condition.label for one in verdicts.shares if one.verdict == "is beaten"}
    worth = (
        f" All of them lose to {baseline_of(verdicts, inside[0].dataset)}." if all(one.condition.label in lost for one in inside) else ""
    )
    if len(inside) == 1:
        worth = worth.replace("All of them lose", "Yet it loses")
        head = f"{called(inside[0].condition.name)} alone may be the best of {len(places)} conditions: each other one is beaten by another."
    else:
        head = f"{listed(names([one.condition for one in inside]))} may be the best of {len(places)} conditions: none of them is beaten, {out} {'is' if out == 1 else 'are'}."
    return f"{head}{worth} {by}{weaker}"


def baseline_of(verdicts: Verdicts, dataset: str) -> str:
    """The best forecast without a network of a series; empty where there is none."""
    return next((one.baseline for one in verdicts.shares if one.dataset == dataset), "")


def names(conditions: Sequence[Condition]) -> list[str]:
    return [called(one.name) for one in conditions]


def listed(words: Sequence[str], most: int = 12) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def length(one: Trend, verdicts: Verdicts) -> str:
    """What is known of K for one model and series."""
    margin, by = verdicts.study.rule.within, over(verdicts, verdicts.tests)
    seeds = f"{one.seeds} seeds each" + (f", {one.diverged} diverged in all, counted last." if one.diverged else ".")
    null = f"One-sided, margin {margin}, null hypothesis worse than some K by the margin or more, {by}: {p_value(one.p_recommended)}"
    if not one.no_worse:
        head = f"per cent of a {verdicts.study.metric} below 0 have no meaning, so no K is recommended."
    elif one.recommended is None:
        head = f"no K of {one.lengths} is shown to be within {margin} of all the others. {null} at best."
    else:
        head = f"K = {one.recommended} is the shortest shown to be at most {margin} worse than every other K. {null}."
    how = f"relabelling{' within starts' if one.paired else ''}" if verdicts.study.rule.what.kind != "success" or one.paired else TREND
    test = f"Two-sided, null hypothesis no trend, {how}, {by}: {p_value(one.p_adjusted)}."
    if np.isnan(one.J):
        course = "No trend can be asked about."
    elif one.p_adjusted < 0.05:
        way = verdicts.study.rule.better if one.J > 0 else verdicts.study.rule.worse
        course = f"A longer filter has the {way} with P = {0.5 + abs(one.J):.2f} on average over pairs of K. {test}"
    else:
        course = f"No trend over K is shown, which could hide a valley. {test}"
    return f"{called(one.model)}: {head} {course} {seeds}"


def share(one: Share, verdicts: Verdicts) -> str:
    """One condition against the best baseline of its series."""
    name = called(one.condition.name)
    head = {
        "beats": f"{name} beats {one.baseline}", "is beaten": f"{name} is beaten by {one.baseline}", "undecided": f"{name} is not told apart from {one.baseline}",
        "too few seeds": f"{name} against {one.baseline}: too few seeds for a verdict ({verdicts.needed} are needed for {counted(verdicts.tests, 'test')})",
    }[one.verdict]  # fmt: skip
    test = (
        f"Exact binomial test, two-sided, null hypothesis half of the seeds, {over(verdicts, verdicts.tests)}: {p_value(one.p_adjusted)}."
    )
    mean, diverged = one.condition.mean, one.condition.diverged
    rule, points, side = verdicts.study.rule, one.condition.points, "below" if one.condition.sign > 0 else "above"
    few = f" {diverged} diverged, counted as not {'smaller' if rule.sign > 0 else 'higher'}." if diverged else ""
    if np.isnan(mean):
        words = "No seed finished."
    else:
        words = f"Its mean{' over finished seeds' if diverged else ''} is {side if one.mean_beats else f'not {side}'}: {score(mean, points)} and {score(one.error, points)}."
    noun, more = rule.what.noun, "smaller" if rule.sign > 0 else "higher"
    return f"{head}. The {noun} is {more} in {beaten(one)}. {test} {words}{few}"


def beaten(one: Share) -> str:
    """``22 of 100 seeds (15 to 31 %)``: those that beat the best baseline, and Wilson's interval of their share."""
    return f"{one.beating} of {one.n} seeds ({100 * one.low:.0f} to {100 * one.high:.0f} %)"
