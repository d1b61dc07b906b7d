"""What is said: true in every edge case, each p named by its test, its null hypothesis and its correction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.report import sentences
from analysis.studies.verdicts import judge
from analysis.study import Study
from tests.analysis.rows import ALL, held, rows

NAN = float("nan")


def said(a: list[float], b: list[float], **options: object) -> str:
    """The sentence on a (an MRNN) against b (an RNN)."""
    verdicts = judge(Study.of(rows(rnn=b, mrnn=a)), **options)  # type: ignore[arg-type]
    return sentences.claim(verdicts.comparisons.iloc[0], verdicts)


RNG = np.random.default_rng(0)
GOOD, BASE = list(RNG.normal(0.9, 0.01, 20)), list(RNG.normal(1.0, 0.01, 20))
BELL = 1 + 0.05 * norm.ppf((np.arange(60) + 0.5) / 60)
RISKY = list(np.where(np.arange(100) < 30, 4.0, 0.9) + RNG.normal(0, 0.01, 100))

EDGES = {
    "clear": (GOOD, BASE, ["mrnn beats rnn: a seed of mrnn has the smaller error with probability 1.00 (95 % 0.8", "typically by 0.10",
                           "(P = 1/2, relabelling, Holm over 2)", "the means of finished seeds are 0.898", "20 against 20 seeds."]),
    "clear, the other way": (BASE, GOOD, ["mrnn is beaten by rnn: ", "probability 0.00", "typically larger by"]),
    "two against two": ([1.0, 2.0], [5.0, 6.0], ["too few seeds for a verdict at this many comparisons (2; 7 each are needed)", "p = 0.5 (P = 1/2, relabelling, uncorrected)"]),
    "one against many": ([1.0], BASE, ["too few seeds", "p = 1 (P"]),
    "ten times 1 against ten times 2": ([1.0] * 10, [2.0] * 10, ["mrnn beats rnn", "probability 1.00", "typically by 1", "50 %", "p = 0.0039 "]),
    "the same constant": ([1.0] * 10, [1.0] * 10, ["mrnn and rnn are equivalent within 2 %", "probability 0.50", "typically by nothing", "one-sided, Holm over 2"]),
    "none finished against ten": ([NAN] * 10, [1.0] * 9 + [1.1], ["mrnn is beaten by rnn", "probability 0.00", "in half or more of the pairs of which at least one finishes, only it diverges", "10 and 0 diverged, counted last"]),
    "ten against none finished": ([1.0] * 10, [NAN] * 10, ["mrnn beats rnn", "in half or more of the pairs of which at least one finishes, only the other diverges", "0 and 10 diverged"]),
    "none finished on either side": ([NAN] * 10, [NAN] * 12, ["mrnn and rnn: no seed of either finished; 10 against 12 seeds, 10 and 12 diverged, counted last."]),
    "one diverged": ([*GOOD[:19], NAN], BASE, ["mrnn beats rnn", "probability 0.95", "1 and 0 diverged, counted last"]),
    "half diverged": ([*GOOD[:10], *[NAN] * 10], BASE, ["not told apart", "probability 0.50"]),
    "zero baseline": (list(np.abs(RNG.normal(1, 0.1, 12))), [0.0] * 12, ["mrnn is beaten by rnn", "typically larger by 1", "the means of finished seeds are"]),
    "both zero": ([0.0] * 12, [0.0] * 12, ["typically by nothing"]),
    "ties": ([1.0, 2.0] * 3, [1.0, 2.0] * 3, ["too few seeds", "probability 0.50", "typically by nothing"]),
    "an outlier": ([*GOOD[:19], 1e6], BASE, ["mrnn beats rnn", "probability 0.95", "yet the means of finished seeds are 5"]),
    "mean and typical seed disagree": (RISKY, list(RNG.normal(1, 0.01, 100)), ["mrnn against rnn is worse on average, better in most seeds", "probability 0.70",
                                       "the mean of mrnn is higher by 0.", "uncorrected)", "100 against 100 seeds."]),
    "close": (list(RNG.normal(1, 0.03, 100)), list(RNG.normal(1, 0.03, 100)), ["equivalent within 2 %", "either worse by 2 % or more, one-sided, Holm over 2"]),
    "no worse": (list(BELL - 0.008), list(BELL), ["mrnn is no worse than rnn by more than 2 %", "(worse by 2 % or more, one-sided, Holm over 2)"]),
    "wide": (list(RNG.normal(1, 0.3, 20)), list(RNG.normal(1, 0.3, 20)), ["are not told apart", "or more would have been seen four times in five"]),
    "unequal counts": (GOOD[:8], BASE, ["mrnn beats rnn", "8 against 20 seeds."]),
    "huge errors": ([1e300] * 8, [1.0] * 8, ["mrnn is beaten by rnn", "larger by 1e+300"]),
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
    assert "(P = 1/2, relabelling, uncorrected)" in said(GOOD, BASE, correction="none")
    assert "Benjamini and Hochberg over 2" in said(GOOD, BASE, correction="bh")


def test_paired_seeds_are_said_to_be_that() -> None:
    table = rows(mrnn_5=GOOD, mrnn_9=BASE).assign(draws="the same")
    study = Study.of(table)
    verdicts = judge(study, pairs=[tuple(study)])  # type: ignore[list-item]
    line = sentences.claim(verdicts.comparisons.iloc[0], verdicts)
    assert (
        "mrnn K=5 beats mrnn K=9: of the starts that tell them apart, one trained as mrnn K=5 has the smaller error with probability 1.00"
        in line
    )
    assert "sign test of seeds with one start" in line


def best(**models: list[float]) -> str:
    verdicts = judge(Study.of(rows(**models)))
    return sentences.best(verdicts.best, verdicts)


def test_who_may_be_the_best_is_said() -> None:
    assert best(a=GOOD[:5], b=BASE[:5], c=BASE[5:10]) == "5 seeds cannot leave any of 3 out at 3 comparisons; 7 each are needed."
    assert best(a=BASE, b=list(np.array(BASE)[::-1])) == "Any of the 2 conditions may be the best: none is beaten by another (Holm over 1)."
    assert best(a=GOOD, b=BASE, c=BASE) == "a alone may be the best of 3 conditions: each other one is beaten by another (Holm over 3)."
    assert best(a=GOOD, d=GOOD, b=BASE).startswith("a, d may be the best of 3 conditions: no other beats them; 1 is beaten (Holm over 3).")


def length(**models: list[float]) -> str:
    verdicts = judge(Study.of(rows(**models)))
    return sentences.length(verdicts.trends.iloc[0], verdicts)


def test_what_is_known_of_K_is_said() -> None:
    flat = length(mrnn_5=list(RNG.normal(1, 0.01, 40)), mrnn_9=list(RNG.normal(1, 0.01, 40)))
    assert flat.startswith("mrnn: K = 5 is the shortest shown to be at most 2 % worse than every other K (p = ")
    assert "no trend over K is shown (p = " in flat
    assert "from which a valley could hide; 40 seeds each." in flat
    falling = length(mrnn_5=BASE, mrnn_9=GOOD)
    assert "K = 9 is the shortest" in falling
    assert "a longer filter has the smaller error with probability 1.00 on average over pairs of K" in falling
    wide = length(mrnn_5=list(RNG.normal(1, 0.3, 8)), mrnn_9=[*RNG.normal(1, 0.3, 7), NAN])
    assert "no K of 5, 9 is shown to be within 2 % of all the others (p = " in wide
    assert "1 diverged in all, counted last" in wide


def share(values: list[float], of: pd.DataFrame = ALL) -> str:
    verdicts = judge(Study.of(rows(rnn=values)), of)
    return sentences.share(verdicts.shares.iloc[0], verdicts)


def test_a_share_against_the_best_baseline_is_said() -> None:
    assert share([0.9] * 12).startswith(
        "rnn beats AR(1): 12 of 12 seeds (76 to 100 %) have the smaller error; p = 0.00049 (half of the seeds, exact binomial test, Holm over 1)"
    )
    assert "has too few seeds for a verdict at this many comparisons (1; 6 are needed) against AR(1): 0 of 5" in share([1.3] * 5)
    assert "is not told apart from AR(1)" in share([1.3, 0.9] * 6)
    gone = share([*[1.2] * 10, NAN, NAN])
    assert "rnn is beaten by AR(1)" in gone
    assert "its mean over finished seeds, 1.2, is not below 1; 2 diverged, counted as not smaller." in gone
    assert "no seed finished; 7 diverged" in share([NAN] * 7)
    assert share([0.0] * 8, held(AR=0.0, mean=0.0)).startswith("rnn is not told apart from AR(1): 0 of 8")  # equal is neither


def worth(of: pd.DataFrame = ALL, **models: list[float]) -> str:
    (line,) = sentences.first_words(judge(Study.of(rows(**models)), of).shares, of, "test_rmse")["sentence"]
    return str(line)


def test_the_first_words_say_whether_a_network_is_worth_it() -> None:
    worse = worth(rnn=[1.3, 1.4], mrnn=[0.9, 1.3])
    assert worse.startswith("tree: no network beats a linear forecast on average: AR(1) tests at 1, the best network's mean (mrnn) is 1.1;")
    assert "1 of 2 of its seeds beat it (95 % interval of the share" in worse
    assert worth(rnn=[1.3, 1.4], mrnn=[0.9, 0.8]).startswith("tree: 1 of 2 networks beat a linear forecast on average")
    assert "No better on average than a constant: rwa." in worth(rwa=[2.3, 1.9], mrnn=[0.9, 0.8])
    assert "tree: no network finished; AR(1) tests at 1." in worth(rnn=[NAN, NAN])
    assert "the best network's mean over the 2 seeds that finish (rnn)" in worth(rnn=[1.3, 1.4, NAN])


def test_networks_that_learn_nothing_are_told_so() -> None:
    line = worth(rnn=[2.3, 2.4], mrnn=[2.1, 2.2])
    assert line.startswith("tree: the networks learned nothing: no condition's mean beats the mean of the training part (2).")
    level = worth(rnn=[1.95, 1.96])
    assert level.startswith("tree: the networks learned nothing: no condition's mean beats a constant (the best in hindsight, 1.9).")


def test_all_claims_at_a_glance() -> None:
    verdicts = judge(Study.of(rows(rnn=BASE, mrnn=GOOD, short=[1.0, 1.0])), ALL)
    matrix = sentences.matrix(verdicts).set_index("against")
    assert matrix.loc["mrnn", "tree: rnn"] == "▲ 1.00"
    assert matrix.loc["short", "tree: rnn"].startswith("?")
    assert matrix.loc["mrnn", "tree: AR(1)"] == "▲ 1.00"
    assert sentences.matrix(judge(Study.of(rows(mrnn=GOOD)))).empty


def test_one_condition_of_few_seeds_does_not_speak_for_the_others() -> None:
    found = judge(Study.of(rows(a=BASE, b=BASE[::-1], c=BASE[:1])))
    assert sentences.best(found.best, found).startswith("Any of the 3 conditions may be the best")


def test_equal_means_are_called_the_same() -> None:
    values = list(np.random.default_rng(0).normal(1, 0.1, 100))
    found = judge(Study.of(rows(rnn=values, mrnn=values[::-1])))
    assert "; the means are the same (difference 95 % " in sentences.claim(found.comparisons.iloc[0], found)
