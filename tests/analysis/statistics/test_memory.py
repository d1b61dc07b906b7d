"""Long memory of series and of networks: known d, known decays."""

import numpy as np
import pytest
import torch
from scipy import optimize

from analysis.statistics import memory
from analysis.studies.memory import networks
from ltm import cells, data
from ltm.data import arfima
from ltm.engine import Protocol, choose
from ltm.errors import UserError
from tests.ltm.engine.series import OF_SERIES

# torch decomposes some derivatives through its own deprecated compiler
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def fractional_noise(d: float, n: int, seed: int) -> np.ndarray:
    return arfima.fractional_noise(d, n, np.random.default_rng(seed))


@pytest.mark.parametrize("d", [0.0, 0.2, 0.4])
def test_local_whittle_and_gph_find_d_and_cover_it(d: float) -> None:
    paths = [fractional_noise(d, 2000, seed) for seed in range(300)]
    for estimate, bias, low in ((memory.local_whittle, 0.02, 0.92), (memory.gph, 0.02, 0.92)):
        found = [estimate(path) for path in paths]
        assert np.mean([o.estimate for o in found]) == pytest.approx(d, abs=bias)
        assert low - 0.02 < np.mean([o.low <= d <= o.high for o in found]) <= 0.985  # 300 paths: 0.013 is one standard error


def test_local_whittle_minimises_its_objective() -> None:
    x = fractional_noise(0.3, 1000, 1)
    m = int(1000**0.65)
    lam = 2 * np.pi * np.arange(1, m + 1) / 1000
    spectrum = np.abs(np.array([np.exp(-1j * w * np.arange(1000)) @ (x - x.mean()) for w in lam])) ** 2 / (2 * np.pi * 1000)
    grid = np.linspace(-0.4, 0.9, 26001)
    objective = [np.log(np.mean(lam ** (2 * d) * spectrum)) - 2 * d * np.mean(np.log(lam)) for d in grid]
    assert memory.local_whittle(x).estimate == pytest.approx(grid[np.argmin(objective)], abs=1e-4)


def test_theoretical_autocorrelations_are_those_of_the_simulated_series() -> None:
    rho = memory.fractional_acf(0.2, 3)
    np.testing.assert_allclose(rho[:3], [1, 0.25, 0.25 * 1.2 / 1.8])
    np.testing.assert_allclose(np.mean([memory.acf(fractional_noise(0.2, 4000, s), 3) for s in range(40)], axis=0), rho, atol=0.02)


def test_constant_and_short_series_are_refused() -> None:
    with pytest.raises(UserError, match="constant"):
        memory.local_whittle(np.ones(100))
    with pytest.raises(UserError, match="at least 16"):
        memory.gph(np.arange(9.0))


def test_decays_are_told_apart() -> None:
    k = np.arange(1, 101)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.1, 100))
    power = memory.decay(noise * k**-1.4)
    assert (power.law, power.power) == ("power law", pytest.approx(1.4, abs=0.05))
    exponential = memory.decay(noise * np.exp(-0.3 * k))
    assert (exponential.law, exponential.rate) == ("exponential", pytest.approx(0.3, abs=0.01))
    assert memory.decay(np.full(100, 0.5) - 1e-5 * k).law == "no decay"
    assert memory.decay(np.concatenate([np.ones(5), np.zeros(20)])).law == "no response"


def network(model: dict, parameters: dict[str, float], length: int = 700) -> networks.Networks:
    """A condition of one network with given parameters (others 0) on a short ARFIMA series, without a ledger."""
    dataset = {"name": "arfima", "kind": "arfima", "length": length, "d": 0.4, "train": 300, "validation": 100}
    task = data.build(dataset)
    built = cells.build(model, task)
    named = {name: np.full(q.shape, parameters.get(name, 0.0), np.float32) for name, q in built.parameters().items()}
    flat = np.concatenate([value.ravel() for value in named.values()])
    net = object.__new__(networks.Networks)
    net.dataset, net.parameters, net.task, net.network = "arfima", flat[None], task, built
    return net


def test_definition_3_tells_an_mrnn_from_an_rnn() -> None:
    mrnn = {"W_m": 0.1, "W_f": 0.5, "W_h": 0.1, "W_x": 0.5, "V_h": 1.0, "V_m": 1.0, "b_d": float(np.log(4))}  # d = 0.5 sigma(log 4) = 0.4
    far = memory.decay(network({"name": "mrnn", "cell": "mrnn", "hidden_size": 1, "K": 100}, mrnn).response(100)[0])
    assert far.law == "power law"
    near = network({"name": "rnn", "cell": "rnn", "hidden_size": 1}, {"W_hh": 0.9, "W_ih": 0.3, "V": 1.0}).response(100)[0]
    assert memory.decay(near).law == "exponential"


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name == "attention")) for name in sorted(OF_SERIES)])
def test_the_response_is_the_derivative_of_the_outputs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"name": name, "cell": name, "hidden_size": 2} | ({"K": 20} if "K" in cells.find(name).__dataclass_fields__ else {})
    net = network(model, {})
    net.parameters = net.network.initial(3)[None]
    monkeypatch.setattr(networks, "POSITIONS", 2)
    step, inputs, measured = 1e-5, net.task.test.inputs[0], np.zeros(12)
    for position in (net.test, len(inputs) - 13):
        moved = []
        for sign in (1, -1):
            x = inputs.copy()
            x[position] += sign * step
            features = {k: torch.as_tensor(v.copy(), dtype=torch.float64) for k, v in net.network.features(x).items()}
            with torch.no_grad():
                moved.append(
                    networks.unroll(net.network, torch.as_tensor(net.parameters[0], dtype=torch.float64), features)[0][:, 0].numpy()
                )
        measured += (moved[0] - moved[1])[position + 1 : position + 13] / (2 * step) / 2
    np.testing.assert_allclose(net.response(12)[0], measured, rtol=1e-4, atol=1e-9)


def test_a_stack_responds_through_all_of_its_layers() -> None:
    """For small weights two layers are linear: dy_{t+k} / dx_t = v u2 u1 sum_j w1^j w2^(k-j)."""
    weights = {"0.W_hh": 0.5, "0.W_ih": 1e-5, "1.W_hh": 0.8, "1.W_ih": 1.0, "V": 1.0}
    net = network({"name": "rnn", "cell": "rnn", "hidden_size": 1, "layers": 2}, weights)
    k = np.arange(1, 31)
    expected = [1e-5 * sum(0.5**j * 0.8 ** (lag - j) for j in range(lag + 1)) for lag in k]
    np.testing.assert_allclose(net.response(30)[0], expected, rtol=1e-6)


def test_stored_parameters_give_the_errors_of_the_ledger() -> None:
    net = network({"name": "lstm", "cell": "lstm", "hidden_size": 1}, {})
    net.parameters = net.network.initial(0)[None]
    outputs = choose("torch", net.network, net.task, Protocol(), [0]).predict(net.parameters).outputs[0, :, 0]
    offset, scale = net.series.offset_and_scale
    np.testing.assert_allclose(net.errors()[0], net.series.values[1:][net.test :] - (outputs * scale + offset), atol=1e-4)


def test_a_response_longer_than_the_test_part_is_refused() -> None:
    with pytest.raises(UserError, match="--lags"):
        network({"name": "rnn", "cell": "rnn", "hidden_size": 1}, {"W_ih": 1.0}).response(400)


@pytest.mark.parametrize(("name", "chunk"), [("mlstm", 1 << 30), ("mist", 1), ("rwa", 1 << 30)])
def test_three_seeds_at_once_are_the_three_alone(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"name": name, "cell": name, "hidden_size": 2} | ({"K": 20} if "K" in cells.find(name).__dataclass_fields__ else {})
    net = network(model, {})
    monkeypatch.setattr(networks, "POSITIONS", 3)
    monkeypatch.setattr(networks, "CHUNK_BYTES", chunk)
    seeds = np.stack([net.network.initial(seed) for seed in range(3)])
    alone = []
    for parameters in seeds:
        net.parameters = parameters[None]
        alone.append((net.response(15)[0], net.errors()[0]))
    net.parameters = seeds
    np.testing.assert_allclose(net.response(15), [response for response, _ in alone], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(net.errors(), [errors for _, errors in alone], rtol=1e-5)


def test_the_response_of_a_nearly_linear_network_is_its_closed_form() -> None:
    """For small weights tanh is the identity: h_t = w h_{t-1} + u x_t, y_t = v h_t, so that dy_{t+k} / dx_t = v u w^k."""
    net = network({"name": "rnn", "cell": "rnn", "hidden_size": 1}, {"W_hh": 0.8, "W_ih": 1e-5, "V": 2.0})
    np.testing.assert_allclose(net.response(60)[0], 2e-5 * 0.8 ** np.arange(1, 61), rtol=1e-6)


def test_local_whittle_of_many_series_is_that_of_each() -> None:
    x = np.stack(
        [fractional_noise(d, 500, seed) for seed, d in enumerate((-0.45, 0.0, 0.3, 0.49))]
        + [np.random.default_rng(0).normal(size=500).cumsum()]
    )
    found, error = memory.local_whittle_each(x)
    frequency, power = memory.periodograms(x, None)
    for d, intensity, one in zip(found, power, x, strict=True):

        def objective(at: float, intensity: np.ndarray = intensity) -> float:
            return float(np.log(np.mean(frequency ** (2 * at) * intensity)) - 2 * at * np.log(frequency).mean())

        best = optimize.minimize_scalar(objective, bounds=(-0.499, 0.999), method="bounded", options={"xatol": 1e-7}).x
        assert d == pytest.approx(best, abs=1e-5)
        alone = memory.local_whittle(one)
        assert (alone.estimate, alone.high - alone.low) == pytest.approx((d, 2 * 1.959964 * error))
