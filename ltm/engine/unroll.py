"""A network run over one sequence of one lane, layer after layer, by the steps of its cells as they are written; and over many, by ``torch.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import embedding

from ltm.cells import Cell, Network, State
from ltm.cells.network import EMBEDDING, Part
from ltm.data.base import Sequences, Task

Steps = list[dict[str, torch.Tensor]]
"""The states of a cell by name, after every step of a sequence, in the order of time."""

Given = dict[str, Any]
"""What one lane reads of one sequence: ``x``, its features by the prefix of the cell that reads them, ``(T, ...)``, or ``symbols`` ``(T,)``; ``target``, ``(T, O)``
or ``(T,)``, or the one ``label`` of a labelled task; ``children`` of trees, ``(T, N)``, counted from 1, 0 for none; ``length``, where not all are as long;
``mask`` by layer, ``(steps, units)``."""


def through(
    part: Part,
    p: Mapping[str, torch.Tensor],
    x: Mapping[str, Sequence[torch.Tensor]],
    length: torch.Tensor | None = None,
    children: Sequence[torch.Tensor] = (),
) -> Steps:
    """Run one cell over one sequence of one lane, in its direction of time.

    Args:
        x: what each step reads, by name.
        length: where sequences are of several lengths. A cell that reads backwards keeps its initial states until its sequence begins.
        children: of every step the earlier ones that are its children in a tree, counted from 1; 0 for none.
    """
    own, variables, T = part.own(p), part.cell.state(), len(next(iter(x.values())))
    like = next(iter(x.values()))[0]
    past = {name: like.new_full((q.lags, q.size), q.initial) for name, q in variables.items()}
    trees = {name: q for name, q in variables.items() if q.children}
    start = {name: like.new_full((q.size,), q.initial) for name, q in trees.items()}
    steps: Steps = [{}] * T
    for t in reversed(range(T)) if part.reverse else range(T):
        past |= {name: of_children(q, [start[name], *(new[name] for new in steps[:t])], children[t]) for name, q in trees.items()}
        s = SimpleNamespace(**{name: w if variables[name].window else w[0].clone() for name, w in past.items()})
        new = part.cell.step(own, s, SimpleNamespace(**{name: column[t] for name, column in x.items()}))
        if part.reverse and length is not None:
            new = {name: torch.where(t < length, value, past[name][0]) for name, value in new.items()}
        steps[t] = new
        kept = {name: w for name, w in past.items() if name not in trees}
        past = {name: torch.cat([new[name].unsqueeze(0), w[:-1]]) if len(w) > 1 else new[name].unsqueeze(0) for name, w in kept.items()}
    return steps


def of_children(state: State, earlier: list[torch.Tensor], children: torch.Tensor) -> torch.Tensor:
    """The values of a state at the children of a step ``(N, size)``, among its initial value and those of all earlier steps."""
    return torch.stack(earlier).index_select(0, children[: state.lags] if state.lags > 1 else children)


def unroll(network: Network, p: Mapping[str, torch.Tensor], given: Given) -> list[Steps]:
    """Run one lane over one sequence: the states of every cell of :attr:`Network.parts`."""
    found: list[Steps] = []
    length, drawn = given.get("length"), given["mask"]
    children = given["children"].unbind(0) if "children" in given else ()
    below = list(embedding(given["symbols"], p[EMBEDDING]).unbind(0)) if network.embedding else []
    for layer in range(len(network.layers)):
        parts = network.of_layer(layer)
        for part in parts:
            x = {"now": below} if below else {name: value.unbind(0) for name, value in given["x"][part.prefix].items()}
            if kind_of_mask(part.cell):
                mask = drawn[layer].unbind(0) if layer in drawn else [torch.ones_like(x["now"][0])]
                x["mask"] = mask if len(mask) > 1 else [mask[0]] * len(x["now"])
            found.append(through(part, p, x, length, children))
        here = found[-len(parts) :]
        below = [network.joined([steps[t] for steps in here], layer) for t in range(len(here[0]))]
    return found


def kind_of_mask(cell: Cell) -> str:
    """``nonrecurrent`` or ``variational`` of a cell that reads a mask, else empty."""
    return str(getattr(cell, "kind", "nonrecurrent")) if "mask" in cell.features(np.zeros((1, cell.input_size))) else ""


def at_end(steps: Steps, name: str, length: torch.Tensor | None) -> torch.Tensor:
    """A state after the last step that counts."""
    if length is None:
        return steps[-1][name]
    return torch.stack([new[name] for new in steps]).index_select(0, (length - 1).clamp(min=0).reshape(1))[0]


def tops(network: Network, found: list[Steps], given: Given, read: Sequence[int] | None) -> list[torch.Tensor]:
    """What the last layer hands to the read-out: at these steps; or once (``None``), when both directions of time have seen the whole sequence."""
    last = len(network.layers) - 1
    parts = network.of_layer(last)
    here = found[-len(parts) :]
    if read is not None:
        return [network.joined([steps[t] for steps in here], last) for t in read]
    length = given.get("length")
    ends: list[Mapping[str, torch.Tensor]] = [
        {name: steps[0][name] if part.reverse else at_end(steps, name, length) for name, _ in part.outputs}
        for part, steps in zip(parts, here, strict=True)
    ]
    return [network.joined(ends, last)]


def features_of(network: Network, task: Task, pool: Sequences, tensor: Callable[..., torch.Tensor]) -> Given:
    """What lanes read of all sequences of a pool, stacked; ``tensor`` makes one of an array, of another type where it is given one."""
    target = tensor(pool.targets, torch.int64 if task.classes else None)
    if task.labelled:
        target = target[torch.arange(len(pool)), tensor(np.maximum(pool.lengths - 1, 0), torch.int64)]
    given: Given = {"label" if task.labelled else "target": target, "mask": {}}
    if most := max((q.lags for part in network.parts for q in part.cell.state().values() if q.children), default=0):
        assert pool.children is not None, "check_children refuses it"
        children = np.where(np.arange(pool.steps)[:, None] < pool.lengths[:, None, None], pool.children + 1, 0)
        given["children"] = tensor(np.pad(children, ((0, 0), (0, 0), (0, max(0, most - children.shape[2])))), torch.int64)
    if network.embedding:
        return given | {"symbols": tensor(pool.inputs, torch.int64)}
    x: dict[str, dict[str, torch.Tensor]] = {}
    for part in network.of_layer(0):
        if type(part.cell).features is Cell.features:
            x[part.prefix] = {"now": tensor(pool.inputs)}
            continue
        found = [of_part(part, inputs, length) for inputs, length in zip(pool.inputs, pool.lengths, strict=True)]
        x[part.prefix] = {name: torch.stack([tensor(one[name]) for one in found]) for name in found[0]}
    return given | {"x": x}


def of_part(part: Part, inputs: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """What a cell of the first layer reads of a sequence ``(T, I)``; one that reads backwards, of the sequence turned round."""
    if not part.reverse:
        return part.cell.features(inputs)
    turned = np.concatenate([inputs[:length][::-1], inputs[length:]])
    return {name: np.concatenate([value[:length][::-1], value[length:]]) for name, value in part.cell.features(turned).items()}


def taken(given: Given, index: torch.Tensor, steps: int, lanes: int) -> Given:
    """The first ``steps`` of the sequences of an index ``(lanes, B)``, or of ``(1, B)`` for all lanes; what is of one step lies side by side in memory."""

    def of(value: torch.Tensor) -> torch.Tensor:
        return value[index].expand(lanes, *(-1 for _ in value.shape))

    def of_steps(value: torch.Tensor) -> torch.Tensor:
        return value[:, :steps][index].movedim(2, 0).contiguous().movedim(0, 2).expand(lanes, *(-1 for _ in value.shape))

    return {name: of(value) if name == "label" else mapped(value, of_steps) for name, value in given.items()}


def everywhere(function: Callable[..., torch.Tensor], params: torch.Tensor, given: Given) -> torch.Tensor:
    """A function of the parameters of one lane ``(N,)`` and of what it reads of one sequence, for all of them: of ``(lanes, N)`` and ``(lanes, B, ...)``.

    Returns:
        Its results, ``(lanes, B, ...)``.
    """
    one_lane, one_sequence = len(params) == 1, next(leaves(given)).shape[1] == 1
    if one_sequence:
        given = mapped(given, lambda value: value.squeeze(1))
    else:
        function = torch.vmap(function, (None, 0))
    found = function(params[0], mapped(given, lambda value: value[0])).unsqueeze(0) if one_lane else torch.vmap(function)(params, given)
    return found.unsqueeze(1) if one_sequence else found


def leaves(given: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested dictionaries."""
    if not isinstance(given, dict):
        yield given
        return
    for value in given.values():
        yield from leaves(value)


def mapped(given: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Nested dictionaries with every tensor changed."""
    return {name: mapped(value, function) for name, value in given.items()} if isinstance(given, dict) else function(given)
