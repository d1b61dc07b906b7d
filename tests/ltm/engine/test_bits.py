"""A seed's bits on the fused engine in batches: alone, in company, killed and resumed in the middle of an epoch, and with threads; whatever a vector is."""

from __future__ import annotations

import numpy as np
import pytest

from ltm.engine.fused import Fused
from ltm.training.pack import Training
from ltm.training.state import Lane, Protocol
from tests.ltm.engine.test_batches import EPOCHS, Case, network_of, task_of

CHOSEN = (0, 15, 16, 63, 64, 99)

KINDS = {"seeds": (3, 3), "entries": (16, 3), "units": (3, 17)}
"""Batch and hidden size by what makes a vector."""

EACH = ["entries", pytest.param("seeds", marks=pytest.mark.long), pytest.param("units", marks=pytest.mark.long)]

SHAPES = [
    ("one", "rnn", "labelled"),
    pytest.param("both", "gru", "labelled", marks=pytest.mark.long),
    pytest.param("two", "lstm", "every", marks=pytest.mark.long),
]


def training(kind: str, network: str, cell: str, target: str, seeds: list[int], threads: int = 1) -> Training:
    """Seeds with data, orders and settings of their own."""
    batch, hidden = KINDS[kind]
    case = Case("cross_entropy", "adamw", network, batch, "seed", 9, 100, "float32", target, "variable", cell)
    task = task_of(case)
    lanes = [Lane(seed, 0.01 + 1e-4 * seed, 1e-3 * (seed % 3), 0.5 * (seed % 2), 0.1 * (seed % 5 == 0)) for seed in seeds]
    protocol = Protocol(EPOCHS, optimizer="adamw", batch=batch, schedule="cosine")
    run = Training(network_of(case, task, hidden), task, lanes, protocol, "cpu", threads)
    assert isinstance(run.engine, Fused)
    assert run.engine.vectors == kind
    return run


def bits(run: Training) -> dict[int, bytes]:
    """All that each seed has after its training: curves, parameters, slots, judgements, outputs."""
    while not run.done:
        run.advance(2)
    state, outputs = run.state, run.engine.predict(run.state.best_params).outputs
    parts = state.params, state.best_params, state.slots, state.reals, state.counts, [own[np.isfinite(own)] for own in outputs]
    curves = run.curves()
    return {
        lane.seed: b"".join(np.ascontiguousarray(part).tobytes() for part in (*curves[i], *(whole[i] for whole in parts)))
        for i, lane in enumerate(run.lanes)
    }


@pytest.mark.parametrize(("network", "cell", "target"), SHAPES)
@pytest.mark.parametrize("kind", EACH)
def test_a_seed_has_the_same_bits_alone_in_company_and_with_threads(kind: str, network: str, cell: str, target: str) -> None:
    every = list(range(100))
    expected = bits(training(kind, network, cell, target, every))
    assert len(set(expected.values())) == len(every)
    for seed in CHOSEN:
        assert bits(training(kind, network, cell, target, [seed]))[seed] == expected[seed], f"seed {seed} alone"
        seven = [(seed + 11 * i) % 100 for i in range(7)]
        for other, found in bits(training(kind, network, cell, target, seven)).items():
            assert found == expected[other], f"seed {other} in a pack of 7"
    assert bits(training(kind, network, cell, target, every[::-1], threads=2)) == expected


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("updates", [1, 2, 4])
def test_a_pack_that_was_killed_goes_on_to_the_same_bits(kind: str, updates: int) -> None:
    """After the first update, after the second, and after the first of the second epoch; three updates are an epoch."""
    seeds = [3, 99, 0, 41, 7, 12, 64]
    whole, first, second = (training(kind, *SHAPES[0], seeds) for _ in range(3))  # type: ignore[misc]
    assert whole.updates == 3
    first.advance(updates)
    assert first.state.update == updates % 3 != 0
    second.restore(first.checkpoint())
    assert bits(second) == bits(whole)
