"""The loss over two weights: that of the engines at every point of the grid, for the length that is asked for; weights that do not exist."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.studies.inside import landscape
from ltm import cells, data
from ltm.engine import Protocol
from ltm.engine.torch import Torch
from ltm.errors import UserError

LATCHING = {"name": "latching", "kind": "latching", "length": 12, "sequences": 40, "draws": "seed"}
SERIES = {"name": "arfima", "kind": "arfima", "length": 61, "train": 20, "validation": 10}


def test_a_weight_is_named_by_its_parameter_and_its_element() -> None:
    network = cells.build({"name": "lstm", "cell": "lstm", "hidden_size": 2}, data.build(LATCHING))
    flat = torch.arange(network.size)
    p = network.unflatten(flat)
    assert landscape.place_of(network, "W_hh[3,1]") == p["W_hh"][3, 1]
    assert landscape.place_of(network, " c [ 1 ] ") == p["c"][1]
    for named, message in (
        (
            "W_h[0,0]",
            r"'W_h\[0,0\]' is no weight of the network; expected one such as W_ih\[0,0\]. There are: W_ih \(8, 1\), W_hh \(8, 2\), ",
        ),
        ("W_hh[0,0", "is no weight of the network"),
        (
            "W_hh[8,0]",
            r"'W_hh\[8,0\]' is no element of W_hh, whose shape is \(8, 2\); expected 2 whole numbers below these in brackets. There",
        ),
        ("W_hh[0]", "is no element of W_hh"),
        ("W_hh", "is no element of W_hh"),
    ):
        with pytest.raises(UserError, match=message):
            landscape.place_of(network, named)


def test_a_task_has_the_length_that_is_asked_for() -> None:
    latching, series = data.build(LATCHING), data.build(SERIES)
    assert landscape.default_lengths(LATCHING, latching) == [3, 6, 12]
    assert landscape.default_lengths(SERIES, series) == [5, 10, 20]
    longer = landscape.of_length(LATCHING, latching, 1, 30)
    assert longer.validation.inputs.shape == (32, 30, 1)
    own = landscape.of_length(LATCHING, latching, 1, 12)
    np.testing.assert_array_equal(own.validation.inputs, latching.parts(1)[0].inputs)
    first = landscape.of_length(SERIES, series, 0, 7)
    np.testing.assert_array_equal(first.validation.inputs, series.train.inputs[:, :7])
    assert first.validation.weight.tolist() == [[1.0] * 7]
    with pytest.raises(UserError, match="--lengths 21: the training part of 'arfima' has 20 steps; expected 1 to 20"):
        landscape.of_length(SERIES, series, 0, 21)
    with pytest.raises(UserError, match="--lengths 5: sequences of 'latching' are as they are, up to 12 steps"):
        landscape.of_length({"name": "own"}, latching, 0, 5)


@pytest.mark.long
@pytest.mark.parametrize(("dataset", "length"), [(LATCHING, 9), (SERIES, 15)])
def test_every_point_has_the_loss_of_a_network_with_these_two_weights(dataset: dict[str, object], length: int) -> None:
    task = data.build(dataset)
    network = cells.build({"name": "rnn", "cell": "rnn", "hidden_size": 2}, task)
    centre, places = network.initial(0), (landscape.place_of(network, "W_hh[0,1]"), landscape.place_of(network, "b_ih[1]"))
    x, y = (landscape.around(centre[place], 2.0, size) for place, size in zip(places, (5, 3), strict=True))
    part = landscape.of_length(dataset, task, 0, length)
    losses = landscape.surface(network, part, centre, places, x, y)
    assert losses.shape == (3, 5)
    for (j, i), loss in np.ndenumerate(losses):
        alone = centre.copy()
        alone[list(places)] = x[i], y[j]
        assert loss == pytest.approx(Torch(network, part, Protocol(), [0]).validate(alone[None], np.arange(1))[0], rel=1e-5)
    assert (x[2], y[1]) == (centre[places[0]], centre[places[1]])


def test_the_steepest_place_is_between_finite_neighbours() -> None:
    assert landscape.steepest(np.array([[1.0, 3.0, np.inf], [1.5, np.nan, 9.0]])) == 2.0
    assert landscape.steepest(np.full((2, 2), np.nan)) == 0.0
