"""What a network computes, written down: the torch calls of step and read-out, its parameters' initial values, its states and features.

A seed run's id holds the digest of this record, so that a changed formula, constant, helper or initial value is another piece of work,
and a comment, a renamed local variable or another engine is not. It knows nothing of engines or of the compiler.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode

from ltm.cells.network import Network
from ltm.errors import UserError

SAMPLE_STEPS = 256
"""Steps of the sample on which features are computed."""

MOST = 2_000_000
"""Numbers of a feature that are recorded, about: a window over a long past is recorded at every so many steps."""

SEEDS = (0, 1)
"""Seeds whose initial values are recorded."""

DIGITS = 1e-6
"""Numbers are recorded to this share of the largest: processors differ in the last bits."""

UNSEEN = {"__repr__", "__format__"}
QUESTIONS = {"size", "dim", "numel", "__len__", "ndimension", "is_floating_point", "is_complex", "stride", "element_size", "nelement"}
"""Torch calls that say nothing of values; like those of attributes (``shape``, ``dtype``) they are not recorded."""


class Unrecordable(Exception):
    """A step whose torch calls do not tell all that it computes."""


@dataclass(frozen=True)
class Record:
    """What a network computes. ``text`` is for reading, ``digest`` for ids.

    ``draws`` is the digest of the initial values alone: conditions that share it start a seed from equal parameters.
    """

    text: str
    draws: str

    @property
    def digest(self) -> str:
        return digest(self.text)

    def elsewhere(self, draw: tuple[int, ...]) -> Record:
        """The record of the same network whose seeds start from the initial values of other seeds, by a draw of data (:func:`ltm.data.draw_of`)."""
        return Record(f"{self.text}\nstarts of draw {draw}", digest(f"{self.draws} {draw}")) if draw else self


def record(network: Network) -> Record:
    """The record of a network, in some milliseconds.

    Raises:
        UserError: the cell's source is needed and cannot be read.
    """
    initial = draws(network)
    parameters = [f"parameter {name} {list(q.shape)}" for name, q in network.parameters().items()]
    states = [
        f"state {part.prefix}{name} {q.size} lags {q.lags} from {q.initial!r}{' backwards' if part.reverse else ''}{' of children' if q.children else ''}"
        for part in network.parts
        for name, q in part.cell.state().items()
    ]
    features = {
        part.prefix + name: value
        for part in network.parts
        for name, value in part.cell.features(series(SAMPLE_STEPS, part.cell.input_size)).items()
    }
    read = [f"feature {name} {list(value.shape[1:])}: {digest_of(value[:: 1 + value.size // MOST])}" for name, value in features.items()]
    lines = [*parameters, *initial, *states, *read, *step(network, features)]
    return Record("\n".join(lines), digest("\n".join([*parameters, *initial])))


def draws(network: Network) -> list[str]:
    """The initial values of the recorded seeds. An own ``initial`` may raise, which is told where that seed is trained: here its source stands for it."""
    try:
        return [f"initial {seed}: {digest_of(network.initial(seed))}" for seed in SEEDS]
    except Exception:
        return syntax(network, "initial")


def step(network: Network, features: dict[str, np.ndarray]) -> list[str]:
    """The torch calls of step and read-out; where they do not tell everything, the syntax trees of all that these use."""
    one, other = Recorder(network, features, 3), Recorder(network, features, 4)
    try:
        one.run()
        other.run()
    except Unrecordable:
        return syntax(network, "step", "readout")
    return one.lines if one.lines == other.lines and one.constants == other.constants else syntax(network, "step", "readout")


class Recorder(TorchFunctionMode):
    """Runs a network's step and read-out once on a sample of one lane, and writes down each torch call: what, of what, and the shape that results."""

    def __init__(self, network: Network, features: dict[str, np.ndarray], seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.network = network
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.held: list[Any] = []
        self.constants: set[int] = set()
        drawn = {name: torch.rand(q.shape, generator=generator) - 0.5 for name, q in network.parameters().items()}
        states = {
            part.prefix + name: (torch.rand((q.lags, q.size), generator=generator) - 0.5, q.window)
            for part in network.parts
            for name, q in part.cell.state().items()
        }
        self.p = {name: self.leaf(value, name) for name, value in drawn.items()}
        self.s = {name: self.leaf(w if window else w[0], f"last {name}") for name, (w, window) in states.items()}
        self.x = {name: self.leaf(torch.rand(v.shape[1:], generator=generator), f"x.{name}") for name, v in features.items()}

    def leaf(self, value: torch.Tensor, name: str) -> torch.Tensor:
        return self.named(value.requires_grad_().clone(), name)  # a step may change a copy in place

    def named(self, value: torch.Tensor, name: str) -> torch.Tensor:
        self.held.append(value)  # or another tensor might get its id
        self.names[id(value)] = name
        return value

    def run(self) -> None:
        """Fill ``lines``.

        Raises:
            Unrecordable: a value leaves torch (``.item()``, a branch on it), or the step raises.
        """
        found: dict[str, torch.Tensor] = {}
        try:
            with torch.enable_grad(), self:
                for part in self.network.parts:
                    s, x = (SimpleNamespace(**beginning(part.prefix, values)) for values in (self.s, self.x))
                    found |= {part.prefix + name: value for name, value in part.cell.step(part.own(self.p), s, x).items()}
                top = [
                    found[part.prefix + name] for part in self.network.of_layer(len(self.network.layers) - 1) for name, _ in part.outputs
                ]
                names = [name for name, _ in self.network.readout.states]
                read = SimpleNamespace(**{name: self.p[name] for name in self.network.readout.parameters()})
                y = self.network.readout(read, SimpleNamespace(**dict(zip(names, top, strict=True))))
            for name, value in (*found.items(), ("y", y)):
                if has_own_gradient(value):
                    raise Unrecordable("a gradient of its own")
                self.lines.append(f"{name} = {self.said(value)}")
        except Unrecordable:
            raise
        except Exception as error:
            raise Unrecordable(str(error)) from None

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if body := getattr(function, "body", None):  # an operation of ltm: its own torch calls are what it computes
            with self:
                return body(*args, **kwargs)
        attribute = function.__name__ == "__get__"
        name = str(getattr(function, "__self__").__name__ if attribute else function.__name__)  # noqa: B009 (of a slot of the class)
        told = [*map(self.said, args), *(f"{key}={self.said(value)}" for key, value in sorted(kwargs.items()))]
        out = function(*args, **kwargs)
        found = list(tensors(out))
        if found:
            for value in found:
                if id(value) not in self.names:
                    self.named(value, f"%{len(self.names)}")
            shapes = " ".join(f"{self.names[id(value)]} {list(value.shape)}" for value in found)
            self.lines.append(f"{shapes} = {name}({', '.join(told)})")
        elif out is None:
            self.lines.append(f"{name}({', '.join(told)})")
        elif name not in UNSEEN | QUESTIONS and not attribute:
            raise Unrecordable(f"a value leaves torch by {name}")
        return out

    def said(self, value: Any) -> str:
        """An argument in words: the name of a tensor that is known, else the value itself."""
        if isinstance(value, torch.Tensor):
            if id(value) not in self.names:  # made outside the step: a constant, as long as each run meets the same object
                self.held.append(value)
                self.constants.add(id(value))
                return f"constant {list(value.shape)} {digest_of(value.detach().numpy())}"
            return self.names[id(value)]
        if isinstance(value, np.ndarray):
            return f"constant {list(value.shape)} {digest_of(value)}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.said, value))}]"
        if isinstance(value, slice):
            return f"{self.said(value.start)}:{self.said(value.stop)}:{self.said(value.step)}"
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or value is Ellipsis or isinstance(value, bool | int | float | complex | str | torch.dtype | torch.device):
            return repr(value)
        raise Unrecordable(f"an argument {type(value).__name__}")


def beginning(prefix: str, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is named with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def has_own_gradient(value: torch.Tensor) -> bool:
    """Whether a ``torch.autograd.Function`` stands behind a tensor: the recorder sees its forward calls, but not its gradient."""
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, FunctionCtx):
            return True
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return False


def tensors(out: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a torch call returns."""
    if isinstance(out, torch.Tensor):
        yield out
    elif isinstance(out, list | tuple) and not isinstance(out, torch.Size):
        for part in out:
            yield from tensors(part)


def series(steps: int, inputs: int) -> np.ndarray:
    """A sample ``(steps, inputs)`` within [0, 1) without a pattern, the same everywhere."""
    return (np.arange(1, steps * inputs + 1).reshape(steps, inputs) * 0.6180339887498949) % 1.0


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest_of(array: np.ndarray) -> str:
    """Of an array's numbers, to :data:`DIGITS` of the largest."""
    numbers = np.asarray(array, np.float64)
    largest = float(np.max(np.abs(numbers), initial=0.0, where=np.isfinite(numbers))) or 1.0
    whole = np.nan_to_num(np.rint(numbers / (largest * DIGITS)), nan=2e9, posinf=3e9, neginf=-3e9).astype("<i8")
    return digest(f"{list(numbers.shape)} {largest:.6e} {hashlib.sha256(whole.tobytes()).hexdigest()}")


def syntax(network: Network, *methods: str) -> list[str]:
    """The syntax trees, without docstrings, of the classes of cell and read-out, and of all that they use outside installed packages.

    Raises:
        UserError: source that cannot be read.
    """
    trees: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [
        (one.__qualname__, one) for part in (*(part.cell for part in network.parts), network.readout) for one in type(part).__mro__
    ]
    while waiting:
        name, value = waiting.pop()
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, ModuleType) or name in trees:
            continue
        if not isinstance(value, type | FunctionType):
            trees[name] = f"constant {list(value.shape)} {digest_of(np.asarray(value))}" if hasattr(value, "shape") else repr(value)
        elif is_own(value.__module__):
            try:
                tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
            except (OSError, TypeError, SyntaxError):
                raise UserError(
                    f"the source of {value.__module__}.{value.__qualname__} cannot be read, and the torch calls of the step of"
                    f" {type(network.cell).__name__} do not tell all that it computes; expected a cell in a file that can be imported."
                ) from None
            trees[name] = ast.dump(without_docstrings(tree))
            waiting += used(tree, value)
    return [f"syntax of {', '.join(methods)}:", *(f"{name}: {tree}" for name, tree in sorted(trees.items()))]


def used(tree: ast.AST, owner: type | FunctionType) -> list[tuple[str, Any]]:
    """What a class or function reads from around it: globals and closures, and attributes of own modules."""
    around = dict(vars(sys.modules[owner.__module__]))
    if isinstance(owner, FunctionType) and owner.__closure__:
        around |= {name: held.cell_contents for name, held in zip(owner.__code__.co_freevars, owner.__closure__, strict=True)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in around:
            found.append((f"{owner.__module__}.{node.id}", around[node.id]))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = around.get(node.value.id)
            if isinstance(module, ModuleType) and is_own(module.__name__) and hasattr(module, node.attr):
                found.append((f"{module.__name__}.{node.attr}", getattr(module, node.attr)))
    return found


def without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def is_own(module: str) -> bool:
    """Whether a module is the user's or one of the library's cells, not an installed package."""
    if module.partition(".")[0] == "ltm":
        return module == "ltm.filters" or (module.startswith("ltm.cells.") and module not in ("ltm.cells.base", "ltm.cells.network"))
    found = importlib.util.find_spec(module) if module not in sys.modules else None
    file = getattr(sys.modules.get(module), "__file__", None) or (found.origin if found else None)
    installed = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return file is not None and not any(Path(file).is_relative_to(folder) for folder in installed)
