"""A lane's bits: alone, in company, at every width, and with threads; and whole trainings in both layouts against the torch engine."""

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.data.base import Task, forecast
from ltm.engine import PackState, Protocol
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.training.state import Lane

LANES, EPOCHS, CHOSEN = 100, 5, (0, 3, 63, 64, 95, 96, 99)


def network(name: str, hidden: int) -> cells.Network:
    return cells.build({"cell": name, "hidden_size": hidden} | ({"K": 40} if name.startswith("m") else {}), TASK)


def task_of() -> Task:
    x = np.random.default_rng(5).uniform(0, 1, (71, 1))
    return forecast(x[:-1], x[1:], 50, 19)


TASK = task_of()


def start(net: cells.Network, lanes: np.ndarray, dtype: str = "float32") -> PackState:
    """Lanes with settings of their own, by seed."""
    params = np.stack([net.initial(int(seed)) for seed in lanes]).astype(dtype)
    return PackState.start(params, [Lane(seed, 0.01 + 1e-4 * seed, 1e-4 * (seed % 3), 0.05 * (seed % 2)) for seed in map(int, lanes)])


def trained(engine: Fused, lanes: np.ndarray, dtype: str = "float32") -> dict[int, bytes]:
    """Bits of what each lane has after the training: losses, parameters, moments, and the best."""
    state = start(engine.network, lanes, dtype)
    curves = engine.advance(state, EPOCHS)
    parts = (*curves, state.params, state.slots, state.best_params, state.best_validation, state.train_at_best, state.best_epoch)
    return {int(seed): b"".join(np.ascontiguousarray(part[i]).tobytes() for part in parts) for i, seed in enumerate(lanes)}


EVERY = np.arange(LANES)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("rnn", 1), ("rnn", 20), *(pytest.param(*case, marks=pytest.mark.long) for case in [
        ("lstm", 1), ("mrnn", 1), ("mlstm", 1), ("rnn", 3), ("lstm", 3), ("mlstm", 3), ("lstm", 20), ("mrnn", 20), ("mlstm", 20)])],
)  # fmt: skip
def test_a_lane_has_the_same_bits_alone_and_in_company_and_with_threads(name: str, hidden: int) -> None:
    net, task = network(name, hidden), TASK
    engine = Fused(net, task, Protocol())
    assert engine.layout.kind == ("units" if hidden == 20 else "seeds")
    expected = trained(engine, EVERY)
    assert len(set(expected.values())) == LANES
    for seed in CHOSEN:
        assert trained(engine, np.array([seed]))[seed] == expected[seed], f"seed {seed} alone"
        seven = (seed + 11 * np.arange(7)) % LANES
        for other, bits in trained(engine, seven).items():
            assert bits == expected[other], f"seed {other} in a pack of 7"
    backwards = trained(engine, EVERY[::-1].copy())
    assert backwards == expected
    engine.threads = 2
    assert trained(engine, EVERY) == expected


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("rnn", 1), *(pytest.param(*case, marks=pytest.mark.long) for case in [("lstm", 1), ("mrnn", 1), ("mlstm", 1), ("lstm", 3), ("rnn", 20)])],
)  # fmt: skip
def test_a_lane_of_seeds_has_the_same_bits_at_every_width(name: str, hidden: int) -> None:
    net, task = network(name, hidden), TASK
    widths = [trained(Fused(net, task, Protocol(), layout="seeds", width=width), EVERY) for width in (16, 32, 64)]
    assert widths[0] == widths[1]
    assert widths[0] == widths[2]
    assert widths[0] == trained(Fused(net, task, Protocol(), layout="seeds"), EVERY)


@pytest.mark.long
def test_threads_change_no_bit_of_gradients_and_predictions() -> None:
    for hidden in (1, 20):
        net, task = network("lstm", hidden), TASK
        params = start(net, EVERY).params
        one, two = (Fused(net, task, Protocol(), threads=threads) for threads in (1, 2))
        for a, b in zip(one.gradient(params), two.gradient(params), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(one.predict(params).outputs, two.predict(params).outputs)


@pytest.mark.parametrize(("name", "layout", "hidden"), [pytest.param("lstm", "seeds", 2, marks=pytest.mark.long), ("rnn", "units", 20)])
def test_whole_trainings_follow_the_torch_engine(name: str, layout: str, hidden: int) -> None:
    net, task, protocol = network(name, hidden), TASK, Protocol(max_epochs=8)
    lanes = np.arange(4)
    mine, theirs = (start(net, lanes, "float64") for _ in range(2))
    a = np.stack(Fused(net, task, protocol, dtype="float64", layout=layout).advance(mine, 10))
    b = np.stack(Torch(net, task, protocol, dtype=torch.float64).advance(theirs, 10))
    np.testing.assert_allclose(a[..., :8], b, rtol=1e-6)
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(mine.best_params, theirs.best_params, rtol=1e-6, atol=1e-8)
    for field in ("status", "best_epoch", "epoch", "stale"):
        np.testing.assert_array_equal(getattr(mine, field), getattr(theirs, field))
