"""The reference engine: a network's step under ``torch.vmap`` and autograd. Short, readable, any device, any size; not fast."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import torch

from ltm.cells import Network
from ltm.engine.base import COMPLETED, DIVERGED, RUNNING, STOPPED, Engine, PackState, Prediction, Problem, Protocol


def lanes_of(network: Network) -> int:
    """Lanes are run in blocks of exactly so many: tensors of one shape, so that every lane meets the same instructions in any company.

    The cost of a block is that of its Python calls, but for wide networks, whose lanes count.
    """
    return 128 if network.hidden_size <= 16 else 16


def unroll(
    network: Network, flat: torch.Tensor, features: dict[str, torch.Tensor], start: dict[str, torch.Tensor] | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Run one lane over a sequence.

    Args:
        flat: parameters ``(N,)``.
        features: what the steps read, each ``(T, ...)``.
        start: the last values of every state variable before the sequence, ``(lags, n)``, most recent first; its initial ones otherwise.

    Returns:
        Outputs ``(T, O)`` and every state variable ``(T, n)``.
    """
    p = SimpleNamespace(**network.unflatten(flat))
    variables = network.state()
    initial = {name: flat.new_full((q.lags, q.size), q.initial) for name, q in variables.items()}
    windows = initial if start is None else start
    names, columns = list(features), [feature.unbind(0) for feature in features.values()]
    outputs, states = [], []
    for values in zip(*columns, strict=True):
        s = SimpleNamespace(**{name: w if variables[name].lags > 1 else w[0].clone() for name, w in windows.items()})
        new = network.step(p, s, SimpleNamespace(**dict(zip(names, values, strict=True))))
        outputs.append(network.readout(p, SimpleNamespace(**new)).reshape(network.output_size))
        states.append(new)
        windows = {name: torch.cat([new[name].unsqueeze(0), w[:-1]]) for name, w in windows.items()}
    return torch.stack(outputs), {name: torch.stack([new[name] for new in states]) for name in variables}


class Reference(Engine):
    """Autograd through :func:`unroll` for all lanes at once."""

    name = "reference"

    def __init__(
        self, network: Network, problem: Problem, protocol: Protocol, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> None:
        super().__init__(network, problem, protocol)
        self.dtype, self.device = dtype, device
        self.features = {name: self._tensor(value) for name, value in network.features(problem.inputs).items()}
        self.targets = self._tensor(problem.targets)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array.copy(), dtype=self.dtype, device=self.device)

    def _run(self, params: torch.Tensor, steps: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        features = {name: value[:steps] for name, value in self.features.items()}
        return torch.vmap(lambda flat: unroll(self.network, flat, features))(params)

    def losses(self, params: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Training and validation MSE of every lane, each ``(S,)``; only the first carries a gradient worth taking."""
        train, end = self.problem.train, self.problem.train + self.problem.validation
        outputs, _ = self._run(params, end)
        error = ((outputs - self.targets[:end]) ** 2).mean(-1)
        return error[:, :train].contiguous().mean(1), error[:, train:].detach().contiguous().mean(1)

    def gradient(self, params: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training loss ``(S,)``, validation loss ``(S,)`` and the gradient of the first ``(S, N)``."""
        results = []
        for block in self._blocks(params):
            leaf = self._tensor(block).requires_grad_()
            train, validation = self.losses(leaf)
            (gradient,) = torch.autograd.grad(train.sum(), leaf)
            results.append([part.detach().cpu().numpy() for part in (train, validation, gradient)])
        train_loss, validation_loss, gradients = (np.concatenate(parts)[: len(params)] for parts in zip(*results, strict=True))
        return train_loss, validation_loss, gradients

    def advance(self, state: PackState, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        curves = np.full((2, len(state.status), epochs), np.nan, np.float32)
        for e in range(epochs):
            lanes = np.flatnonzero(state.status == RUNNING)
            if not len(lanes):
                break
            running = state.take(lanes)
            train, validation, gradient = self.gradient(running.params)
            curves[0, lanes, e], curves[1, lanes, e] = train, validation
            with np.errstate(all="ignore"):  # a diverged lane overflows; it is marked, not warned of
                one_epoch(running, self.protocol, train, validation, gradient)
            state.put(lanes, running)
        return curves[0], curves[1]

    def predict(self, params: np.ndarray) -> Prediction:
        with torch.no_grad():
            runs = [self._run(self._tensor(block), self.problem.length) for block in self._blocks(params)]
        outputs = torch.cat([outputs for outputs, _ in runs]).cpu().numpy()[: len(params)]
        if "d" not in self.network.state():
            return Prediction(outputs, None)
        return Prediction(outputs, torch.cat([states["d"] for _, states in runs]).cpu().numpy()[: len(params)])

    def _blocks(self, params: np.ndarray) -> list[np.ndarray]:
        """Parameters ``(S, N)`` in blocks of equal size, the last one filled up with copies of the last lane."""
        lanes = lanes_of(self.network)
        padded = np.concatenate([params, np.repeat(params[-1:], -len(params) % lanes, axis=0)])
        return np.split(padded, len(padded) // lanes)

    def seconds(self, steps: int = 40) -> float:
        """About how long an epoch of one block of lanes takes, from that of a short sequence."""
        first = min(steps, self.problem.train)
        short = Problem(self.problem.inputs[:first], self.problem.targets[:first], first, 0)
        engine = Reference(self.network, short, self.protocol, self.dtype, self.device)
        params = np.stack([self.network.initial(0)])
        engine.gradient(params)
        started = time.perf_counter()
        engine.gradient(params)
        whole = self.problem.train + 0.4 * self.problem.validation  # validation has no backward pass
        return (time.perf_counter() - started) * whole / first


def one_epoch(s: PackState, protocol: Protocol, train: np.ndarray, validation: np.ndarray, gradient: np.ndarray) -> None:
    """What the protocol does with one epoch's losses ``(S,)`` and gradient ``(S, N)``; every lane of ``s`` is running.

    The best epoch keeps the parameters whose validation loss was measured (the paper's version; the released code
    keeps those after the next optimiser step).
    """
    s.epoch += 1
    finite = np.isfinite(train) & np.isfinite(validation) & np.isfinite(gradient).all(1) & np.isfinite(s.params).all(1)
    s.status[~finite] = DIVERGED

    better = finite & (validation < s.best_validation)
    s.best_validation[better], s.train_at_best[better], s.best_epoch[better] = validation[better], train[better], s.epoch[better]
    s.best_params[better] = s.params[better]

    progress = train < s.best_train - np.asarray(protocol.min_delta, train.dtype)
    s.best_train = np.where(progress, train, s.best_train)
    s.stale = np.where(progress, 0, s.stale + 1).astype(np.int32)
    s.status[finite & (s.stale >= protocol.patience)] = STOPPED
    s.status[(s.status == RUNNING) & (s.epoch >= protocol.max_epochs)] = COMPLETED
    adam(s, protocol, gradient)


def adam(s: PackState, protocol: Protocol, gradient: np.ndarray) -> None:
    """One step of Adam (Kingma & Ba 2015, as in ``torch.optim.Adam``) for the lanes still running."""
    one = s.params.dtype.type(1)
    beta1, beta2, eps = (s.params.dtype.type(x) for x in (protocol.beta1, protocol.beta2, protocol.eps))
    on = (s.status == RUNNING)[:, None]
    norm = np.sqrt((gradient.astype(np.float64) ** 2).sum(1)).astype(s.params.dtype)
    scale = np.where((s.clip > 0) & (norm > s.clip), s.clip / np.maximum(norm, eps), one)
    gradient = gradient * scale[:, None] + s.weight_decay[:, None] * s.params
    s.m = np.where(on, beta1 * s.m + (one - beta1) * gradient, s.m)
    s.v = np.where(on, beta2 * s.v + (one - beta2) * gradient * gradient, s.v)
    steps = s.epoch.astype(np.float64)[:, None]
    rate = (s.lr[:, None] / (1.0 - protocol.beta1**steps)).astype(s.params.dtype)
    correction = np.sqrt(1.0 - protocol.beta2**steps).astype(s.params.dtype)
    s.params = np.where(on, s.params - rate * s.m / (np.sqrt(s.v) / correction + eps), s.params)
