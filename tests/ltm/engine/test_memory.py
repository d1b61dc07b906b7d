"""What engines say that a pack takes, held to the arrays that they make. The peak of a whole process: tests/sweeps/execution/test_memory.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ltm import cells, data
from ltm.cells import Network
from ltm.data import Task
from ltm.engine import Engine, Protocol, planned
from ltm.engine.base import TRAIN
from ltm.engine.devices import sizes_of
from ltm.engine.fused import PROGRAM, Fused
from ltm.engine.torch import Torch
from ltm.training.state import Lane, PackState
from tests.ltm.engine.series import series

SERIES = series(1)
OWN = data.build({"kind": "adding", "name": "adding", "length": 20, "sequences": 40, "draws": "stream"})


def lstm(task: Task, hidden: int = 2) -> Network:
    return cells.build({"cell": "lstm", "hidden_size": hidden}, task)


def trained(engine: Engine, lanes: int, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine after an update of so many lanes; a kernel is called with its memory, and does nothing."""
    if isinstance(engine, Fused):
        for entry in ("advance", "predict") if engine.series else ("train", "evaluate"):
            monkeypatch.setattr(engine.compiled_for(lanes).module, entry, lambda *given: None)
    params = np.stack([engine.network.initial(seed) for seed in range(lanes)])
    engine.advance(PackState.start(params, [Lane(seed) for seed in range(lanes)]), 1)
    engine.predict(params)
    return engine


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("lanes", [1, 40])
@pytest.mark.parametrize(
    ("task", "hidden", "batch"), [(SERIES, 2, 0), (SERIES, 20, 0), (OWN, 2, 4), (OWN, 20, 4), (OWN, 2, 16)],
    ids=["series", "wide series", "seeds", "units", "entries"],
)  # fmt: skip
def test_the_block_of_a_kernel_is_what_its_threads_hold(
    task: Task, hidden: int, batch: int, lanes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Fused(lstm(task, hidden), task, Protocol(batch=batch), range(lanes), threads)
    trained(engine, lanes, monkeypatch)
    held = [array.nbytes for width in engine.widths for arrays in engine.compiled(width).memory.values() for array in arrays]
    assert engine.block(lanes) - PROGRAM == pytest.approx(sum(held), rel=0.05)


@pytest.mark.parametrize("name", ["cpu", "torch"])
def test_sequences_as_they_are_read_are_counted_for_every_lane_that_has_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = planned(name, lstm(OWN), OWN, Protocol(batch=4))
    trained(real := type(engine)(engine.network, OWN, Protocol(batch=4), range(3)), 3, monkeypatch)
    if isinstance(real, Fused):
        held = sum(array.nbytes for array in real._pools[TRAIN].arrays)
    else:
        assert isinstance(real, Torch)
        held = real._prepared[TRAIN][1]["label"].nbytes + sum(x["now"].nbytes for x in real._prepared[TRAIN][1]["x"].values())
    assert 3 * engine.read(OWN.train) == pytest.approx(held, rel=0.05)
    shared = planned(name, lstm(OWN), replace(OWN, draws="dataset", source=None), Protocol(batch=4))
    assert engine._data(3) == pytest.approx(3 * engine._data(1))
    assert shared._data(3) == shared._data(1) < engine._data(1)


def test_a_lane_more_takes_what_is_its_own_and_a_thread_more_a_group() -> None:
    one, three = (Fused(lstm(SERIES, 20), SERIES, Protocol(), threads=threads) for threads in (1, 3))
    assert one.memory(9) - one.memory(8) == pytest.approx(one._of_a_lane())
    assert three.memory(9) - one.memory(9) == pytest.approx(2 * (one.block(1) - PROGRAM)), "lanes of units run one after another"
    assert one._of_a_lane() >= 4 * 4 * 4 * one.network.size, "parameters, the best ones and two slots of Adam, four times over"
    wide = planned("torch", lstm(SERIES, 20), SERIES, Protocol())
    assert wide.block(1) == wide.block(9), "blocks are filled up, and run one after another"


def test_a_pack_is_planned_for_a_gpu_that_is_not_here() -> None:
    network, protocol, gpu = lstm(OWN, 64), Protocol(batch=8), torch.device("cuda")
    roomy, small = (planned("torch", network, OWN, protocol, device="cuda", memory=memory) for memory in (2.0**50, 2.0**23))
    assert isinstance(roomy, Torch)
    assert isinstance(small, Torch)
    if not torch.cuda.device_count():
        assert roomy.sizes == sizes_of(network, 8, roomy.kept, 2.0**49, gpu) == (256, 8)
        assert small.sizes[0] < 256
        assert small.block(1) < roomy.block(1)
        assert small.kept * small.sizes[0] <= 2.0**22
    kernel = planned("cuda", lstm(SERIES), SERIES, Protocol(), device="cuda")
    assert kernel.block(64) == pytest.approx(2 * kernel.block(1)), "every group of lanes has its own memory there"
