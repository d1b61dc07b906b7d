"""The packed training loop: company, checkpoints, early stopping, divergence, metrics."""

import numpy as np
import pandas as pd
import pytest

from ltm import cells, data
from ltm.cells import CELLS
from ltm.engine import Protocol
from ltm.training import Lane, Training, errors

SERIES = {"kind": "arfima", "name": "short", "length": 301, "train": 150, "validation": 75}


def training(name: str, seeds: list[int], engine: str = "auto", threads: int = 1, **protocol: float) -> Training:
    network = cells.build({"cell": name}, 300)
    lanes = [Lane(seed, lr=0.01) for seed in seeds]
    return Training(network, data.build(SERIES), lanes, Protocol(**{"max_epochs": 6, **protocol}), engine, threads)


def finished(t: Training, chunk: int = 50) -> pd.DataFrame:
    while not t.done:
        t.advance(chunk)
    return t.results().set_index("seed")


@pytest.mark.parametrize(
    ("engine", "name"),
    [*(("cpu", name) for name in CELLS), *(pytest.param("reference", n, marks=[] if n == "mrnn" else pytest.mark.long) for n in CELLS)],
)
def test_seed_result_is_the_same_alone_and_in_a_pack(name: str, engine: str) -> None:
    alone = finished(training(name, [3], engine)).loc[3]
    for seeds in (list(range(7)), list(range(32))[::-1]):
        pd.testing.assert_series_equal(finished(training(name, seeds, engine)).loc[3], alone, check_exact=True)


def test_threads_chunks_and_compaction_do_not_change_a_bit() -> None:
    plain = finished(training("lstm", list(range(40)), max_epochs=300, patience=5))
    assert plain["epochs"].nunique() > 3, "lanes should stop at different epochs, so that packs are compacted"
    pd.testing.assert_frame_equal(
        finished(training("lstm", list(range(40)), threads=2, max_epochs=300, patience=5), 7), plain, check_exact=True
    )


def test_a_checkpoint_goes_on_to_the_same_bits() -> None:
    whole, first, second = (training("mrnn", [0, 1, 2], max_epochs=20) for _ in range(3))
    first.advance(8)
    second.restore(first.checkpoint())
    pd.testing.assert_frame_equal(finished(second), finished(whole), check_exact=True)
    for mine, theirs in zip(second.curves(), whole.curves(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_lane_stops_when_its_training_loss_no_longer_improves() -> None:
    rows = finished(training("rnn", list(range(8)), max_epochs=2000, patience=20))
    assert (rows["status"] == "stopped").any()
    t = training("rnn", [0], max_epochs=2000, patience=20)
    finished(t)
    loss = t.curves()[0][0]
    best = np.inf
    stale = 0
    for epoch, value in enumerate(loss, start=1):
        best, stale = (value, 0) if value < best - np.float32(1e-5) else (best, stale + 1)
        assert stale < 20 or epoch == len(loss)


def test_the_best_epoch_has_the_lowest_validation_loss() -> None:
    t = training("lstm", [0, 1, 2, 3], max_epochs=60)
    rows = finished(t).reset_index()
    for i, (_, validation) in enumerate(t.curves()):
        assert rows["best_epoch"][i] == np.argmin(validation) + 1
        assert rows["validation_loss"][i] == validation.min()


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_a_seed_that_diverges_is_a_result(engine: str) -> None:
    t = training("rnn", [0, 1], engine, max_epochs=20)
    t.state.lr[1] = np.float32(np.inf)
    rows = finished(t)
    assert list(rows["status"]) == ["completed", "diverged"]
    assert np.isnan(rows["test_rmse"][1])
    assert np.isfinite(rows["test_rmse"][0])
    assert len(t.curves()[1][0]) == rows["epochs"][1]


def test_errors_have_their_textbook_values() -> None:
    got = errors(np.array([[1.0, 2.0, 5.0]]), np.array([0.0, 4.0, 4.0]))
    assert got["rmse"][0] == pytest.approx(np.sqrt((1 + 4 + 1) / 3))
    assert got["mae"][0] == pytest.approx(4 / 3)
    assert got["mape"][0] == pytest.approx(100 * (0.5 + 0.25) / 2)
