"""Filters over the past: the fractional filter (1-B)^d and other decays of the weights (:data:`PATTERNS`), each as its weights, as the direct sum
over K values and, where they are smooth in one parameter, in the Chebyshev form whose cost does not grow with K.

Convention of Zhao et al. 2020 (Section 4): the filter of a sequence v is ``sum_{k=1..K} w_k(d) v_k`` where
``v_1`` is the most recent value the cell may read, and ``w_k(d) = prod_{j=0..k-1} (j-d)/(j+1)``.
``w_0 = 1`` is never used. The weights of every decay have the sign of these, so that one may stand where another stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from types import SimpleNamespace

import numpy as np
import torch
from torch.overrides import handle_torch_function, has_torch_function

from ltm.errors import UserError, unknown

BASIS_TERMS = 10
"""Chebyshev terms P. P = 8 leaves 4e-6 relative error in gradients, P = 10 equals the direct form in float32."""


def operation(body: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function of tensors that an engine may take as one operation, through torch's own override; for all others it is its ``body``."""

    @wraps(body)
    def call(*tensors: torch.Tensor) -> torch.Tensor:
        if has_torch_function(tensors):
            return handle_torch_function(call, tensors, *tensors)
        return body(*tensors)

    call.body = body  # type: ignore[attr-defined]
    return call


def weights(d: np.ndarray | float, K: int) -> np.ndarray:
    """Filter weights w_1..w_K in float64.

    Args:
        d: memory parameters, any shape.
        K: filter length, at least 1.

    Returns:
        Array of shape ``(K, *d.shape)``.
    """
    d = np.asarray(d, dtype=np.float64)
    j = np.arange(K, dtype=np.float64).reshape((K,) + (1,) * d.ndim)
    return np.cumprod((j - d) / (j + 1.0), axis=0)


@operation
def direct(window: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """``sum_k w_k(d) window[k-1]``, O(K): the form for a filter on stored states.

    Args:
        window: past values, most recent first, shape ``(K, n)``.
        d: memory parameters in (0, 0.5), shape ``(n,)``.

    Returns:
        Shape ``(n,)``. Differentiable in both arguments.
    """
    j = torch.arange(window.shape[0], dtype=d.dtype, device=d.device).unsqueeze(1)
    w = torch.cumprod((j - d) / (j + 1.0), dim=0)
    return (w * window).sum(0)


@lru_cache(maxsize=64)
def chebyshev_coefficients(K: int, decay: str = "fractional") -> np.ndarray:
    """Coefficients C with ``w_k(theta) = sum_p C[p, k-1] T_p(2 theta / high - 1)`` on (0, high), interpolated at P Chebyshev nodes; of the
    fractional filter ``T_p(4d - 1)`` on (0, 0.5).

    Returns:
        Array of shape ``(P, K)``, float64. The largest error of the fractional weights is below 1e-10 for K up to 2000, of power laws below 1e-9.
    """
    pattern = PATTERNS[decay]
    P, (high,) = pattern.terms, pattern.parameters.values()
    theta = (np.arange(P) + 0.5) * np.pi / P
    at_nodes = pattern.weights((np.cos(theta) + 1.0) * (high / 2.0), K)  # (K, P)
    transform = np.cos(np.outer(np.arange(P), theta)) * (2.0 / P)
    transform[0] /= 2.0
    return transform @ at_nodes.T


def chebyshev_basis(x: np.ndarray, K: int, decay: str = "fractional") -> np.ndarray:
    """The part of the filter on the input that depends on the data alone: ``G[t, p] = sum_k C[p, k] x[t-k+1]``.

    Args:
        x: input sequence, shape ``(T, I)``; values before its start are 0.
        K: filter length.
        decay: one of one parameter that has ``terms``.

    Returns:
        Shape ``(T, P, I)``, float64. Computed once for all seeds and epochs.
    """
    T, inputs = x.shape
    coefficients = chebyshev_coefficients(min(K, T), decay)
    basis = np.empty((T, len(coefficients), inputs))
    for p in range(len(coefficients)):
        for i in range(inputs):
            basis[:, p, i] = np.convolve(x[:, i], coefficients[p])[:T]
    return basis


def chebyshev(basis: torch.Tensor, d: torch.Tensor, high: float = 0.5) -> torch.Tensor:
    """The filter on the input at one time step, by Clenshaw's recurrence: O(P) for every K.

    Args:
        basis: ``G[t]`` of :func:`chebyshev_basis`, shape ``(P, I)``.
        d: the parameter of the decay in (0, ``high``), shape ``(I,)``.

    Returns:
        Shape ``(I,)``.
    """
    u = (2.0 / high) * d - 1.0
    twice_u = 2.0 * u
    P = basis.shape[0]
    after, b = torch.zeros_like(basis[0]), basis[P - 1]
    for p in range(P - 2, 0, -1):
        after, b = b, twice_u * b - after + basis[p]
    return u * b - after + basis[0]


def lagged(x: np.ndarray, K: int) -> np.ndarray:
    """Windows ``x_t, x_{t-1}, ..., x_{t-K+1}`` of a sequence of shape ``(T, I)``: shape ``(T, K, I)``, zeros before the start."""
    padded = np.concatenate([np.zeros((K - 1, x.shape[1])), x])
    return np.lib.stride_tricks.sliding_window_view(padded, K, axis=0).transpose(0, 2, 1)[:, ::-1]


@operation
def free(window: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """``sum_k a_k window[k-1]``: a filter with K free weights per input.

    Args:
        window: ``x_t .. x_{t-K+1}`` of :func:`lagged`, shape ``(K, I)``.
        a: weights, shape ``(K, I)``.

    Returns:
        Shape ``(I,)``.
    """
    return (a * window).sum(0)


# -- other decays --------------------------------------------------------------------------------------------------------


def lags(K: int, *theta: np.ndarray | float) -> np.ndarray:
    """1..K along a new first axis before those of the parameters, which are all of one shape."""
    return np.arange(1.0, K + 1.0).reshape((K,) + (1,) * np.ndim(theta[0]))


def exponential_weights(r: np.ndarray | float, K: int) -> np.ndarray:
    """``w_k(r) = -(1 - r) r^{k-1}``, shape ``(K, *r.shape)``: an exponentially weighted mean, whose memory decays at the rate ``-log r``."""
    r = np.asarray(r, dtype=np.float64)
    return -(1.0 - r) * r ** (lags(K, r) - 1.0)


def power_weights(a: np.ndarray | float, K: int) -> np.ndarray:
    """``w_k(a) = (k+1)^{-a} - k^{-a}``, shape ``(K, *a.shape)``: about ``-a k^{-1-a}``, a power law; they sum to ``(K+1)^{-a} - 1``."""
    k = lags(K, a := np.asarray(a, dtype=np.float64))
    return k**-a * np.expm1(-a * np.log1p(1.0 / k))


def tempered_weights(d: np.ndarray | float, r: np.ndarray | float, K: int) -> np.ndarray:
    """Those of ``(1 - rB)^d``, ``w_k(d, r) = w_k(d) r^k``, shape ``(K, *d.shape)``: a power law within the memory of an exponential
    (tempered fractional differences; Sabzikar, Meerschaert & Chen 2015, with ``r = exp(-lambda)``)."""
    return weights(d, K) * np.asarray(r, dtype=np.float64) ** lags(K, np.asarray(d))


def gegenbauer_weights(d: np.ndarray | float, nu: np.ndarray | float, K: int) -> np.ndarray:
    """Those of ``(1 - 2 cos(nu) B + B^2)^d``, shape ``(K, *d.shape)``: a slow decay that swings with ``nu`` radians a step.

    Gegenbauer polynomials C_k of order -d at cos(nu) (Gray, Zhang & Woodward 1989), by their recursion in k:
    ``C_k = 2 cos(nu) r C_{k-1} - (2r - 1) C_{k-2}`` with ``r = (k-1-d)/k``.
    """
    d, eta = np.asarray(d, dtype=np.float64), np.cos(nu)
    before, last, found = np.zeros_like(d * eta), np.ones_like(d * eta), []
    for k in range(1, K + 1):
        r = (k - 1.0 - d) / k
        before, last = last, 2.0 * eta * r * last - (2.0 * r - 1.0) * before
        found.append(last)
    return np.stack(found)


def as_lags(window: torch.Tensor) -> torch.Tensor:
    """1..K as a column beside a window ``(K, n)``."""
    return torch.arange(1.0, window.shape[0] + 1.0, dtype=window.dtype, device=window.device).unsqueeze(1)


@operation
def exponential(window: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """:func:`direct` with the weights of :func:`exponential_weights`, r in (0, 1)."""
    return ((r - 1.0) * r ** (as_lags(window) - 1.0) * window).sum(0)


@operation
def power(window: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """:func:`direct` with the weights of :func:`power_weights`, a above 0."""
    k = as_lags(window)
    return (k**-a * torch.expm1(-a * torch.log1p(1.0 / k)) * window).sum(0)


@operation
def tempered(window: torch.Tensor, d: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """:func:`direct` with the weights of :func:`tempered_weights`, r in (0, 1)."""
    k = as_lags(window)
    return (torch.cumprod((k - 1.0 - d) / k, dim=0) * r**k * window).sum(0)


@operation
def gegenbauer(window: torch.Tensor, d: torch.Tensor, nu: torch.Tensor) -> torch.Tensor:
    """:func:`direct` with the weights of :func:`gegenbauer_weights`, nu in (0, pi)."""
    eta, before, last, total = torch.cos(nu), torch.zeros_like(d), torch.ones_like(d), torch.zeros_like(d)
    for k, value in enumerate(window.unbind(0), start=1):
        r = (k - 1.0 - d) / k
        before, last = last, 2.0 * eta * r * last - (2.0 * r - 1.0) * before
        total = total + last * value
    return total


@dataclass(frozen=True)
class Pattern:
    """How the weights of a filter decay.

    Attributes:
        weights: ``weights(*theta, K)`` in NumPy, float64, shape ``(K, *theta[0].shape)``.
        direct: ``direct(window, *theta)`` in torch, O(K): the sum over a window ``(K, n)``, theta ``(n,)`` each; an operation that engines may take.
        parameters: by name, each between 0 and this.
        terms: Chebyshev terms P by which the filter on an input costs the same for every K; 0 where the weights are not smooth enough for it.
    """

    weights: Callable[..., np.ndarray]
    direct: Callable[..., torch.Tensor]
    parameters: dict[str, float] = field(default_factory=dict)
    terms: int = 0

    def filtered(self, x: SimpleNamespace, *theta: torch.Tensor) -> torch.Tensor:
        """The filter on the input at one step ``(I,)``, from what :func:`features` computed."""
        if not self.terms:
            return self.direct(x.window, *theta)
        (one,), (high,) = theta, self.parameters.values()
        return chebyshev(x.basis, one, high)


PATTERNS = {
    "fractional": Pattern(weights, direct, {"d": 0.5}, BASIS_TERMS),
    "exponential": Pattern(exponential_weights, exponential, {"r": 1.0}),
    "power": Pattern(power_weights, power, {"a": 2.0}, 20),
    "tempered": Pattern(tempered_weights, tempered, {"d": 0.5, "r": 1.0}),
    "gegenbauer": Pattern(gegenbauer_weights, gegenbauer, {"d": 0.5, "nu": np.pi}),
}
"""The decays whose weights are a function of a few parameters."""

FREE = "free"
"""The decay that is none: K weights per input, each a parameter."""


def features(x: np.ndarray, K: int, decay: str) -> dict[str, np.ndarray]:
    """What a filter on the input reads at a step, by name: a basis, or the last K inputs."""
    if decay != FREE and PATTERNS[decay].terms:
        return {"basis": chebyshev_basis(x, K, decay)}
    return {"window": lagged(x, K)}


def constants(ranges: Mapping[str, float], p: SimpleNamespace) -> dict[str, torch.Tensor]:
    """The parameters of a decay that are constant in time: each between 0 and the end of its range, by its bias ``b_NAME``."""
    return {name: high * torch.sigmoid(getattr(p, f"b_{name}")) for name, high in ranges.items()}


def check(decay: object, init: str, known: tuple[str, ...] = (*PATTERNS, FREE)) -> None:
    """The value of model key ``decay``.

    Raises:
        UserError: no such decay; one that the released code lacks where its initial values are asked for.
    """
    if decay not in known:
        raise unknown("value of model key 'decay':", str(decay), known)
    if init == "released" and decay != "fractional":
        raise UserError(f"model key 'init' is released, but the released code has no decay '{decay}'; expected init default.")
