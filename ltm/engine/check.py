"""Checks a network on a small sample before an engine takes it, so that a mistake in its cell is one line and no traceback."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ltm import checks
from ltm.cells import Network, Parameter, State
from ltm.cells.record import series
from ltm.engine.compiler.tracing import line_of
from ltm.errors import UserError

LANES, STEPS = 2, 3

REPEATABLE = "is not repeatable: it draws random numbers or depends on something that changes; a step may depend on its arguments alone"

CAUSES = {
    "data-dependent control flow": "branches on the value of a tensor (if, while, bool); use torch.where",
    ".item()": "takes a number out of a tensor (.item(), float()); keep tensors, and use torch.where for branches",
    "called random operation": REPEATABLE,
    "inplace arithmetic": "writes lanes of numbers into a constant in place; make the tensor with torch.zeros_like or new_zeros, or stack its parts",
    "modified by an inplace operation": "writes in place to a tensor that its gradient needs; make a new tensor",
}
"""What torch says of a step that cannot run for many lanes at once, and what that means to its author."""


def check(network: Network, inputs: np.ndarray) -> None:
    """Run a few steps of two lanes with their gradient, twice.

    Args:
        inputs: input sequence, shape ``(T, I)``.

    Raises:
        UserError: a parameter or a state of no or odd size; a step or read-out that fails, returns other states or shapes
            than announced, changes what it is given, or does not give the same twice.
    """
    if len(network.parts) > 1 or network.embedding:
        for part in network.parts:
            check(Network.of(part.cell), series(STEPS, part.cell.input_size))
        return
    kind = type(network.cell).__name__
    try:
        declarations(network)
        features = network.features(inputs)
    except UserError:
        raise
    except Exception as error:
        raise failed(f"what {kind} announces (parameters, state, features)", error) from None
    for name, value in features.items():
        if not isinstance(value, np.ndarray) or value.shape[:1] != inputs.shape[:1]:
            raise UserError(
                f"feature '{name}' of {kind} is {what(value)}; expected an array whose first axis is time, {len(inputs)} steps."
            )
    x = {name: torch.as_tensor(value[:STEPS].copy(), dtype=torch.float32) for name, value in features.items()}
    flat = torch.rand((LANES, network.size), generator=torch.Generator().manual_seed(0)) - 0.5
    first, second = (sample(network, flat, x) for _ in range(2))
    if not all(map(same, first, second)):
        raise not_repeatable(network)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal shapes and values; NaN equals itself."""
    return bool(np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=True))


def not_repeatable(network: Network) -> UserError:
    return UserError(f"the step of {type(network.cell).__name__} {REPEATABLE}.")


def declarations(network: Network) -> None:
    """Parameters that a network announces; its states were checked when it was made."""
    kind = type(network.cell).__name__
    for name, parameter in network.parameters().items():
        shape = getattr(parameter, "shape", None)
        if not isinstance(parameter, Parameter) or not isinstance(shape, tuple) or not all(map(checks.is_size, shape)):
            given = f"shape {shape!r}" if isinstance(parameter, Parameter) else f"{parameter!r}"
            raise UserError(
                f"parameter '{name}' of {kind} has {given}; expected a Parameter whose shape is a tuple of whole numbers of at least 1."
            )


def sample(network: Network, flat: torch.Tensor, x: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """All states and outputs of some steps of every lane, and the gradient of their sum."""
    kind, variables = type(network.cell).__name__, network.cell.state()
    given = {name: value.clone() for name, value in x.items()}

    def lane(flat: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], ...]:
        flat = flat.clone()
        p, results, past = network.unflatten(flat), [], []
        windows = {name: flat.new_full((q.lags, q.size), q.initial) for name, q in variables.items()}
        for t in range(min(STEPS, len(next(iter(x.values()))))):
            past += [(w, w.clone()) for name, w in windows.items() if variables[name].window]
            s = {name: w if variables[name].window else w[0].clone() for name, w in windows.items()}
            new = network.cell.step(
                SimpleNamespace(**p), SimpleNamespace(**s), SimpleNamespace(**{name: value[t] for name, value in given.items()})
            )
            returned(kind, variables, new)
            y = network.readout(SimpleNamespace(**p), SimpleNamespace(**new))
            if not isinstance(y, torch.Tensor) or not (y.shape == (network.output_size,) or (y.shape == () and network.output_size == 1)):
                raise UserError(f"the read-out of {kind} returns {what(y)}; expected shape ({network.output_size},), one value an output.")
            results += [*new.values(), y.reshape(network.output_size)]
            windows = {name: torch.cat([new[name].unsqueeze(0), w[:-1]]) for name, w in windows.items()}
        return tuple(results), (flat, *(now for now, _ in past)), tuple(then for _, then in past)

    leaf = flat.clone().requires_grad_()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of slow batching
            results, after, before = torch.vmap(lane)(leaf)
            total = torch.stack([part.sum() for part in results]).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
    except UserError:
        raise
    except Exception as error:
        raise failed(f"the step of {kind}", error) from None
    if not all(map(same, (*given.values(), *after), (*x.values(), flat, *before))):
        raise UserError(f"the step of {kind} changes a parameter, a feature or a past state in place; make a new tensor ('W = 2 * p.W').")
    return [*(part.detach() for part in results), gradient]


def returned(kind: str, variables: dict[str, State], new: Any) -> None:
    """The new values of all states, and no more."""
    if not isinstance(new, dict):
        raise UserError(f"the step of {kind} returns {what(new)}; expected a dictionary of its states: {', '.join(variables)}.")
    if set(new) != set(variables):
        raise UserError(f"the step of {kind} returns the states {', '.join(map(str, new)) or 'none'}; expected {', '.join(variables)}.")
    for name, state in variables.items():
        if not isinstance(new[name], torch.Tensor) or new[name].shape != (state.size,):
            raise UserError(f"the step of {kind} returns state '{name}' as {what(new[name])}; expected shape ({state.size},).")


def what(value: Any) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor | np.ndarray) else f"a {type(value).__name__}"


def failed(part: str, error: Exception) -> UserError:
    """What a step raised, in one line, with the place in it."""
    text, line = " ".join(str(error).split()), line_of(error)
    place = f" ({line})" if line else ""
    for sign, meaning in CAUSES.items():
        if sign in text:
            return UserError(f"{part} {meaning}{place}.")
    return UserError(f"{part} fails: {type(error).__name__}: {text[:300]}{place}.")
