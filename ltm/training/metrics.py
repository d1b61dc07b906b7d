"""Metrics of predictions: each takes outputs ``(S, n, O)`` and targets, one row a lane, and returns a number a lane, ``(S,)``, float64.

What targets are says their type: floating-point numbers ``(S, n, O)``; whole numbers ``(S, n)`` are classes, whose outputs are logits, the largest of
which is predicted; booleans ``(S, n, O)`` are yes or no, where an output above 0 predicts yes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ltm.data.base import Task
from ltm.errors import UserError, unknown

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


def rows(values: np.ndarray) -> np.ndarray:
    """Every lane's values side by side, ``(S, m)``: contiguous, so that a lane's sum adds in the same order however lanes are packed."""
    return np.ascontiguousarray(values).reshape(len(values), -1)


def rmse(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Root of the mean squared error over steps and outputs."""
    return np.sqrt((rows(predicted - targets) ** 2).mean(1))


def mae(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean absolute error over steps and outputs."""
    return np.abs(rows(predicted - targets)).mean(1)


def worst(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Largest absolute error over steps and outputs, by which Hochreiter and Schmidhuber (1997) say that a sequence is processed correctly."""
    return np.abs(rows(predicted - targets)).max(1)


def mape(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean absolute error in per cent of the target, over the targets that are not 0; NaN if there is none."""
    return np.array([relative(mine, true) for mine, true in zip(rows(predicted), rows(targets), strict=True)])


def relative(predicted: np.ndarray, targets: np.ndarray) -> float:
    there = targets != 0
    return float(100.0 * np.abs((predicted[there] - targets[there]) / targets[there]).mean()) if there.any() else np.nan


def choices(predicted: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Predicted and true classes as ``(S, outputs, n)``, and how many classes there are; one output where targets are classes, each its own for yes or no."""
    if targets.dtype == bool:
        return (predicted > 0).astype(int).swapaxes(1, 2), targets.astype(int).swapaxes(1, 2), 2
    return predicted.argmax(2)[:, None], targets[:, None].astype(int), predicted.shape[2]


def accuracy(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of right predictions, from 0 to 1."""
    mine, true, _ = choices(predicted, targets)
    return rows(mine == true).mean(1)


def ranked(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of steps at which every output that is to be yes lies above every one that is not, from 0 to 1; of classes, the accuracy.

    By it Hochreiter and Schmidhuber (1997), section 5.1, say that a symbol is predicted correctly: what may follow is what is most active.
    """
    yes = targets if targets.dtype == bool else np.eye(predicted.shape[2], dtype=bool)[targets]
    return rows(np.where(yes, predicted, np.inf).min(2) > np.where(yes, -np.inf, predicted).max(2)).mean(1)


def macro(score: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Metric:
    """The plain mean of a score over the classes that occur in targets or predictions; of yes or no also over outputs.

    ``score`` takes, by class, how many were rightly predicted, how many predicted, how many there are.
    """

    def metric(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
        mine, true, classes = choices(predicted, targets)
        found = np.empty(mine.shape[:2])
        for at in np.ndindex(found.shape):
            right, guessed, there = (np.bincount(x, minlength=classes) for x in (true[at][mine[at] == true[at]], mine[at], true[at]))
            occurs = (guessed + there) > 0
            found[at] = score(right[occurs], guessed[occurs], there[occurs]).mean()
        return found.mean(1)

    return metric


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``; 0 where there is nothing."""
    return part / np.maximum(whole, 1)


precision = macro(lambda right, guessed, there: share(right, guessed))
recall = macro(lambda right, guessed, there: share(right, there))
f1 = macro(lambda right, guessed, there: share(2 * right, guessed + there))


def loss(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean cross-entropy in nats: of the softmax of the outputs, or of yes or no."""
    if targets.dtype == bool:
        return rows(np.logaddexp(0.0, np.where(targets, -predicted, predicted))).mean(1)
    top = predicted.max(2, keepdims=True)
    total = np.log(np.exp(predicted - top).sum(2)) + top[..., 0]
    return rows(total - np.take_along_axis(predicted, targets[..., None].astype(int), 2)[..., 0]).mean(1)


OF_NUMBERS: dict[str, Metric] = {"rmse": rmse, "mae": mae, "mape": mape, "worst": worst}
OF_CLASSES: dict[str, Metric] = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1, "ranked": ranked, "loss": loss}
METRICS: dict[str, Metric] = {**OF_NUMBERS, **OF_CLASSES}
HIGHER = ("accuracy", "precision", "recall", "f1", "ranked")
"""The metrics of which larger is better."""


def of_targets(targets: str) -> dict[str, Metric]:
    """The metrics of targets of this kind (:class:`ltm.training.losses.Loss`)."""
    return OF_NUMBERS if targets == "numbers" else OF_CLASSES


def check(names: tuple[str, ...], targets: str) -> None:
    """Check that every metric exists and is one of targets of this kind."""
    fitting = of_targets(targets)
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
        if name not in fitting:
            raise UserError(f"metric '{name}' does not fit targets that are {targets}; expected one of {', '.join(fitting)}.")


def of_validation(task: Task) -> tuple[str, ...]:
    """The metrics of a task that are measured on its validation sequences too; the loss is already, as the training takes it. None of a series."""
    return () if task.split else tuple(name for name in task.metrics if name != "loss")


def measured(names: tuple[str, ...], predicted: np.ndarray, targets: Sequence[np.ndarray] | np.ndarray) -> dict[str, np.ndarray]:
    """Several metrics by name, of as many of a lane's outputs as it has targets. Of a lane whose outputs are not finite, nobody asks."""
    if len({len(own) for own in targets}) > 1:
        each = [measured(names, predicted[i : i + 1, : len(own)], [own]) for i, own in enumerate(targets)]
        return {name: np.concatenate([one[name] for one in each]) for name in names}
    with np.errstate(all="ignore"):
        return {name: METRICS[name](np.asarray(predicted, np.float64), np.stack(list(targets))) for name in names}
