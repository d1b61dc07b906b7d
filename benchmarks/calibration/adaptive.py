"""Calibration of ``seeds=auto``: false claims at every stopping time, power, and the seeds used beside the fixed design that is as powerful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.statistics import families, wins
from analysis.statistics.sequential import PACK, Budget, Evidence, Question, ask, stand
from benchmarks.calibration import worlds
from benchmarks.calibration.promises import FINEST, Promise, Rows, row
from benchmarks.calibration.worlds import Model

MODELS, SERIES, MEAN = 9, 4, 10
"""Of a study; and packs of each condition in the mean, its budget."""

STUDIES = 200
LONGEST = 40
"""Packs of each condition that are drawn, the most that any may have."""

FIXED = 100
"""Studies that fixed designs are measured on."""

SIZES = (20, 30, 40, 50, 60, 80, 100, 130, 170, 220, 300)
"""Seeds of fixed designs."""

PLANTED = [(shape, better, gap) for shape in worlds.SHAPES for gap in (0.3, 0.6, 1.0) for better in (1, 3, 7)]
"""Shapes, how many of nine are better, and by how many standard deviations."""

PAIRS = [(i, base) for base in (0, 1) for i in range(2, MODELS)] + [(0, 1)]
"""Of a series: every model against the first two, the baselines."""

Study = list[np.ndarray]
"""Errors of every condition, ``(packs, 10)`` each, series by series."""


def lists() -> list[Question]:
    """The claims of a study of nine models on four series: 60 pairs, 120 hypotheses."""
    return [Question("differ", (MODELS * d + a, MODELS * d + b)) for d in range(SERIES) for a, b in PAIRS]


def bests() -> list[Question]:
    return [Question("best", tuple(range(MODELS * d, MODELS * (d + 1)))) for d in range(SERIES)]


def drawn(models: Sequence[Model], rng: np.random.Generator) -> Study:
    return [model.draw(rng, (LONGEST, PACK)) for _ in range(SERIES) for model in models]


def trained(study: Study, questions: list[Question]) -> tuple[np.ndarray, list[int | None]]:
    """Packs of each condition when ``seeds=auto`` ends, and the winner of every question; a verdict that is taken back, or a budget passed, is an error."""
    packs, evidence = np.zeros(len(study), int), Evidence(study)
    budget = Budget(MEAN * len(study), len(study))
    standings = stand(questions, evidence, packs)
    while asked := ask(questions, standings, evidence, packs, budget):
        packs[asked] += 1
        before, standings = standings, stand(questions, evidence, packs)
        if packs.sum() > budget.packs or any(a.winner not in (None, b.winner) for a, b in zip(before, standings, strict=True)):
            raise RuntimeError("seeds=auto passed its budget, or took a verdict back")
    return packs, [one.winner for one in standings]


def false_claims(rng: np.random.Generator, factor: float, name: str) -> Rows:
    """Nothing differs: any claim decided, as packs were given, and if every condition had all packs, which no allocation passes."""
    crowd = worlds.CROWDS[name]
    rows: Rows = []
    for what, questions in (("60 pairs", lists()), ("best of 9, 4 series", bests()), ("both", lists() + bests())):
        wrong, ever, used = [], [], []
        for _ in range(int(STUDIES * factor)):
            study = drawn(crowd, rng)
            packs, winners = trained(study, questions)
            wrong.append(any(one is not None for one in winners))
            used.append(packs.sum())
            whole = stand(questions, Evidence(study), np.full(len(study), LONGEST))
            ever.append(any(one.winner is not None for one in whole))
        promise = Promise(0.05, 0, "promised")
        rows.append(row("seeds=auto, level", name, what, "any false claim", np.array(wrong), promise))
        rows.append(row("seeds=auto, level", name, what, f"any false claim, {LONGEST} packs of all", np.array(ever), promise))
        rows.append(row("seeds=auto, level", name, what, "share of the budget used", np.array(used) / (MEAN * len(study))))
    return rows


def planted(rng: np.random.Generator, factor: float, shape: str, better: int, gap: float) -> Rows:
    """Some models are better by a gap: power and seeds of ``seeds=auto`` for the list of pairs, and the fixed design that is as powerful."""
    model = worlds.SHAPES[shape]
    models = [model] * (MODELS - better) + [Model(model.shape, shift=-gap)] * better
    questions = lists()
    true = [i for i, one in enumerate(questions) if sum(of % MODELS >= MODELS - better for of in one.of) == 1]
    found, used, wrong, studies = [], [], [], []
    for _ in range(int(STUDIES * factor)):
        study = drawn(models, rng)
        packs, winners = trained(study, questions)
        right = [winners[i] == questions[i].of[0] for i in true]
        found.append(np.mean(right))
        used.append(packs.sum() / len(study) * PACK)
        wrong.append(
            any(one is not None for i, one in enumerate(winners) if i not in true) or any(winners[i] == questions[i].of[1] for i in true)
        )
        studies.append(study)
    power = float(np.mean(found))
    of_hundred, n = fixed_power(studies, questions, true, 100), as_powerful(power, studies, questions, true)
    where, sizes = f"{shape}, {better} of 9 better by {gap:g} sd", "9 models, 4 series"
    return [
        row("seeds=auto, power", where, sizes, "true claims decided", np.array(found)),
        row("seeds=auto, power", where, sizes, "any false claim", np.array(wrong), Promise(0.05, 0, "promised")),
        row("seeds=auto, power", where, sizes, "seeds of a condition", np.array(used)),
        row("seeds=auto, power", where, sizes, "seeds of a fixed design as powerful", np.full(len(found), n)),
        row("seeds=auto, power", where, sizes, "true claims decided by 100 seeds each", np.full(len(found), of_hundred)),
    ]


def fixed_power(studies: list[Study], questions: list[Question], true: list[int], n: int) -> float:
    """Share of the true claims that the default test decides with n seeds of each condition, Holm over all pairs."""
    decided = []
    for study in studies[:FIXED]:
        a, b = (np.stack([study[one.of[side]].ravel()[:n] for one in questions]) for side in (0, 1))
        theta, p = wins.p_values(a, b, FINEST)
        adjusted = families.adjust(p)
        decided.append(np.mean([(adjusted[i] < 0.05) and theta[i] > 0.5 for i in true]))
    return float(np.mean(decided))


def as_powerful(power: float, studies: list[Study], questions: list[Question], true: list[int]) -> float:
    """Seeds of the fixed design with this power, between those measured."""
    before, low = SIZES[0], 0.0
    for n in SIZES:
        found = fixed_power(studies, questions, true, n)
        if found >= power:
            return n if n == before else before + (n - before) * (power - low) / (found - low)
        before, low = n, found
    return np.inf
