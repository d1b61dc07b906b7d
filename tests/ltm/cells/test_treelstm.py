"""Both Tree-LSTMs against the equations of Tai, Socher and Manning (2015), written as a recursion over trees, and what is refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ltm
from analysis.studies.inside.error_flow import error_flow
from ltm import cells, data
from ltm.cells import CELLS, Network
from ltm.data.base import Sequences, Task
from ltm.engine import Protocol, choose
from ltm.engine.torch import Torch
from ltm.engine.unroll import tops, unroll
from ltm.errors import UserError
from ltm.sweep import main
from sweeps.store.ledger import Ledger
from tests.ltm.engine.series import series

EXPRESSIONS = data.build({"name": "expressions", "kind": "expressions", "length": 7, "sequences": 40})
MODELS = [{}, {"children": 2}, {"children": 3}, {"layers": 2}, {"layers": 2, "children": 2}]


@dataclass
class Node:
    """A node of a tree; a child may be missing before another."""

    x: np.ndarray
    children: list[Node | None] = field(default_factory=list)


def drawn(rng: np.random.Generator, depth: int) -> Node:
    """A random tree with up to two children a node."""
    children = [drawn(rng, depth - 1) if rng.random() < 0.7 else None for _ in range(2)] if depth else []
    return Node(rng.standard_normal(2), children)


def in_order(node: Node) -> list[Node]:
    """Children before their parent."""
    return [*(one for child in node.children if child for one in in_order(child)), node]


def task_of(trees: list[Node]) -> Task:
    """Every node counts; what follows a tree is padding of odd values."""
    orders = [in_order(tree) for tree in trees]
    T = max(map(len, orders))
    inputs, children, weight = np.full((len(trees), T, 2), 50.0), np.full((len(trees), T, 2), 99), np.zeros((len(trees), T))
    for b, nodes in enumerate(orders):
        places = {id(node): t for t, node in enumerate(nodes)}
        for t, node in enumerate(nodes):
            inputs[b, t], weight[b, t] = node.x, 1.0
            children[b, t] = -1
            children[b, t, : len(node.children)] = [places[id(child)] if child else -1 for child in node.children]
    part = Sequences(inputs, np.random.default_rng(5).standard_normal((len(trees), T, 3)), weight, children)
    return Task("trees", part, part, part)


def sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def states(p: dict[str, np.ndarray], node: Node, N: int | None, found: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """h and c of a node, from those of its children; ``found`` gets the h of all nodes below."""
    H, I = p["b_i"].size, node.x.size
    W, U = ({gate: p[f"W_{gate}"][:, part] for gate in "iou"} for part in (slice(0, I), slice(I, None)))
    held = [states(p, child, N, found) if child else None for child in node.children]
    if N is None:  # equations 2 to 8
        read = [sum((h for h, _ in filter(None, held)), np.zeros(H))]
        U = {gate: [U[gate]] for gate in "iou"}
    else:  # equations 9 to 14
        held += [None] * (N - len(held))
        read = [one[0] if one else np.zeros(H) for one in held]
        U = {gate: [U[gate][:, k * H : (k + 1) * H] for k in range(N)] for gate in "iou"}
    i, o, u = (W[gate] @ node.x + sum(u_l @ h_l for u_l, h_l in zip(U[gate], read, strict=True)) + p[f"b_{gate}"] for gate in "iou")
    c = sigmoid(i) * np.tanh(u)
    for k, one in enumerate(held):
        if one is None:
            continue
        net = p["W_f"] @ node.x + p["b_f"]
        if N is None:
            net = net + p["U_f"] @ one[0]
        else:
            net = net + sum(p["U_f"][k * H : (k + 1) * H, m * H : (m + 1) * H] @ read[m] for m in range(N))
        c = c + sigmoid(net) * one[1]
    h = sigmoid(o) * np.tanh(c)
    found[id(node)] = h
    return h, c


def expected(network: Network, flat: np.ndarray, tree: Node, N: int | None) -> np.ndarray:
    """Outputs at every node, ``(nodes, O)``, layer after layer."""
    p = {name: value.numpy() for name, value in network.unflatten(torch.tensor(flat)).items()}
    layer = tree
    for part in network.parts:
        found: dict[int, np.ndarray] = {}
        states({name.removeprefix(part.prefix): value for name, value in p.items()}, layer, N, found)
        layer = above(layer, found)
    return np.stack([p["V"] @ node.x + p["c"] for node in in_order(layer)])


def above(node: Node, found: dict[int, np.ndarray]) -> Node:
    """The same tree, with the states of its nodes as their inputs."""
    return Node(found[id(node)], [above(child, found) if child else None for child in node.children])


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("batch", [1, 4])
def test_outputs_and_gradients_are_those_of_the_recursion_over_trees(model: dict, batch: int) -> None:
    rng = np.random.default_rng(3)
    trees = [drawn(rng, depth) for depth in (3, 0, 4, 2, 3, 4)]
    task = task_of(trees)
    assert len({len(in_order(tree)) for tree in trees}) > 3
    network = cells.build({"cell": "treelstm", "hidden_size": 3} | model, task)
    engine = Torch(network, task, Protocol(batch=batch, order="fixed"), (0, 1), torch.float64)
    engine.sizes = 2, batch
    params = np.stack([network.initial(seed) for seed in (0, 1)]).astype(np.float64)
    found = engine.predict(params).outputs
    for seed in (0, 1):
        whole = np.concatenate([expected(network, params[seed], tree, model.get("children")) for tree in trees])
        np.testing.assert_allclose(found[seed], whole, rtol=0, atol=1e-10)
    _, gradient = engine.gradient_of(params)
    leaf = torch.tensor(params[1], requires_grad=True)
    total = sum(
        ((outputs(network, leaf, task, b) - torch.tensor(task.train.targets[b, : task.train.lengths[b]])) ** 2).sum() / 3
        for b in range(batch)
    )
    (alone,) = torch.autograd.grad(total / task.train.lengths[:batch].sum(), leaf)
    np.testing.assert_allclose(gradient[1], alone.numpy(), rtol=0, atol=1e-10)


def outputs(network: Network, flat: torch.Tensor, task: Task, b: int) -> torch.Tensor:
    """Of one tree, ``(nodes, O)``, by one lane alone."""
    T = int(task.train.lengths[b])
    p, children = network.unflatten(flat), torch.tensor(task.train.children[b, :T] + 1)
    most = max(state.lags for state in network.cell.state().values())
    children = torch.nn.functional.pad(children, (0, max(0, most - 2)))
    given = {"x": {network.parts[0].prefix: {"now": torch.tensor(task.train.inputs[b, :T])}}, "children": children, "mask": {}}
    found = unroll(network, p, given)
    return torch.stack([network.read(p, top) for top in tops(network, found, given, range(T))])


@pytest.mark.parametrize("children", [None, 2])
def test_gradients_pass_gradcheck(children: int | None) -> None:
    task = task_of([drawn(np.random.default_rng(1), 3)])
    network = cells.build({"cell": "treelstm", "hidden_size": 2, "children": children}, task)
    flat = torch.tensor(network.initial(5), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: outputs(network, q, task, 0), (flat,))


def test_the_sum_of_children_has_no_order_and_the_n_ary_form_has_one() -> None:
    task = task_of([Node(np.ones(2), [Node(np.zeros(2)), Node(np.ones(2))])])
    turned = replace(task, test=replace(task.test, children=task.test.children[..., ::-1]))
    for children, same in ((None, True), (2, False)):
        network = cells.build({"cell": "treelstm", "hidden_size": 3, "children": children}, task)
        one, other = (Torch(network, given, Protocol(), (0,)).predict(network.initial(0)[None]).outputs[0, -1] for given in (task, turned))
        assert np.allclose(one, other, rtol=0, atol=1e-6) == same


@pytest.mark.parametrize("children", [None, 3])
def test_maps_of_every_child_start_orthogonal_and_the_forget_gate_at_its_bias(children: int | None) -> None:
    network = cells.build(
        {"cell": "treelstm", "hidden_size": 4, "children": children, "init": "orthogonal", "forget_bias": 1.0}, task_of([Node(np.ones(2))])
    )
    p = network.unflatten(torch.tensor(network.initial(0)))
    blocks = [*p["W_i"][:, 2:].split(4, 1), *(block for rows in p["U_f"].split(4) for block in rows.split(4, 1))]
    assert len(blocks) == (2 if children is None else 12)
    for block in blocks:
        torch.testing.assert_close(block @ block.T, torch.eye(4), rtol=0, atol=1e-5)
    assert (p["b_f"] == 1).all()


def test_auto_takes_the_torch_engine_and_an_lstm_over_the_same_nodes_the_fused_one(caplog: pytest.LogCaptureFixture) -> None:
    network = cells.build({"cell": "treelstm", "hidden_size": 2}, EXPRESSIONS)
    with caplog.at_level(logging.INFO):
        assert choose("auto", network, EXPRESSIONS, Protocol(), (0,)).name == "torch"
    assert "TreeLSTM: the step cannot be derived, it reads the states of a node's children" in caplog.text
    with pytest.raises(UserError, match="engine=cpu does not cover TreeLSTM: it reads the states of a node's children"):
        choose("cpu", network, EXPRESSIONS, Protocol(), (0,))
    assert choose("auto", cells.build({"cell": "lstm", "hidden_size": 2}, EXPRESSIONS), EXPRESSIONS, Protocol(), (0,)).name == "cpu"


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        ({}, series(20), "TreeLSTM reads the states of children, and task 'series' has no trees; expected one that has"),
        ({"cells": ["lstm", "treelstm"]}, series(20), "TreeLSTM reads the states of children, and task 'series' has no trees"),
        ({"children": 2}, replace(EXPRESSIONS, name="wide", test=replace(EXPRESSIONS.test, children=np.full((8, 7, 4), -1))),
         "TreeLSTM has maps for 2 children, and a node of task 'wide' has 4; expected model.children=4"),
        ({"bidirectional": True}, EXPRESSIONS, "bidirectional is true, and TreeLSTM reads a tree from its leaves to its root"),
        ({"children": 1}, EXPRESSIONS, "model key 'children' is 1; expected a whole number of at least 2"),
        ({"children": 2.0}, EXPRESSIONS, "model key 'children' is 2.0; expected a whole number"),
    ],
)  # fmt: skip
def test_a_tree_lstm_that_does_not_fit_its_task_is_refused_in_words(model: dict, task: Task, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cells.build({"cell": "treelstm"} | model, task)


def test_networks_made_by_hand_are_refused_by_the_engine_too() -> None:
    with pytest.raises(UserError, match="has no trees"):
        choose("auto", Network.of(CELLS["treelstm"]()), series(20), Protocol())


def test_children_that_make_no_tree_are_refused_in_words() -> None:
    children = EXPRESSIONS.train.children.copy()
    children[3, 0, 1] = 4
    task = replace(EXPRESSIONS, train=replace(EXPRESSIONS.train, children=children))
    with pytest.raises(UserError, match="train part of task 'expressions': step 0 of sequence 3 has the child 4; expected -1 for none"):
        choose("torch", cells.build({"cell": "treelstm"}, task), task, Protocol(), (0,))


def test_errors_of_trees_are_not_followed_through_time() -> None:
    network = cells.build({"cell": "treelstm"}, EXPRESSIONS)
    with pytest.raises(UserError, match="TreeLSTM reads a tree, in which errors flow to children"):
        error_flow(network, EXPRESSIONS, network.initial(0)[None])


@pytest.mark.long
def test_a_sweep_resumes_and_its_states_are_those_of_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["model=treelstm,narytreelstm", "model.hidden_size=3", "model.embedding=2", "dataset=expressions", "dataset.length=7",
               "dataset.sequences=60", "dataset.draws=seed", "training=batches", "training.max_epochs=2", "tracking=off", "study=trees"]  # fmt: skip
    assert main([*command, "seeds=2"]) == 0
    first = Ledger(tmp_path / "results/trees").runs()
    assert main([*command, "seeds=3"]) == 0
    runs = Ledger(tmp_path / "results/trees").runs()
    assert len(first) == 4
    assert len(runs) == 6
    assert set(runs["engine"]) == {"torch"}
    kept = runs.set_index("run_id").loc[first["run_id"], "test_loss"]
    np.testing.assert_array_equal(kept.to_numpy(), first["test_loss"].to_numpy())
    found = ltm.states("results/trees", runs["condition"].iloc[0])
    assert found.states["0.h"].shape == (3, 12, 7, 3)
    part = found.task.parts(0)[2]
    T = int(part.lengths[0])
    given = {"symbols": torch.tensor(part.inputs[0, :T]), "children": torch.tensor(part.children[0, :T] + 1), "mask": {}}
    (steps,) = unroll(found.network, found.network.unflatten(torch.tensor(found.parameters[0])), given)
    np.testing.assert_allclose(found.states["0.h"][0, 0, :T], torch.stack([new["h"] for new in steps]).numpy(), atol=1e-6)
