"""Initial values by the rule that model key ``init`` names, and the biases of gates. A rule gives a parameter other bounds; the seed's generator draws.

``default`` and ``released`` are a cell's own (:class:`ltm.cells.Cell`). The others are for every cell and for the read-out; vectors of symbols, which
stand for ones at a place, keep their default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ltm import checks
from ltm.errors import UserError, unknown

if TYPE_CHECKING:
    from ltm.cells.base import Draws, Parameter

NAMES = ("default", "released", "torch", "glorot", "orthogonal", "uniform:0.1")
"""The ways to draw initial values; any number may follow ``uniform:``."""

OF_CELLS = ("default", "released", "torch")
"""Those by which a linear map of the inputs starts as it does by default."""

UNIFORM = "uniform:"


def check(given: object) -> None:
    """The value of model key ``init``.

    Raises:
        UserError: no such way to draw initial values, or ``uniform:`` without a number above 0.
    """
    name = str(given)
    if name.startswith(UNIFORM):
        try:
            checks.number("", float(name.removeprefix(UNIFORM)), above=0.0)
        except (ValueError, UserError):
            raise UserError(f"model key 'init' is '{name}'; expected uniform:A with a number A above 0, such as uniform:0.1.") from None
    elif name not in NAMES:
        raise unknown("way to draw initial values, init:", name, NAMES)


def drawn(name: str, parameters: Mapping[str, Parameter], draws: Draws, hidden: int = 0) -> dict[str, torch.Tensor]:
    """Initial values of these parameters, in their order.

    Args:
        name: ``default``: each within its own bound.
            ``torch``: all uniform within 1/sqrt(hidden), as PyTorch's recurrent cells draw theirs (``torch.nn.RNNCellBase.reset_parameters``).
            ``glorot``: matrices uniform within sqrt(6 / (in + out)) of each map, vectors 0 (Glorot & Bengio 2010, equation 16).
            ``orthogonal``: like ``glorot``, and what a matrix does to a past state is orthogonal, gate by gate (Saxe et al. 2014).
            ``uniform:A``: all uniform within A.
            What starts at a fixed value (a bound of 0) keeps it, but with ``uniform:A``.
        hidden: units of a recurrent cell; 0 for other parts, for which ``torch`` is the default, that of ``torch.nn.Linear``.
    """
    if name.startswith(UNIFORM):
        return draws.bounded({key: replace(q, bound=float(name.removeprefix(UNIFORM))) for key, q in parameters.items()})
    if name == "torch" and hidden:
        return draws.bounded({key: replace(q, bound=hidden**-0.5 if q.bound else 0.0) for key, q in parameters.items()})
    if name in ("glorot", "orthogonal"):
        found = draws.bounded({key: glorot(q) for key, q in parameters.items()})
        return {key: with_orthogonal(value, parameters[key], draws) for key, value in found.items()} if name == "orthogonal" else found
    return draws.bounded(parameters)


def glorot(parameter: Parameter) -> Parameter:
    """A parameter with the bounds of ``glorot``; each of several maps side by side has its own."""
    if len(parameter.shape) != 2:
        return replace(parameter, bound=0.0)
    out, whole = parameter.shape
    maps = [columns for columns, _ in parameter.bound] if isinstance(parameter.bound, tuple) else [whole]
    return replace(parameter, bound=tuple((columns, math.sqrt(6.0 / (columns + out))) for columns in maps))


def with_orthogonal(value: torch.Tensor, parameter: Parameter, draws: Draws) -> torch.Tensor:
    """Values of a parameter whose columns that read past states are orthogonal blocks, one below the other."""
    for first, columns in parameter.recurrent:
        blocks = [orthogonal(columns, draws) for _ in range(-(-parameter.shape[0] // columns))]
        value[:, first : first + columns] = torch.cat(blocks)[: parameter.shape[0]]
    return value


def orthogonal(n: int, draws: Draws) -> torch.Tensor:
    """An orthogonal matrix ``(n, n)``, each as likely as any other: the QR decomposition of normal numbers, with R's diagonal above 0 (Mezzadri 2007).

    It is computed in float64, or processors would differ in the digits that ids are made of.
    """
    q, r = torch.linalg.qr(torch.randn(n, n, generator=draws.generator, dtype=torch.float64))
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).float()


def places(parameters: Mapping[str, Parameter], gates: Sequence[str], gate: str, hidden: int) -> Iterator[tuple[str, slice]]:
    """The biases that a gate adds: ``b_GATE``, or its part of every vector that holds one of ``hidden`` units for each gate, in their order.

    Returns:
        Names of parameters, and where in them.
    """
    if f"b_{gate}" in parameters:
        yield f"b_{gate}", slice(None)
        return
    at = gates.index(gate)
    for name, parameter in parameters.items():
        if parameter.shape == (len(gates) * hidden,):
            yield name, slice(at * hidden, (at + 1) * hidden)


def units(parameters: Mapping[str, Parameter], gates: Sequence[str], gate: str, hidden: int) -> list[int]:
    """How many units a gate has, in every bias that it adds; empty where a cell has no such gate."""
    found = places(parameters, gates, gate, hidden) if gate in gates else ()
    return [len(range(parameters[name].shape[0])[where]) for name, where in found]


def biased(
    values: Mapping[str, torch.Tensor],
    parameters: Mapping[str, Parameter],
    gates: Sequence[str],
    biases: Mapping[str, float | tuple[float, ...]],
    hidden: int,
) -> dict[str, torch.Tensor]:
    """Initial values in which the biases of some gates sum to a number each: the first has it, a second starts at 0. Other cells' gates are passed over."""
    found = dict(values)
    for gate in biases.keys() & set(gates):
        for i, (name, where) in enumerate(places(parameters, gates, gate, hidden)):
            found[name] = found[name].clone()
            found[name][where] = 0.0 if i else torch.tensor(biases[gate])
    return found
