"""As many seeds as verdicts need: evidence in one direction, Holm's bound over all hypotheses, budgets, and who trains next."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.statistics import wins
from analysis.statistics.sequential import BETS, PACK, Budget, Evidence, Question, ask, directed, stand

FIRST = math.log(1 / 0.05)


def drawn(rng: np.random.Generator, packs: int, *means: float) -> list[np.ndarray]:
    return [rng.normal(mean, 1, (packs, PACK)) for mean in means]


def trained(errors: list[np.ndarray], questions: list[Question], mean: int) -> tuple[np.ndarray, list[np.ndarray], list[list[int | None]]]:
    """Packs at the end, those asked for in each round, and winners after each."""
    packs, evidence, budget = np.zeros(len(errors), int), Evidence(errors), Budget(mean * len(errors), len(errors))
    standings = stand(questions, evidence, packs)
    rounds, winners = [], []
    while asked := ask(questions, standings, evidence, packs, budget):
        packs[asked] += 1
        standings = stand(questions, evidence, packs)
        rounds.append(packs.copy())
        winners.append([one.winner for one in standings])
        assert packs.sum() <= budget.packs
    return packs, rounds, winners


def test_evidence_of_one_direction_is_that_of_bets_on_it_alone() -> None:
    found = directed(np.zeros((1, PACK)), np.ones((1, PACK)))
    q = BETS[BETS > 0.5]
    weights = q**2 * (1 - q) ** 2
    assert found.of_a[0] == pytest.approx(np.log((weights / weights.sum()) @ (2 * q) ** PACK))
    assert found.of_b[0] < 0
    assert found.theta[0] == 1
    other = directed(np.ones((1, PACK)), np.zeros((1, PACK)))
    np.testing.assert_allclose([other.of_a, other.of_b, other.theta], [found.turned().of_a, found.turned().of_b, found.turned().theta])


@pytest.mark.parametrize("theta", [0.5, 0.35])
def test_evidence_wins_nothing_on_average_where_its_hypothesis_is_true(theta: float) -> None:
    rng = np.random.default_rng(0)
    tosses = rng.random((20_000, PACK)) < theta  # a constant against tosses: every pairing has the same wins
    one = np.array([np.exp(directed(np.zeros((1, PACK)), np.where(row, 1.0, -1.0)[None]).of_a[0]) for row in tosses])
    assert one.mean() < 1 + 3 * one.std() / np.sqrt(len(one))
    if theta == 0.5:
        assert one.mean() > 1 - 4 * one.std() / np.sqrt(len(one)), "nor does it waste anything where theta is 1/2"


def test_the_bound_is_holms_over_all_hypotheses() -> None:
    rng = np.random.default_rng(1)
    errors = drawn(rng, 12, 0.0, 3.0, 0.5, 0.5)
    questions = [Question("beats", (0, 1)), Question("differ", (2, 3)), Question("best", (0, 1, 2))]
    assert [one.hypotheses for one in questions] == [1, 2, 3]
    before = stand(questions, Evidence(errors), np.zeros(4, int))
    assert [one.threshold for one in before] == pytest.approx([FIRST + math.log(6)] * 3)
    after = stand(questions, Evidence(errors), np.full(4, 12))
    assert after[0].winner == 0
    assert after[1].winner is None
    assert after[1].threshold == pytest.approx(FIRST + math.log(6 - sum(one.winner is not None for one in after)))
    one = Evidence(errors).at(0, 1, np.full(4, 12))
    assert (after[0].evidence, after[0].theta) == one


def test_a_best_one_has_to_beat_each_other_itself() -> None:
    rng = np.random.default_rng(2)
    errors = drawn(rng, 30, 0.0, 0.0, 5.0)
    found = stand([Question("best", (0, 1, 2))], Evidence(errors), np.full(3, 30))[0]
    assert found.winner is None
    assert {*found.ahead} == {0, 1}, "the nearest one is what it is held against"
    errors[0] -= 3
    assert stand([Question("best", (0, 1, 2))], Evidence(errors), np.full(3, 30))[0].winner == 0


def test_no_worse_is_read_at_the_same_bound_and_a_decided_difference_contains_it() -> None:
    rng = np.random.default_rng(3)
    errors = [10 + one for one in drawn(rng, 40, 0.0, 0.0, 2.0)]

    def granted(a: int, b: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
        return wins.with_margin(errors[a], errors[b], margin)

    evidence = Evidence(errors, granted=granted)
    equal, apart = stand([Question("differ", (0, 1), 15.0), Question("differ", (0, 2), 15.0)], evidence, np.full(3, 40))
    assert equal.equivalent
    assert equal.winner is None
    assert (apart.winner, apart.no_worse) == (0, (0,))
    assert not stand([Question("differ", (0, 1))], evidence, np.full(3, 40))[0].no_worse
    within = stand([Question("within", (1, 0), 15.0), Question("within", (2, 0), 15.0)], evidence, np.full(3, 40))
    assert [one.winner for one in within] == [1, None]


def test_every_claim_reads_two_packs_and_decided_ones_get_no_more() -> None:
    rng = np.random.default_rng(4)
    errors = drawn(rng, 40, 0.0, 4.0, 0.4, 0.0)
    packs, rounds, _ = trained(errors, [Question("differ", (0, 1)), Question("differ", (2, 3))], 20)
    assert rounds[0].tolist() == [1, 1, 1, 1]
    assert rounds[1].tolist() == [2, 2, 2, 2]
    assert packs[:2].tolist() == [2, 2], "four standard deviations are plain after twenty seeds"
    assert (packs[2:] > 5).all()


def test_hopeless_claims_wait_and_seeds_go_where_they_tell() -> None:
    rng = np.random.default_rng(5)
    used = []
    for _ in range(20):
        errors = drawn(rng, 40, *[0.0] * 6)
        packs, _, _ = trained(errors, [Question("differ", (i, i + 1)) for i in (0, 2, 4)], 20)
        used.append(packs.sum() / (20 * 6))
    assert np.mean(used) < 0.8, "nothing differs: the rest of the budget is not spent on it"


def test_the_best_races_in_step_and_leaves_the_beaten() -> None:
    rng = np.random.default_rng(6)
    errors = drawn(rng, 60, 0.0, 0.9, 3.0, 3.0)
    packs, rounds, winners = trained(errors, [Question("best", (0, 1, 2, 3))], 20)
    assert winners[-1] == [0]
    assert packs[0] == packs[1] > max(packs[2:])
    assert all(row[0] == row[1] for row in rounds)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_budgets_hold_verdicts_stay_and_rounds_repeat(seed: int, mean: int) -> None:
    rng = np.random.default_rng(seed)
    errors = [np.where(rng.random(one.shape) < 0.1, np.inf, one) for one in drawn(rng, 4 * mean, *rng.choice([0.0, 0.3, 1.0], 6))]
    questions = [Question("differ", (0, 1)), Question("beats", (2, 1)), Question("best", (1, 2, 3, 4)), Question("differ", (5, 0))]
    packs, rounds, winners = trained(errors, questions, mean)
    assert packs.sum() <= 6 * mean
    for before, after in itertools.pairwise(winners):
        assert all(a is None or a == b for a, b in zip(before, after, strict=True))
    again = trained([one[: packs[i]] for i, one in enumerate(errors)], questions, mean)
    (
        np.testing.assert_array_equal(np.array(again[1]), np.array(rounds)),
        "who trains follows from the packs that were read, and from nothing behind them",
    )
