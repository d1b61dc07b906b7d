"""Series: simulators against theory, files against their sums, and every bad input in words."""

import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm import data
from ltm.data import arfima, files, random_rnn
from ltm.errors import UserError

PAPER = {"d": 0.4, "ar": [0.7, -0.4], "ma": [-0.2]}


def local_whittle(x: np.ndarray) -> float:
    """Robinson's (1995) estimate of d from the lowest n^0.65 frequencies."""
    from scipy.optimize import minimize_scalar

    m = int(len(x) ** 0.65)
    periodogram = np.abs(np.fft.rfft(x - x.mean())[1 : m + 1]) ** 2
    frequency = np.arange(1, m + 1, dtype=float)
    objective = lambda d: np.log((periodogram * frequency ** (2 * d)).mean()) - 2 * d * np.log(frequency).mean()  # noqa: E731
    return float(minimize_scalar(objective, bounds=(-0.49, 0.99), method="bounded").x)


def autocovariance(lags: int) -> np.ndarray:
    """Of the paper's model, from its spectral density."""
    w = (np.arange(2**20) + 0.5) * np.pi / 2**20
    z = np.exp(-1j * w)
    density = np.abs(1 - 0.2 * z) ** 2 / np.abs(1 - 0.7 * z + 0.4 * z**2) ** 2 * np.abs(1 - z) ** -0.8
    return np.array([(density * np.cos(k * w)).mean() for k in range(lags)])


def test_simulated_arfima_has_the_memory_and_autocovariances_of_theory() -> None:
    paths = np.array([arfima.simulate(4001, **PAPER, seed=seed) for seed in range(50)])
    assert np.mean([local_whittle(path) for path in paths]) == pytest.approx(0.4, abs=0.05)
    # About the known mean 0, so that the sample autocovariance is unbiased.
    sample = np.array([[(p[: len(p) - k] * p[k:]).mean() for k in range(10)] for p in paths])
    error = sample.std(0, ddof=1) / np.sqrt(len(paths))
    assert (np.abs(sample.mean(0) - autocovariance(10)) < 4 * error).all()


def test_fractional_noise_autocovariance_is_hoskings() -> None:
    gamma = arfima.fractional_noise_autocovariance(0.3, 3)
    assert gamma[1] / gamma[0] == pytest.approx(0.3 / 0.7)
    assert gamma[2] / gamma[1] == pytest.approx(1.3 / 1.7)


def test_simulated_series_repeat_with_their_seed() -> None:
    np.testing.assert_array_equal(arfima.simulate(100, **PAPER, seed=4), arfima.simulate(100, **PAPER, seed=4))
    assert not np.array_equal(arfima.simulate(100, **PAPER, seed=4), arfima.simulate(100, **PAPER, seed=5))
    np.testing.assert_array_equal(random_rnn.simulate(100, seed=4), random_rnn.simulate(100, seed=4))


def test_the_short_memory_series_has_none() -> None:
    estimates = [local_whittle(random_rnn.simulate(4001, seed=seed)) for seed in range(20)]
    assert abs(np.mean(estimates)) < 0.1


def test_scaling_as_released_and_on_the_training_part_only() -> None:
    base = {"kind": "arfima", "name": "a", "length": 301, "train": 150, "validation": 75}
    whole, honest = data.build(base), data.build({**base, "scaling": "train_only"})
    assert whole.series is not None
    assert honest.series is not None
    assert whole.train.inputs.min() == 0 or whole.train.targets.min() == 0
    assert np.ptp(honest.series.values[:151]) == honest.series.offset_and_scale[1]
    assert whole.fingerprint != honest.fingerprint
    offset, scale = whole.series.offset_and_scale
    np.testing.assert_allclose(whole.train.targets[0, :, 0] * scale + offset, whole.series.values[1:])


def test_the_published_series_have_the_splits_of_the_paper(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(real_data))
    from sweeps.config import compose

    expected = {"arfima_paper": (2000, 1200, 800), "dji": (2500, 1500, 1028), "traffic": (1400, 200, 259), "tree": (2500, 1000, 850)}
    for name, parts in expected.items():
        series = data.build(compose([f"dataset={name}"]).datasets[0]).series
        assert series is not None
        assert (series.train, series.validation, len(series.values) - 1 - series.train - series.validation) == parts


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        ("x\n1\n2\n3\n4\n", {"column": "y"}, "unknown column of .*'y'.*There are: x"),
        ("x\n1\ntwo\n3\n4\n", {}, "line 3: 'two' is not a number"),
        ("x\n1\n\n3\n\n", {}, "line 3: no value, nor in 1 further lines; name a rule for missing values .dataset.fill=previous"),
        ("x\n1\nnan\n3\n4\n", {}, "line 3: no value; name a rule .* or cut"),
        ("", {}, "cannot be read as CSV"),
        ("x\n", {}, "no rows"),
        ("x\n1\n1\n1\n1\n1\n", {}, "constant"),
        ("x\n1\n2\n3\n", {"train": 2, "validation": 1}, "takes 2 . 1 pairs, the series has 2"),
        ("x\n1\n2\n3\n4\n5\n", {"train": 0}, "at least 1 pair"),
        ("x\n1\n2\n3\n4\n5\n", {"scaling": "log"}, "scaling is 'log'; expected one of released"),
        ("x\n1\n2\n3\n4\n5\n", {"colum": "x"}, "Did you mean 'column'"),
    ],
)
def test_a_bad_csv_is_refused_in_words(tmp_path: Path, content: str, keys: dict, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(content)
    dataset = {"kind": "csv", "name": "own", "file": str(path), "train": 1, "validation": 1, **keys}
    with pytest.raises(UserError, match=message):
        data.build(dataset)


def test_a_series_may_be_a_column_of_a_parquet_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(20) % 7 / 4})
    frame.to_csv(tmp_path / "own.csv", index=False)
    frame.to_parquet(tmp_path / "own.parquet")
    dataset = {"kind": "csv", "name": "own", "train": 8, "validation": 5}
    first, second = (data.build({**dataset, "file": str(tmp_path / name)}).fingerprint for name in ("own.csv", "own.parquet"))
    assert first == second


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.csv.gz", b"x\n1\n2\n", "cannot be read as CSV .BadGzipFile"),
        ("own.csv.zip", b"x\n1\n2\n", "cannot be read as CSV .BadZipFile"),
        ("own.csv.xz", b"x\n1\n2\n", "cannot be read as CSV"),
        ("own.csv", "x\n1\né\n".encode("latin-1"), "cannot be read as CSV .UnicodeDecodeError"),
        ("own.csv", bytes(range(256)), "own.csv"),
    ],
)
def test_a_file_that_is_no_csv_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        files.read_column(str(tmp_path / name), "x")
    assert str(error.value).isprintable()


def test_a_folder_and_what_is_no_path_are_one_line(tmp_path: Path) -> None:
    for name, message in (
        (str(tmp_path), "is a folder"),
        ("x" * 5000, "is no path|is not there"),
        ("~nobody-here/x", "is not there"),
        ("a\x00b", "a.x00b"),
    ):
        with pytest.raises(UserError, match=message) as error:
            files.read_column(name, "x")
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"length": True}, "dataset.length is True"),
        ({"length": 1e3}, "dataset.length is 1000.0; expected a whole number"),
        ({"ar": {"a": 1}}, "dataset.ar is {'a': 1}; expected a list"),
        ({"ar": [0.1] * 1001}, "dataset.ar has 1,001 values"),
        ({"ma": [float("inf")]}, "dataset.ma.0. is inf"),
        ({"d": 10**400}, "dataset.d is 1000.*; expected a finite number"),
        ({"train": None}, "dataset.train is null"),
        ({"seed": 2**70}, "dataset.seed"),
        ({"name": "a\nb"}, "dataset.name"),
        ({"kind": None}, "unknown dataset kind 'null'"),
        ({1: 2}, "unknown key of dataset"),
    ],
)
def test_a_key_with_a_value_that_it_cannot_have_is_refused(keys: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.build({"kind": "arfima", "name": "a", "length": 301, "train": 150, "validation": 75, **keys})


def test_a_dataset_that_lacks_a_key_is_refused() -> None:
    with pytest.raises(UserError, match="dataset 'a' lacks train, validation"):
        data.build({"kind": "arfima", "name": "a"})


def test_an_ar_part_without_effect_is_none() -> None:
    np.testing.assert_array_equal(arfima.simulate(50, 0.2, [0.0]), arfima.simulate(50, 0.2))


def test_a_missing_file_names_the_fetch_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"python -m ltm.data fetch tree7.csv"):
        files.locate("tree7.csv")


def test_a_file_with_another_sum_is_refused_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(tmp_path))
    (tmp_path / "tree7.csv").write_text("x\n1\n")
    for call in (files.locate, files.fetch):
        with pytest.raises(UserError, match="sum|published one"):
            call("tree7.csv")
    assert (tmp_path / "tree7.csv").read_text() == "x\n1\n"


def test_fetch_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Path) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(tmp_path / "new"))
    good = (real_data / "tree7.csv").as_uri()
    opened = urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: opened((real_data / "DJI.csv").as_uri()))
    with pytest.raises(UserError, match="another sum"):
        files.fetch("tree7.csv")
    assert not list((tmp_path / "new").iterdir())
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: opened(good))
    seen = []
    path, new = files.fetch("tree7.csv", lambda done, total: seen.append(done))
    assert new
    assert seen[-1] == path.stat().st_size
    assert files.fetch("tree7.csv") == (path, False)


def test_no_connection_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(files, "BASE", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot fetch tree7.csv"):
        files.fetch("tree7.csv")
    assert not list(tmp_path.iterdir())
