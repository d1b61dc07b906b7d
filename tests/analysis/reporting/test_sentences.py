"""What is said: true in every edge case, each p named by its test, its null hypothesis and its correction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.reporting import sentences
from analysis.studies.verdicts import judge
from analysis.study import Rule, Study
from tests.analysis.rows import ALL, held, rows

NAN = float("nan")


def said(a: list[float], b: list[float], rule: Rule | None = None) -> str:
    """The sentence on a (an MRNN) against b (an RNN)."""
    verdicts = judge(Study.of(rows(rnn=b, mrnn=a), rule))
    return sentences.claim(verdicts.comparisons[0], verdicts)


RNG = np.random.default_rng(0)
GOOD, BASE = list(RNG.normal(0.9, 0.01, 20)), list(RNG.normal(1.0, 0.01, 20))
BELL = 1 + 0.05 * norm.ppf((np.arange(60) + 0.5) / 60)
RISKY = list(np.where(np.arange(100) < 30, 4.0, 0.9) + RNG.normal(0, 0.01, 100))

EDGES = {
    "clear": (GOOD, BASE, ["MRNN beats RNN. P(smaller error) = 1.00 (95 % 0.8", "typically lower by 10 % (95 % 9.", "Two-sided, null hypothesis P = 1/2, relabelling, Holm over 2: p = ",
                           "The means of finished seeds are 0.898", "20 against 20 seeds."]),
    "clear, the other way": (BASE, GOOD, ["MRNN is beaten by RNN. ", "P(smaller error) = 0.00", "typically higher by"]),
    "two against two": ([1.0, 2.0], [5.0, 6.0], ["too few seeds for a verdict (7 each are needed for 2 tests)", "Two-sided, null hypothesis P = 1/2, relabelling, uncorrected: p = 0.5."]),
    "one against many": ([1.0], BASE, ["too few seeds", "uncorrected: p = 1."]),
    "ten times 1 against ten times 2": ([1.0] * 10, [2.0] * 10, ["MRNN beats RNN", "= 1.00", "typically lower by 50 %", "Holm over 2: p = 0.0039."]),
    "the same constant": ([1.0] * 10, [1.0] * 10, ["MRNN and RNN are equivalent within 2 %.", "= 0.50", "typically by nothing",
                                                   "One-sided, margin 2 %, null hypothesis either is worse by the margin or more, Holm over 2: p = "]),
    "none finished against ten": ([NAN] * 10, [1.0] * 9 + [1.1], ["MRNN is beaten by RNN", "= 0.00", "of pairs of which at least one finishes, in half or more only it diverges", "10 and 0 diverged, counted last"]),
    "ten against none finished": ([1.0] * 10, [NAN] * 10, ["MRNN beats RNN", "of pairs of which at least one finishes, in half or more only the other diverges", "0 and 10 diverged"]),
    "none finished on either side": ([NAN] * 10, [NAN] * 12, ["MRNN and RNN: no seed of either finished. 10 against 12 seeds, 10 and 12 diverged, counted last."]),
    "one diverged": ([*GOOD[:19], NAN], BASE, ["MRNN beats RNN", "= 0.95", "1 and 0 diverged, counted last"]),
    "half diverged": ([*GOOD[:10], *[NAN] * 10], BASE, ["not told apart", "= 0.50"]),
    "zero baseline": (list(np.abs(RNG.normal(1, 0.1, 12))), [0.0] * 12, ["MRNN is beaten by RNN", "typically higher by 1", "The means of finished seeds are"]),
    "both zero": ([0.0] * 12, [0.0] * 12, ["typically by nothing"]),
    "ties": ([1.0, 2.0] * 3, [1.0, 2.0] * 3, ["too few seeds", "= 0.50", "typically by nothing"]),
    "an outlier": ([*GOOD[:19], 1e6], BASE, ["MRNN beats RNN", "= 0.95", "Yet the means of finished seeds are 5"]),
    "mean and typical seed disagree": (RISKY, list(RNG.normal(1, 0.01, 100)), ["MRNN against RNN is worse on average, better in most seeds.", "= 0.70",
                                       "Its mean is higher by 0.", "uncorrected)", "100 against 100 seeds."]),
    "close": (list(RNG.normal(1, 0.03, 100)), list(RNG.normal(1, 0.03, 100)), ["equivalent within 2 %", "One-sided, margin 2 %", "Holm over 2"]),
    "no worse": (list(BELL - 0.008), list(BELL), ["MRNN is no worse than RNN by more than 2 %.", "One-sided, margin 2 %, null hypothesis worse by the margin or more, Holm over 2: p = "]),
    "wide": (list(RNG.normal(1, 0.3, 20)), list(RNG.normal(1, 0.3, 20)), ["are not told apart", "or more would have been seen four times in five"]),
    "unequal counts": (GOOD[:8], BASE, ["MRNN beats RNN", "8 against 20 seeds."]),
    "huge errors": ([1e300] * 8, [1.0] * 8, ["MRNN is beaten by RNN", "higher by 1e+302 %"]),
}  # fmt: skip


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.filterwarnings("error")
def test_a_comparison_is_one_true_sentence(case: str) -> None:
    a, b, words = EDGES[case]
    line = said(a, b)
    for word in words:
        assert word in line, line
    assert "nan" not in line
    assert "inf" not in line
    assert line.endswith(".")
    assert "  " not in line


def test_corrections_are_named() -> None:
    assert "null hypothesis P = 1/2, relabelling, uncorrected: p" in said(GOOD, BASE, Rule(correction="none"))
    assert "Benjamini and Hochberg over 2" in said(GOOD, BASE, Rule(correction="bh"))


def test_paired_seeds_are_said_to_be_that() -> None:
    table = rows(mrnn_5=GOOD, mrnn_9=BASE).assign(draws="the same")
    study = Study.of(table)
    verdicts = judge(study, [tuple(study)])  # type: ignore[list-item]
    line = sentences.claim(verdicts.comparisons[0], verdicts)
    assert line.startswith("MRNN K=5 beats MRNN K=9. P(smaller error, of starts that tell them apart) = 1.00")
    assert "sign test of seeds that share their start" in line


def test_equivalence_never_stands_alone_where_both_lose_to_a_baseline() -> None:
    values = list(RNG.normal(1.2, 0.005, 30))
    verdicts = judge(Study.of(rows(rnn=values, mrnn=values[::-1]), baselines=ALL))
    line = sentences.claim(verdicts.comparisons[0], verdicts)
    assert line.startswith("MRNN and RNN are equivalent within 2 %, and both lose to AR(1).")
    assert "lose" not in said(values, values[::-1])


def best(**models: list[float]) -> str:
    verdicts = judge(Study.of(rows(**models)))
    return sentences.best(verdicts.best, verdicts)


PAIRS = "Two-sided tests of all pairs, null hypothesis P = 1/2, Holm over"


def test_who_may_be_the_best_is_said() -> None:
    assert best(a=GOOD[:5], b=BASE[:5], c=BASE[5:10]) == "5 seeds cannot leave any of 3 out: 7 each are needed for 3 tests."
    assert best(a=BASE, b=list(np.array(BASE)[::-1])) == f"Any of the 2 conditions may be the best: none is beaten by another. {PAIRS} 1."
    assert best(a=GOOD, b=BASE, c=BASE) == f"a alone may be the best of 3 conditions: each other one is beaten by another. {PAIRS} 3."
    assert best(a=GOOD, d=GOOD, b=BASE).startswith(f"a, d may be the best of 3 conditions: none of them is beaten, 1 is. {PAIRS} 3.")


def test_the_best_of_networks_that_lose_to_a_baseline_are_said_to_lose() -> None:
    def told(**models: list[float]) -> str:
        verdicts = judge(Study.of(rows(**models), baselines=held(AR=0.5, mean=2.0)))
        return sentences.best(verdicts.best, verdicts)

    assert "conditions: each other one is beaten by another. Yet it loses to AR(1). Two-sided" in told(a=GOOD, b=BASE, c=BASE)
    assert "1 is. All of them lose to AR(1). Two-sided" in told(a=GOOD, d=GOOD, b=BASE)


def length(**models: list[float]) -> str:
    verdicts = judge(Study.of(rows(**models)))
    return sentences.length(verdicts.trends[0], verdicts)


def test_what_is_known_of_K_is_said() -> None:
    flat = length(mrnn_5=list(RNG.normal(1, 0.01, 40)), mrnn_9=list(RNG.normal(1, 0.01, 40)))
    assert flat.startswith(
        "MRNN: K = 5 is the shortest shown to be at most 2 % worse than every other K. One-sided, margin 2 %, null hypothesis worse than"
    )
    assert (
        "No trend over K is shown, which could hide a valley. Two-sided, null hypothesis no trend, relabelling, Holm over 3: p = " in flat
    )
    assert flat.endswith("40 seeds each.")
    falling = length(mrnn_5=BASE, mrnn_9=GOOD)
    assert "K = 9 is the shortest" in falling
    assert "A longer filter has the smaller error with P = 1.00 on average over pairs of K." in falling
    wide = length(mrnn_5=list(RNG.normal(1, 0.3, 8)), mrnn_9=[*RNG.normal(1, 0.3, 7), NAN])
    assert "no K of 5, 9 is shown to be within 2 % of all the others." in wide
    assert "at best." in wide
    assert "1 diverged in all, counted last" in wide


def share(values: list[float], of: pd.DataFrame = ALL) -> str:
    verdicts = judge(Study.of(rows(rnn=values), baselines=of))
    return sentences.share(verdicts.shares[0], verdicts)


def test_a_share_against_the_best_baseline_is_said() -> None:
    assert share([0.9] * 12).startswith(
        "RNN beats AR(1). The error is smaller in 12 of 12 seeds (76 to 100 %). Exact binomial test, two-sided, null hypothesis half of the seeds, Holm over 1: p = 0.00049."
    )
    assert "RNN against AR(1): too few seeds for a verdict (6 are needed for 1 test). The error is smaller in 0 of 5" in share([1.3] * 5)
    assert "RNN is not told apart from AR(1)." in share([1.3, 0.9] * 6)
    gone = share([*[1.2] * 10, NAN, NAN])
    assert "RNN is beaten by AR(1)" in gone
    assert "Its mean over finished seeds is not below: 1.2 and 1. 2 diverged, counted as not smaller." in gone
    assert "No seed finished. 7 diverged" in share([NAN] * 7)
    assert share([0.0] * 8, held(AR=0.0, mean=0.0)).startswith(
        "RNN is not told apart from AR(1). The error is smaller in 0 of 8"
    )  # equal is neither


def test_one_condition_of_few_seeds_does_not_speak_for_the_others() -> None:
    found = judge(Study.of(rows(a=BASE, b=BASE[::-1], c=BASE[:1])))
    assert sentences.best(found.best, found).startswith("Any of the 3 conditions may be the best")


def test_equal_means_are_called_the_same() -> None:
    values = list(np.random.default_rng(0).normal(1, 0.1, 100))
    found = judge(Study.of(rows(rnn=values, mrnn=values[::-1])))
    assert "The means are the same (95 % " in sentences.claim(found.comparisons[0], found)
