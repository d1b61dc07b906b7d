"""As many seeds as the verdicts need: which claims are decided, and which conditions are to train their next pack of ten seeds.

Every condition is an endless list of packs, by the numbers of its seeds; allocation only chooses how long a beginning of it is read. A hypothesis is rejected
where the largest evidence so far (:func:`analysis.statistics.sequential.bets.directed`) has passed Holm's bound (1979) over all hypotheses that were fixed
before the first pack. One over that largest evidence is never below a p-value of the endless list, so the family-wise error holds at every stopping time, for
every allocation and every dependence, and a verdict is never taken back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.sequential.bets import Bets, anytime, directed

WARM_UP = 2
"""Packs of both conditions that every claim reads before it may wait."""

NEAREST = 8
"""Claims that get packs in a round, at least; or a third of all, those nearest to a verdict."""

GIVE_UP_FROM = 5
"""Packs from which a question of the best may wait."""

GAIN = 30.0
"""What evidence gains in a pack, by the square of theta - 1/2: that of a rank test of continuous errors. It steers, and decides nothing."""

TIMES, TIMES_OF_BEST = 2, 4
"""The most packs of a condition, in times of the mean, for pairs and for questions of the best, which leave most conditions early."""


@dataclass(frozen=True)
class Question:
    """A claim as hypotheses about conditions, which are numbers here.

    Attributes:
        kind: ``beats`` (the first of both beats the second), ``differ`` (one of both beats the other), ``within`` (the first is no worse than the second by more
            than a margin), ``best`` (one of them beats each other one).
        of: the conditions.
        margin: of ``within``; of ``differ`` that within which one is no worse than the other, which is read at no cost. 0: not asked.
    """

    kind: str
    of: tuple[int, ...]
    margin: float = 0.0

    @property
    def hypotheses(self) -> int:
        """One-sided ones, of which each may be rejected: of ``best`` that this one is not, for each."""
        return {"beats": 1, "within": 1, "differ": 2}.get(self.kind, len(self.of))


class Evidence:
    """Errors of every condition, and what bets on pairs of them have won.

    Args:
        errors: of every condition ``(packs, 10)``, +inf for diverged seeds.
        paired: whether the seeds of two conditions share their initial parameters.
        granted: errors of two conditions of which the first is granted a margin (:func:`analysis.statistics.wins.with_margin`).
    """

    def __init__(
        self,
        errors: Sequence[np.ndarray],
        paired: Callable[[int, int], bool] = lambda a, b: False,
        granted: Callable[[int, int, float], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self.errors, self.paired, self.granted = errors, paired, granted
        self.known: dict[tuple[int, int, float], Bets] = {}

    def bets(self, a: int, b: int, margin: float = 0.0) -> Bets:
        """On a, granted a margin, against b, after every pack that both have."""
        key = (a, b, margin)
        if key not in self.known:
            if not margin and (b, a, 0.0) in self.known:
                self.known[key] = self.known[b, a, 0.0].turned()
            else:
                x, y = self.granted(a, b, margin) if margin and self.granted else (self.errors[a], self.errors[b])
                g = min(len(x), len(y))
                self.known[key] = directed(x[:g], y[:g], self.paired(a, b))
        return self.known[key]

    def at(self, a: int, b: int, packs: np.ndarray, margin: float = 0.0) -> tuple[float, float]:
        """Logarithm of the largest evidence that a beats b once so many packs are read, and the share of wins of a; 0 and 1/2 before the first."""
        g = int(min(packs[a], packs[b]))
        if not g:
            return 0.0, 0.5
        found = self.bets(a, b, margin)
        return max(float(found.of_a[g - 1]), 0.0), float(found.theta[g - 1])

    def interval(self, a: int, b: int) -> tuple[float, float]:
        """95 % confidence sequence of the probability that a seed of a beats one of b, after all packs that both have."""
        g = min(len(self.errors[a]), len(self.errors[b]))
        found = anytime(self.errors[a][:g], self.errors[b][:g], self.paired(a, b))
        return found.low, found.high


@dataclass(frozen=True)
class Standing:
    """How a question stands.

    Attributes:
        winner: the condition that beats the other, or each other one; of ``within`` the first; None: not decided.
        ahead: who is ahead of whom, in the hypothesis that is nearest to a verdict.
        packs: read of each condition, at least.
        theta: share of wins of the one that is ahead, of ``best`` against the nearest other one.
        evidence, threshold: logarithms of its evidence, and of what it has to pass.
        need: packs that it may take yet, by a hopeful guess; ``likely``: by the share of wins so far. Infinite where that points nowhere.
        no_worse: of ``differ``: which ones are no worse than the other by more than the margin, at the same threshold.
    """

    winner: int | None
    ahead: tuple[int, int]
    packs: int
    theta: float
    evidence: float
    threshold: float
    need: float
    likely: float
    no_worse: tuple[int, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether neither is worse by more than the margin."""
        return len(self.no_worse) > 1


@dataclass(frozen=True)
class Budget:
    """Packs of all conditions together, fixed before the first one."""

    packs: int
    conditions: int

    def most(self, kind: str) -> int:
        """Packs of one condition."""
        return (TIMES_OF_BEST if kind == "best" else TIMES) * self.packs // self.conditions


def sides(question: Question, evidence: Evidence, packs: np.ndarray) -> list[tuple[float, float, int, int]]:
    """Every hypothesis of a question: the logarithm of the evidence against it, the share of wins, who would win, and against whom it is closest."""
    if question.kind == "best":
        found = []
        for i in question.of:
            each = [(*evidence.at(i, j, packs), i, j) for j in question.of if j != i]
            found.append(min(each))
        return found
    a, b = question.of
    ways = [(a, b), (b, a)] if question.kind == "differ" else [(a, b)]
    margin = question.margin if question.kind == "within" else 0.0
    return [(*evidence.at(i, j, packs, margin), i, j) for i, j in ways]


def stand(questions: Sequence[Question], evidence: Evidence, packs: np.ndarray, rate: float = 0.05) -> list[Standing]:
    """Where every question stands once so many packs of each condition are read ``(conditions,)``: Holm's rule over all hypotheses.

    Args:
        rate: the family-wise error.
    """
    found = [sides(one, evidence, packs) for one in questions]
    decided: dict[int, float] = {}
    H = sum(one.hypotheses for one in questions)
    while True:
        threshold = math.log((H - len(decided)) / rate)
        new = [i for i, some in enumerate(found) if i not in decided and max(some)[0] >= threshold]
        if not new:
            break
        decided |= dict.fromkeys(new, threshold)
    return [standing(one, found[i], decided.get(i), threshold, evidence, packs) for i, one in enumerate(questions)]


def standing(
    question: Question,
    found: list[tuple[float, float, int, int]],
    passed: float | None,
    threshold: float,
    evidence: Evidence,
    packs: np.ndarray,
) -> Standing:
    """One question, from the evidence of its hypotheses."""
    nearest = min(found, key=lambda one: (needed(one[0], one[1], threshold, int(min(packs[one[2]], packs[one[3]]))), -one[1]))
    gained, theta, winner, other = max(found) if passed is not None else nearest
    g = int(min(packs[winner], packs[other]))
    no_worse: list[int] = []
    if question.kind == "differ" and question.margin:
        no_worse = [i for i, j in (question.of, question.of[::-1]) if evidence.at(i, j, packs, question.margin)[0] >= threshold]
    gap = theta - 0.5
    return Standing(
        winner if passed is not None else None, (winner, other), int(min(packs[list(question.of)])), theta, gained, threshold if passed is None else passed,
        0.0 if passed is not None else needed(gained, theta, threshold, g),
        0.0 if passed is not None else (threshold - gained) / (GAIN * gap**2) if g and gap > 0 else math.inf, tuple(no_worse),
    )  # fmt: skip


def needed(gained: float, theta: float, threshold: float, g: int) -> float:
    """Packs until evidence may pass a threshold, were the share of wins one standard error better than it looks; 0 before the warm-up is over."""
    if g < WARM_UP:
        return 0.0
    gap = theta - 0.5 + math.sqrt(1 / (60 * g))
    return max(threshold - gained, 0.0) / (GAIN * gap**2) if gap > 0 else math.inf


def ask(
    questions: Sequence[Question],
    standings: Sequence[Standing],
    evidence: Evidence,
    packs: np.ndarray,
    budget: Budget,
    stuck: frozenset[int] = frozenset(),
) -> list[int]:
    """The conditions that train their next pack; none where all is decided, nothing more can be within the budget, or that is used.

    Of pairs, those that need least come first; those that need more than a condition may have wait until the threshold falls. Of the best, whoever is beaten gets
    no more packs, and the others train in step.

    Args:
        standings: of the questions, with so many ``packs`` of every condition ``(conditions,)`` (:func:`stand`).
        stuck: conditions that get no more packs, and with them the questions that need these.
    """
    threshold = min((one.threshold for one in standings if one.winner is None), default=0.0)
    pairs: list[tuple[float, list[int]]] = []
    others: list[tuple[float, list[int]]] = []
    for question, one in zip(questions, standings, strict=True):
        if one.winner is None:
            most, fewest = budget.most(question.kind), behind(question.of, packs)
            if question.kind == "best":
                others += filter(None, [of_best(question, evidence, packs, most, threshold, stuck)])
            elif one.packs < most and one.need <= most - one.packs and stuck.isdisjoint(fewest):
                pairs.append((one.need, fewest))
    pairs.sort(key=lambda one: one[0])
    first = max(NEAREST, -(-sum(one.kind != "best" for one in questions) // 3))
    chosen = [one for i, one in enumerate(pairs) if i < first or not one[0]] + others
    asked: dict[int, None] = {}
    left = budget.packs - int(packs.sum())
    for _, conditions in sorted(chosen, key=lambda one: one[0]):
        new = [one for one in conditions if one not in asked]
        if len(asked) + len(new) <= left:
            asked |= dict.fromkeys(new)
    return list(asked)


def behind(conditions: Iterable[int], packs: np.ndarray) -> list[int]:
    """Those that have the fewest packs."""
    some = list(conditions)
    least = min(packs[i] for i in some)
    return [i for i in some if packs[i] == least]


def of_best(
    question: Question, evidence: Evidence, packs: np.ndarray, most: int, threshold: float, stuck: frozenset[int]
) -> tuple[float, list[int]] | None:
    """What an open question of the best asks for: whoever no other beats, in step; of a last one, those that it has not beaten itself."""
    lost = {j for j in question.of if any(evidence.at(i, j, packs)[0] >= threshold for i in question.of if i != j)}
    living = [i for i in question.of if i not in lost]
    if not living:
        return None
    leader = max(living, key=lambda i: float(np.mean([evidence.at(i, j, packs)[1] for j in question.of if j != i])))
    rivals = [j for j in (living if len(living) > 1 else question.of) if j != leader and evidence.at(leader, j, packs)[0] < threshold]
    racing = behind(dict.fromkeys([*living, *rivals]), packs)
    g = int(packs[racing[0]])
    need = max((needed(*evidence.at(leader, j, packs), threshold, int(min(packs[leader], packs[j]))) for j in rivals), default=0.0)
    if g >= most or (g >= GIVE_UP_FROM and need > most - g) or stuck & {*living, *rivals}:
        return None
    return need, racing
