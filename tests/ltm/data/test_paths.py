"""Paths of a simulated process: path 0 is what a seed always gave, the others are independent draws of the same process."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from ltm import data
from ltm.data import arfima, random_rnn
from ltm.errors import UserError

PAPER = {"d": 0.4, "ar": [0.7, -0.4], "ma": [-0.2]}
ARFIMA: dict[str, Any] = {"kind": "arfima", "name": "arfima", "length": 301, "train": 150, "validation": 75}
RANDOM = ARFIMA | {"kind": "random_rnn", "name": "random_rnn"}


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()[:12]


def test_path_0_has_the_numbers_that_a_seed_had_before_there_were_paths() -> None:
    assert sha256(arfima.simulate(301, **PAPER, seed=0, path=0)) == "0fd98f8a57cb"
    assert sha256(arfima.simulate(301, **PAPER, seed=2**40 + 3)) == "50583638222d"
    assert sha256(random_rnn.simulate(301, path=0)) == "c296b9282209"
    assert sha256(random_rnn.simulate(301, 3, 0.5, 7)) == "278b394f708e"  # the same with any BLAS
    for dataset in (ARFIMA, RANDOM):
        assert (
            data.build(dataset).fingerprint
            == data.build(dataset | {"path": 0}).fingerprint
            != data.build(dataset | {"path": 1}).fingerprint
        )


def test_noise_of_other_paths_is_independent_and_no_seeds_own() -> None:
    paths = np.array([arfima.simulate(4001, 0.0, seed=5, path=path) for path in range(20)])
    correlations = np.corrcoef(paths)[np.triu_indices(20, 1)]
    assert abs(correlations.mean()) < 4 / np.sqrt(correlations.size * 4001)
    assert correlations.std() == pytest.approx(4001**-0.5, rel=0.3)
    assert paths.std() == pytest.approx(1.0, abs=0.02)
    for seed in (1, 6, 5 + 2**32):  # words of a seed and a path are not mixed up
        assert not np.array_equal(paths[1], arfima.simulate(4001, 0.0, seed=seed))
    np.testing.assert_array_equal(paths[3], arfima.simulate(4001, 0.0, seed=5, path=3))


def test_a_path_of_a_random_rnn_has_the_weights_of_its_seed() -> None:
    still = [random_rnn.simulate(50, 2, 1e-9, seed=7, path=path) for path in range(3)]  # almost without noise: where the weights lead
    np.testing.assert_allclose(still[1:], [still[0]] * 2, atol=1e-7)
    assert abs(random_rnn.simulate(50, 2, 1e-9, seed=8) - still[0]).min() > 0.01
    noisy = np.array([random_rnn.simulate(2000, 2, seed=7, path=path) for path in range(3)])
    assert np.abs(np.corrcoef(noisy)[np.triu_indices(3, 1)]).max() < 0.1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": -1}, "dataset.path is -1; expected a whole number of at least 0"),
        ({"path": "0-3"}, "dataset.path is '0-3'; expected a whole number"),
        ({"origin": 3}, r"dataset arfima is simulated and has no origins; draw further paths of its process: grid.path=\[0-9\]"),
        ({"test": 3}, "dataset arfima is simulated and has no origins"),
    ],
)
def test_what_a_simulated_series_cannot_have_is_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.build(ARFIMA | keys)


def test_only_whole_numbers_name_another_draw() -> None:
    assert data.draw_of({"kind": "csv", "name": "mine"}) == data.draw_of({"seed": 0, "path": 0}) == ()
    assert data.draw_of({"kind": "mine:Mine", "path": "x.csv", "seed": 1.5}) == (), "what data of one's own mean by these is theirs"
    assert data.draw_of({"seed": 2}) == (2, 0)
    assert len({data.number_of(3, {"seed": seed, "path": path}) for seed in range(3) for path in range(3)}) == 9
    assert data.number_of(3, {"seed": 0, "path": 0}) == data.number_of(3, {}) == 3
