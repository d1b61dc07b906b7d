"""What sequences give away without a network: the majority class or the mean, and a linear model of the last step, of the mean over steps, or of a text's words.

All are fitted on the training part; a linear model's L2 penalty is chosen by the validation part. They have no seeds: where every seed run draws
sequences of its own, these are fitted to and tested on those of seed 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ltm.data.base import Sequences, Task
from ltm.training.metrics import measured

if TYPE_CHECKING:
    from scipy import sparse  # imported where it is used, as a plan does without

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""L2 penalties to choose from, from the largest: each fit starts from the one before."""

ITERATIONS = 500
"""Of one fit, at most: classes that a line separates have no optimum without a penalty."""

LARGEST = 50_000_000
"""Numbers that a linear model reads of one part; above it is left out."""

Features: TypeAlias = "np.ndarray | sparse.csr_matrix"


@dataclass(frozen=True)
class Baseline:
    """One fitted model: its kind, what it is called once fitted, and its outputs for the counted steps of the validation
    and the test part, ``(n, O)`` each: logits, where targets are classes. It knows of no seeds: a task that draws for every seed run is that of seed 0."""

    kind: str
    label: str
    outputs: tuple[np.ndarray, np.ndarray]
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """The counted steps of a part, n of them.

    Attributes:
        targets: numbers ``(n, O)``, yes or no as booleans ``(n, O)``, or classes ``(n,)``.
        weight: what each counts.
    """

    targets: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, part: Sequences, yes_or_no: bool = False) -> Counted:
        counted = part.weight > 0
        targets = part.targets[counted]
        return cls(targets > 0.5 if yes_or_no else targets, part.weight[counted])

    @classmethod
    def parts(cls, task: Task) -> tuple[Counted, Counted, Counted]:
        """Training, validation and test of a task."""
        yes_or_no = task.loss == "binary_cross_entropy"
        return cls.of(task.train, yes_or_no), cls.of(task.validation, yes_or_no), cls.of(task.test, yes_or_no)

    def loss(self, outputs: np.ndarray) -> tuple[float, np.ndarray]:
        """Weighted loss of outputs ``(n, O)``, as that of networks, and its gradient in them: cross-entropy of classes and of yes or no, squared error of numbers."""
        share_of = self.weight / self.weight.sum()
        if self.targets.dtype == bool:
            loss = float(share_of @ np.logaddexp(0.0, np.where(self.targets, -outputs, outputs)).mean(1))
            return loss, (0.5 + 0.5 * np.tanh(outputs / 2) - self.targets) * share_of[:, None] / outputs.shape[1]
        if self.targets.ndim == 2:
            error = outputs - self.targets
            return float(share_of @ (error**2).mean(1)), 2 * error * share_of[:, None] / error.shape[1]
        shifted = outputs - outputs.max(1, keepdims=True)
        chance, row = np.exp(shifted), np.arange(len(outputs))
        total = chance.sum(1, keepdims=True)
        loss = float(share_of @ (np.log(total[:, 0]) - shifted[row, self.targets]))
        chance /= total
        chance[row, self.targets] -= 1
        return loss, chance * share_of[:, None]


def constant(task: Task) -> Baseline:
    """The mean of the training part's targets, of yes or no the share of yes; of classes their shares, of which the largest is the one predicted."""
    train, *_ = Counted.parts(task)
    if task.classes:
        shares = np.bincount(train.targets, train.weight, task.classes) / train.weight.sum()
        level, parameters = np.log(np.maximum(shares, 1e-300)), {"classes": task.labels, "shares": shares.tolist()}
    else:
        level = train.weight @ train.targets / train.weight.sum()
        parameters = {"mean": level.tolist()}
        if train.targets.dtype == bool:
            level = np.log(np.maximum(level, 1e-300)) - np.log(np.maximum(1 - level, 1e-300))
    kind = "majority" if task.classes else "mean"
    outputs = (np.tile(level, (int((part.weight > 0).sum()), 1)) for part in (task.validation, task.test))
    return Baseline(kind, kind, (next(outputs), next(outputs)), parameters)


def last_step(part: Sequences, symbols: int) -> Features:
    """Inputs of every counted step, ``(n, I)``; of symbols 1 at the symbol's place."""
    from scipy import sparse

    inputs = part.inputs[part.weight > 0]
    if not symbols:
        return np.asarray(inputs, np.float64)
    n = len(inputs)
    return sparse.csr_matrix((np.ones(n), (np.arange(n), inputs)), (n, symbols))


def mean_so_far(part: Sequences, symbols: int) -> Features | None:
    """The mean of the inputs up to every counted step, ``(n, I)``; of symbols how often each came. None where that is too much to hold."""
    from scipy import sparse

    counted, T = part.weight > 0, part.steps
    if not symbols:
        return np.asarray((np.cumsum(part.inputs, 1, dtype=np.float64) / np.arange(1, T + 1)[:, None])[counted])
    sequence, step = np.nonzero(counted)
    if step.sum() + len(step) > LARGEST:
        return None
    row = np.repeat(np.arange(len(step)), step + 1)
    place = np.arange(len(row)) - np.repeat(np.cumsum(step + 1) - step - 1, step + 1)
    return sparse.csr_matrix((1 / (step[row] + 1.0), (row, part.inputs[sequence[row], place])), (len(step), symbols))


def linear(task: Task, kind: str, read_of: Sequence[Features | None]) -> Baseline | None:
    """Outputs W x + b of what is read of each part: logistic regression, multinomial or of every yes or no, or least squares where targets are numbers.

    Minimises the training loss plus l2 / 2 times the squares of W (inputs standardised by the training part), by L-BFGS; l2 by validation loss
    among :data:`PENALTIES`. None where the inputs are too many.
    """
    if any(x is None or x.size > LARGEST for x in read_of):
        return None
    x = scaled([one for one in read_of if one is not None])
    train, validation, _ = Counted.parts(task)
    shape = (x[0].shape[1] + 1, task.output_size)
    theta, fits = np.zeros(shape), []
    for l2 in PENALTIES:
        theta = fitted(x[0], train, l2, theta)
        fits.append((validation.loss(x[1] @ theta[1:] + theta[0])[0], l2, theta))
    _, l2, theta = min(fits, key=lambda fit: fit[0])
    validated, tested = (one @ theta[1:] + theta[0] for one in x[1:])
    return Baseline(kind, f"{kind} (L2 {l2:g})", (validated, tested), {"l2": l2})


def scaled(x: list[Features]) -> list[Features]:
    """Columns of mean 0 and standard deviation 1 over the training part, the first of ``x``; shares of symbols are left as they are."""
    if not isinstance(x[0], np.ndarray):
        return x
    mean, sd = x[0].mean(0), x[0].std(0)
    sd[np.ptp(x[0], axis=0) == 0] = 1.0
    return [(one - mean) / sd for one in x]


def fitted(x: Features, train: Counted, l2: float, start: np.ndarray) -> np.ndarray:
    """b and W below it, ``(I + 1, O)``, of the least penalised loss."""
    from scipy import optimize

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = flat.reshape(start.shape)
        loss, slope = train.loss(x @ theta[1:] + theta[0])
        gradient = np.concatenate([slope.sum(0)[None], x.T @ slope + l2 * theta[1:]])
        return loss + l2 / 2 * float((theta[1:] ** 2).sum()), gradient.ravel()

    found = optimize.minimize(
        objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "ftol": 1e-12, "gtol": 1e-7}
    )
    return np.asarray(found.x).reshape(start.shape)


def of_last_step(task: Task) -> Baseline | None:
    """A linear model of the last step; where every step has a target, of that step."""
    return linear(task, "linear, last step", [last_step(part, task.symbols) for part in (task.train, task.validation, task.test)])


def of_mean(task: Task) -> Baseline | None:
    """A linear model of the mean over steps; where every step has a target, over those so far."""
    return linear(task, "linear, mean", [mean_so_far(part, task.symbols) for part in (task.train, task.validation, task.test)])


def of_words(task: Task) -> Baseline | None:
    """Of texts, a linear model of how often each word came, whatever their order: a bag of words."""
    return task.words and linear(task, "linear, bag of words", task.words)


BASELINES: tuple[Callable[[Task], Baseline | None], ...] = (constant, of_last_step, of_mean, of_words)


def rows(task: Task) -> list[dict[str, Any]]:
    """Every baseline of sets of sequences, measured on the test part.

    Returns:
        ``baseline`` (the kind), ``label``, ``parameters``, ``test_<metric>`` for every metric of the task, ``validation_loss``.
    """
    _, validation, test = Counted.parts(task)
    found = []
    for baseline in filter(None, (fit(task) for fit in BASELINES)):
        scores = measured(task.metrics, baseline.outputs[1][None], test.targets[None])
        found.append(
            {
                "baseline": baseline.kind, "label": baseline.label, "parameters": baseline.parameters,
                **{f"test_{name}": float(value[0]) for name, value in scores.items()},
                "validation_loss": validation.loss(baseline.outputs[0])[0],
            }
        )  # fmt: skip
    return found
