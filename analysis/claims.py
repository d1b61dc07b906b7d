"""The claims that ``seeds=auto`` decides: in words, as hypotheses about conditions, and how they stand by the seeds of a ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import finite, metric_of
from analysis.statistics import wins
from analysis.statistics.sequential import PACK, Budget, Evidence, Question, Standing, ask, stand
from analysis.studies.compare import pairs_against, pairs_of
from analysis.study import MARGIN, Condition, Rule, Study
from ltm.errors import UserError, shown, unknown

FORMS = "'a < b', 'a vs b', 'a <= b within 2 %', 'best of all', 'best of a, b, c', 'best K of a' or 'all'"

WITHIN = re.compile(r"within\s+(\d+(?:\.\d+)?)\s*(%|points?)$")


@dataclass(frozen=True)
class Claim:
    """One claim about conditions of one series, in words that people gave for all of its kind.

    Attributes:
        kind, margin: as of :class:`analysis.statistics.sequential.Question`.
        dataset: the series.
        of: labels of the conditions.
        metric: by which it is judged, a key of :data:`analysis.columns.METRICS`.
    """

    kind: str
    dataset: str
    of: tuple[str, ...]
    margin: float = 0.0
    metric: str = ""

    @property
    def turned(self) -> Claim:
        """The same of the other direction."""
        return replace(self, of=self.of[::-1])


def parse(given: object, study: Study, metrics: Mapping[str, str]) -> list[Claim]:
    """Claims in words as claims about the conditions of a study, on every series that has them, each once.

    Args:
        given: ``all``, one claim, or a list of them: ``a < b`` (a has the smaller error, or the higher score), ``a vs b`` (either), ``a <= b within 2 %``
            (points of a share), ``best of all``, ``best of a, b, c``, ``best K of a``; a, b, c are models or conditions. ``all``: every condition against
            those of the RNN and the LSTM, or of the first model.
        study: its conditions; their errors are not read.
        metrics: by which each series is judged.

    Raises:
        UserError: no such form or model, nothing to compare, or claims that contradict one another.
    """
    texts = given if isinstance(given, list) else [given]
    found: dict[Claim, None] = {}
    for text in texts:
        if not isinstance(text, str):
            raise UserError(f"claims has {shown(text)}; expected {FORMS}.")
        if not (some := read(" ".join(text.split()), study, metrics)):
            raise UserError(
                f"claims={shown(text)} compares nothing in this study; expected two conditions of one series, in one of {FORMS}."
            )
        found |= dict.fromkeys(one for one in some if one.kind != "differ" or one.turned not in found)
    claims = [one for one in found if one.kind != "beats" or not {differs(one), differs(one.turned)} & found.keys()]
    if against := next((one for one in claims if one.kind == "beats" and one.turned in found), None):
        a, b = (study.by_label[label].name for label in against.of)
        raise UserError(
            f"claims has both '{a} < {b}' and '{b} < {a}', which contradict each other; expected '{a} vs {b}', which decides either."
        )
    if not claims:
        raise UserError(f"claims={shown(given)} has no claim; expected {FORMS}.")
    return claims


def differs(one: Claim) -> Claim:
    """The claim that either of both beats the other."""
    return replace(one, kind="differ", margin=MARGIN)


def read(text: str, study: Study, metrics: Mapping[str, str]) -> list[Claim]:
    """One claim in words, on every series."""

    def of_pairs(kind: str, pairs: Iterable[tuple[Condition, Condition]], margin: float = 0.0) -> list[Claim]:
        return [Claim(kind, a.dataset, (a.label, b.label), margin, metrics[a.dataset]) for a, b in pairs]

    if text == "all":
        return of_pairs("differ", pairs_against(study), MARGIN)
    if text.startswith("best K of "):
        return best(families(study, text.removeprefix("best K of ")), metrics)
    if text.startswith("best of "):
        return best(groups(study, text.removeprefix("best of ")), metrics)
    for sign, kind in ((" <= ", "within"), (" < ", "beats"), (" vs ", "differ")):
        a, there, b = text.partition(sign)
        if not there:
            continue
        margin = MARGIN if kind == "differ" else 0.0
        if kind == "within":
            if not (said := WITHIN.search(b)):
                raise UserError(
                    f"the claim '{shown(text)}' has no margin; expected one such as '{a} <= {b.split(' within ')[0]} within 2 %'."
                )
            margin, b = float(said[1]), b[: said.start()].strip()
            wins.check_margin(margin)
            return in_unit(text, said[2], of_pairs(kind, pairs_of(study, a.strip(), b), margin))
        return of_pairs(kind, pairs_of(study, a.strip(), b), margin)
    raise UserError(f"the claim '{shown(text)}' is not understood; expected {FORMS}.")


def in_unit(text: str, unit: str, claims: list[Claim]) -> list[Claim]:
    """Of claims with a margin those whose metric has its unit: points of a share, per cent of anything else."""
    found = [one for one in claims if metric_of(one.metric).in_points == unit.startswith("point")]
    if claims and not found:
        right = "points" if metric_of(claims[0].metric).in_points else "%"
        raise UserError(
            f"the claim '{shown(text)}' has its margin in {unit}; {claims[0].metric} takes {right}: within {claims[0].margin:g} {right}."
        )
    return found


def groups(study: Study, names: str) -> list[list[Condition]]:
    """The conditions that ``best of`` asks about, of each series: all, or those of the named models or conditions."""
    if names == "all":
        return list(study.series.values())
    wanted = [name.strip() for name in names.split(",")]
    known = {name for one in study for name in one.names}
    for name in wanted:
        if name not in known:
            raise unknown("model or condition in claims:", name, [*known, "all"])
    return [[one for one in some if set(one.names) & set(wanted)] for some in study.series.values()]


def families(study: Study, model: str) -> list[list[Condition]]:
    """The conditions of one model that differ in K alone, of each series."""
    known = {one.model for one in study}
    if model not in known:
        raise unknown("model in claims:", model, known)
    found = [list(some.values()) for (_, family), some in study.lengths().items() if family.split()[0] == model]
    if not found:
        raise UserError(f"the claim 'best K of {model}' needs several K of it; this study has one. Vary it: model.K=25,50,100.")
    return found


def best(groups: Iterable[Sequence[Condition]], metrics: Mapping[str, str]) -> list[Claim]:
    return [
        Claim("best", some[0].dataset, tuple(one.label for one in some), 0.0, metrics[some[0].dataset]) for some in groups if len(some) > 1
    ]


@dataclass(frozen=True, eq=False)
class Claims:
    """The claims of a study, fixed before its first seed.

    Attributes:
        claims: in their order.
        rate: family-wise error.
        mean: seeds of each condition in the mean, which is the budget.
    """

    claims: tuple[Claim, ...]
    rate: float
    mean: int

    @cached_property
    def labels(self) -> list[str]:
        """Of all conditions that a claim is about."""
        return list(dict.fromkeys(label for one in self.claims for label in one.of))

    @cached_property
    def questions(self) -> list[Question]:
        at = {label: i for i, label in enumerate(self.labels)}
        return [Question(one.kind, tuple(at[label] for label in one.of), one.margin) for one in self.claims]

    @property
    def hypotheses(self) -> int:
        return sum(one.hypotheses for one in self.questions)

    @property
    def budget(self) -> Budget:
        return Budget(self.mean * len(self.labels) // PACK, len(self.labels))

    def record(self) -> dict[str, Any]:
        """As a study's ``config.yaml`` has it."""
        return {"error_rate": self.rate, "mean": self.mean, "list": [asdict(one) | {"of": list(one.of)} for one in self.claims]}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Claims | None:
        """Those of a study's record; None where its seeds were fixed."""
        if not (said := record.get("claims")):
            return None
        return cls(tuple(Claim(**one | {"of": tuple(one["of"])}) for one in said["list"]), float(said["error_rate"]), int(said["mean"]))

    def evidence(self, runs: pd.DataFrame, most: Mapping[str, int] | None = None) -> tuple[Evidence, np.ndarray]:
        """What the seeds of a ledger say: evidence, and complete packs of each condition ``(conditions,)``, read in the order of their numbers.

        A seed that finished with a score that is no number comes last, like one that diverged.

        Args:
            runs: rows of the ledger.
            most: packs of each condition, by label, after which it is not read.
        """
        known: dict[str, Condition] = {}
        for metric in dict.fromkeys(one.metric for one in self.claims):
            mine = runs[runs["condition"].isin([label for one in self.claims if one.metric == metric for label in one.of])]
            if len(mine):
                ended = mine["status"].where(finite(mine[metric]), "diverged")
                known |= Study.of(mine.assign(status=ended), Rule(metric=metric)).by_label
        errors = [packs_of(known[label])[: (most or {}).get(label)] if label in known else np.zeros((0, PACK)) for label in self.labels]

        def paired(a: int, b: int) -> bool:
            one, other = (known.get(self.labels[i]) for i in (a, b))
            return bool(one and other and one.draws is not None and one.draws == other.draws)

        def granted(a: int, b: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
            one = known.get(self.labels[a])
            return wins.with_margin(errors[a], errors[b], margin, one.sign, one.points) if one else (errors[a], errors[b])

        return Evidence(errors, paired, granted), np.array([len(one) for one in errors], int)

    def stand(self, evidence: Evidence, packs: np.ndarray) -> list[Standing]:
        """How every claim stands, with so many packs read of each condition."""
        return stand(self.questions, evidence, packs, self.rate)

    def ask(self, standings: Sequence[Standing], evidence: Evidence, packs: np.ndarray, stuck: frozenset[int] = frozenset()) -> list[str]:
        """Labels of the conditions that are to train their next pack; ``stuck`` are those that get none, by their place among :attr:`labels`."""
        return [self.labels[i] for i in ask(self.questions, standings, evidence, packs, self.budget, stuck)]


def packs_of(one: Condition) -> np.ndarray:
    """Errors of the complete packs of a condition, from seed 0 on, ``(packs, 10)``."""
    have = dict(zip(one.seeds.tolist(), one.errors.tolist(), strict=True))
    count = 0
    while all(seed in have for seed in range(count * PACK, (count + 1) * PACK)):
        count += 1
    return np.array([have[seed] for seed in range(count * PACK)]).reshape(-1, PACK)


@dataclass(frozen=True, eq=False)
class Decided:
    """A claim and how it stands.

    Attributes:
        names: of its conditions, as they are called beside others of their series.
        ahead: who is ahead of whom, ``no worse`` before better.
        theta: share of wins of the one over the other; ``low``, ``high``: its 95 % confidence sequence, which holds after every pack.
        evidence: for that, after every pack, logarithms.
    """

    claim: Claim
    standing: Standing
    names: tuple[str, ...]
    ahead: tuple[str, str]
    theta: float
    low: float
    high: float
    evidence: tuple[float, ...]

    @property
    def dataset(self) -> str:
        return self.claim.dataset

    @property
    def within(self) -> str:
        return f"{self.claim.margin:g} {'points' if metric_of(self.claim.metric).in_points else '%'}"

    @property
    def words(self) -> str:
        """The claim, as it was asked."""
        if self.claim.kind == "best":
            return f"best of {', '.join(self.names)}"
        sign = {"beats": "<", "differ": "vs", "within": "<="}[self.claim.kind]
        return f"{self.names[0]} {sign} {self.names[1]}" + (f" within {self.within}" if self.claim.kind == "within" else "")

    @property
    def told(self) -> str:
        """What is known: ``mrnn beats lstm``, ``mrnn is the best``, ``mrnn is no worse than lstm within 2 %``; empty where nothing is."""
        one, (a, b) = self.standing, self.ahead
        if one.winner is not None:
            return (
                f"{a} is the best"
                if self.claim.kind == "best"
                else f"{a} is no worse than {b} within {self.within}"
                if self.claim.kind == "within"
                else f"{a} beats {b}"
            )
        if one.equivalent:
            return f"{a} and {b} are equivalent within {self.within}"
        return f"{a} is no worse than {b} within {self.within}" if one.no_worse else ""

    @property
    def is_open(self) -> bool:
        return self.standing.winner is None

    @property
    def more(self) -> float:
        """Seeds of each that it would take yet, were the share of wins to stay; infinite where that points nowhere, 0 where it is decided."""
        return PACK * np.ceil(self.standing.likely)

    def row(self) -> dict[str, Any]:
        one = self.standing
        return {
            "dataset": self.dataset, "claim": self.words, "verdict": self.told or "open", "ahead": self.ahead[0], "against": self.ahead[1],
            "seeds": PACK * one.packs, "theta": self.theta, "low": self.low, "high": self.high, "evidence": float(np.exp(one.evidence)),
            "needed": float(np.exp(one.threshold)), "more_seeds": self.more,
        }  # fmt: skip


def decided(claims: Claims, runs: pd.DataFrame, names: Mapping[str, str]) -> list[Decided]:
    """Every claim of a study and how it stands by the seeds of its ledger.

    Args:
        names: of conditions, by label, as they are called beside others of their series.
    """
    evidence, packs = claims.evidence(runs)
    found = []
    for claim, question, one in zip(claims.claims, claims.questions, claims.stand(evidence, packs), strict=True):
        a, b = one.ahead
        if one.winner is None and one.no_worse and not one.equivalent:
            a, b = one.no_worse[0], next(i for i in question.of if i != one.no_worse[0])
        bets = evidence.bets(a, b, claim.margin if claim.kind == "within" else 0.0)
        low, high = evidence.interval(a, b)
        theta = evidence.at(a, b, packs)[1]
        called = {i: names.get(claims.labels[i], claims.labels[i]) for i in question.of}
        found.append(
            Decided(claim, one, tuple(called[i] for i in question.of), (called[a], called[b]), theta, low, high, tuple(bets.of_a.tolist()))
        )
    return found
