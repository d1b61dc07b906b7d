"""States of trained networks: those of the engine that trained them, by name, for any task; what is padded is NaN."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import ltm
from ltm import trained
from ltm.data import number_of
from ltm.engine import Protocol
from ltm.engine.torch import Torch
from ltm.errors import UserError
from sweeps import config, plan
from sweeps.execution import worker
from sweeps.plan import Place
from sweeps.store.ledger import Ledger

PARITY = ("dataset=parity", "dataset.length=6", "dataset.sequences=20", "training.lr=0.1")
SERIES = ("dataset.length=41", "dataset.train=20", "dataset.validation=10")


def study(folder: Path, *overrides: str, seeds: int = 3) -> Ledger:
    """A study of one condition, trained for two epochs by the torch engine."""
    made = plan.make(config.compose([*overrides, f"seeds={seeds}", "training.max_epochs=2"]))
    (pack,) = plan.cut(made.runs, 1)
    training = worker.training_of(pack, Place("torch", "cpu"))
    while not training.done:
        training.advance()
    ledger = Ledger(folder)
    ledger.write(
        worker.rows_of(pack, training, made.labels).assign(provenance=""),
        training.curves(),
        training.state.best_params,
    )
    return ledger


def read(found: trained.States, names: list[str]) -> np.ndarray:
    """The linear read-out of states ``(S, B, T, n)``."""
    p = found.network.unflatten(torch.as_tensor(found.parameters))
    maps = [p[found.network.readout.weight(name)].numpy() for name, _ in found.network.readout.states]
    products = [np.einsum("son,sbtn->sbto", V, found.states[name]) for V, name in zip(maps, names, strict=True)]
    return sum(products) + p["c"].numpy()[:, None, None, :]


def first_step_back(found: trained.States) -> np.ndarray:
    """The state h of the cell that reads backwards, of the first seed and sequence, after the sequence's last step: it has read no other."""
    p, back = found.network.unflatten(torch.as_tensor(found.parameters[0])), found.network.parts[1]
    symbol = found.task.test.inputs[0, found.lengths[0, 0] - 1]
    zeros = SimpleNamespace(**{name: torch.zeros(state.size) for name, state in back.cell.state().items()})
    return back.cell.step(back.own(p), zeros, SimpleNamespace(now=p["E"][symbol]))["h"].numpy()


def predicted(found: trained.States) -> np.ndarray:
    """Outputs at the counted steps of the test part, as the engine gives them, ``(S, n, O)``."""
    return Torch(found.network, found.task, Protocol(), found.seeds).predict(found.parameters).outputs


def test_both_directions_read_out_are_the_outputs_and_padding_is_nan(tmp_path: Path) -> None:
    ledger = study(tmp_path, "model=lstm", "model.hidden_size=3", "model.bidirectional=true", *PARITY)
    found = ltm.states(tmp_path, "lstm / parity")
    assert {name: held.shape for name, held in found.states.items()} == dict.fromkeys(("0.h", "0.c", "0_back.h", "0_back.c"), (3, 4, 6, 3))
    assert (found.seeds, found.outputs.shape) == ((0, 1, 2), (3, 4, 6, 2))
    np.testing.assert_allclose(read(found, ["0.h", "0_back.h"]), found.outputs, atol=1e-6)
    padded = np.arange(6) >= found.lengths[..., None]
    assert padded.any()
    assert (found.lengths == found.task.test.lengths).all()
    for held in (*found.states.values(), found.outputs):
        assert (np.isnan(held) == padded[..., None]).all()
    np.testing.assert_allclose(found.outputs[~padded].reshape(3, -1, 2), predicted(found), atol=1e-6)
    np.testing.assert_allclose(found.states["0_back.h"][0, 0, found.lengths[0, 0] - 1], first_step_back(found), atol=1e-6)
    alone = ltm.states(ledger, "lstm / parity", seeds=[2])
    np.testing.assert_allclose(alone.states["0.c"][0], found.states["0.c"][2], atol=1e-6)


def test_a_labelled_sequence_has_one_output_of_its_last_states(tmp_path: Path) -> None:
    study(tmp_path, "model=rnn", "model.hidden_size=2", "dataset.every=false", *PARITY)
    found = ltm.states(tmp_path, "rnn / parity")
    assert (found.states["0.h"].shape, found.outputs.shape) == ((3, 4, 6, 2), (3, 4, 2))
    at = np.arange(4), found.lengths[0] - 1
    np.testing.assert_allclose(read(found, ["0.h"])[:, *at], found.outputs, atol=1e-6)
    np.testing.assert_allclose(found.outputs, predicted(found), atol=1e-6)


@pytest.mark.parametrize(("part", "steps"), [("train", 20), ("validation", 30), ("test", 40)])
def test_a_series_is_read_from_its_start_to_the_end_of_the_part(tmp_path: Path, part: str, steps: int) -> None:
    study(tmp_path, "model=mrnn", "model.K=5", "model.cells=[mrnn,lstm]", *SERIES)
    found = ltm.states(tmp_path, "mrnn K=5 / arfima", part=part)
    assert list(found.states) == ["0.h", "0.m", "0.d", "1.h", "1.c"]
    assert found.outputs.shape[:3] == (3, 1, 40)
    assert (found.lengths == steps).all()
    assert not np.isnan(found.outputs[:, :, :steps]).any()
    assert np.isnan(found.outputs[:, :, steps:]).all()
    if part == "test":
        np.testing.assert_allclose(found.outputs[:, 0, 30:], predicted(found)[:, -10:], atol=1e-6)


def test_blocks_of_seeds_and_sequences_give_the_same_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path, "model=lstm", *PARITY, "dataset.every=false", "dataset.draws=seed")
    whole = ltm.states(tmp_path, "lstm / parity")
    assert (whole.lengths[0] != whole.lengths[1]).any(), "each seed has its own sequences"
    monkeypatch.setattr(trained, "BYTES", 1)
    apart = ltm.states(tmp_path, "lstm / parity")
    for name, held in whole.states.items():
        np.testing.assert_allclose(apart.states[name], held, atol=1e-6)


def test_on_another_draw_of_the_data_seeds_read_what_they_were_tested_on(tmp_path: Path) -> None:
    ledger = study(tmp_path, "model=lstm", *PARITY, "dataset.every=false", "dataset.draws=seed", "dataset.seed=3")
    found = ltm.states(tmp_path, "lstm / parity")
    assert found.seeds == (0, 1, 2)
    right = []
    for i, outputs in enumerate(found.outputs):
        tested = found.task.part(2, number_of(found.seeds[i], {"seed": 3}))
        right.append(float((outputs.argmax(-1) == tested.targets[tested.weight > 0].ravel()).mean()))
    assert right == pytest.approx(ledger.runs().sort_values("seed")["test_accuracy"].tolist())


def test_what_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    study(tmp_path / "one", "model=rnn", *SERIES)
    assert set(ltm.states(tmp_path / "one", "rnn / arfima", range(2)).states) == {"h"}
    for study_, condition, more, message in (
        ("one", "rn / arfima", {}, "unknown condition 'rn / arfima'. Did you mean 'rnn / arfima'"),
        ("one", "rnn / arfima", {"part": "tests"}, "unknown part of a task 'tests'. Did you mean 'test'"),
        ("one", "rnn / arfima", {"seeds": [0, 7]}, r"'rnn / arfima' has no finished seed run of seed 7; it has \[0, 1, 2\]"),
        ("one", "rnn / arfima", {"seeds": 3}, "seeds is 3; expected several"),
        ("one", "rnn / arfima", {"seeds": []}, "seeds is empty"),
        ("two", "rnn / arfima", {}, "two holds no finished seed run; expected the folder of a study"),
    ):
        with pytest.raises(UserError, match=message):
            ltm.states(tmp_path / study_, condition, **more)
