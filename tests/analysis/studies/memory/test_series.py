"""The memory of a series, and of forecasts and residuals: the figures, the sentences, the command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reporting.parts.memory import series as words
from analysis.statistics import Outcome, memory
from analysis.statistics.intervals import mean_interval
from analysis.studies.memory import networks
from analysis.studies.memory.series import measure, taken_out
from analysis.study import Study
from ltm.data.arfima import fractional_noise
from ltm.errors import UserError
from tests.analysis.studies.memory.untrained import study


@pytest.fixture(scope="module")
def path() -> np.ndarray:
    return fractional_noise(0.35, 700, np.random.default_rng(1))


def test_a_series_has_every_estimate_and_a_sentence(path: np.ndarray) -> None:
    found = measure("noise", path + 3)
    table = found.table()
    assert list(table["estimator"]) == [
        "exact local Whittle", "local Whittle", "GPH", "ARFIMA(0, d, 0)", "DFA", "rescaled range"
    ]  # fmt: skip
    one = memory.exact_local_whittle(path + 3)
    assert tuple(table.loc[0, ["d", "low", "high", "p"]]) == (one.estimate, one.low, one.high, one.p)
    assert words.sentence(found).startswith(f"noise, 700 values: d = {one.estimate:.2f} ({one.low:.2f} to {one.high:.2f}): long memory")
    assert "Qu's test sees no level shift" in words.sentence(found)
    shifted = measure("steps", np.random.default_rng(0).standard_normal(700) + 2 * (np.arange(700) > 300))
    assert "Qu's test rejects (W = " in words.sentence(shifted)
    with pytest.raises(UserError, match="at least 64"):
        measure("short", path[:40])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.6, 0.9, "not stationary"), (0.1, 0.4, "long memory"), (0.3, 0.6, "long memory, perhaps not stationary"),
        (-0.1, 0.2, "no long memory is shown"), (-0.4, -0.1, "negative memory"),
    ],
)  # fmt: skip
def test_an_interval_is_said_in_words(low: float, high: float, said: str) -> None:
    assert words.in_words(Outcome((low + high) / 2, low, high)) == said


def test_forecasts_and_residuals_of_every_seed_are_measured(tmp_path: Path) -> None:
    book = study(tmp_path, 4, diverged=(2,))
    rows = networks.seeds(book.runs())
    groups = networks.load(book, rows)
    (row,) = taken_out(groups, Study.of(rows)).to_dict("records")
    actual, errors = groups[0].series.values[1:][groups[0].test :], groups[0].errors()
    left = [memory.exact_local_whittle(e) for e in errors]
    d = np.array([o.estimate for o in left])
    assert (row["seeds"], row["steps"]) == (3, 75)
    assert row["actual_d"] == memory.exact_local_whittle(actual).estimate
    assert (row["residual_d"], row["residual_low"], row["residual_high"]) == pytest.approx((d.mean(), *mean_interval(d)))
    assert row["forecast_d"] == pytest.approx(np.mean([memory.exact_local_whittle(actual - e).estimate for e in errors]))
    assert row["left"] == sum(o.low > 0 for o in left)
    assert f"RNN in {row['left']} of 3" in words.left_in_words(pd.DataFrame([row]))[0]


def test_the_command_prints_and_writes_the_memory_of_a_column(path: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "series.csv", tmp_path / "out"
    pd.DataFrame({"day": [f"d{i}" for i in range(700)], "flow": path + 0.02 * np.arange(700)}).to_csv(file, index=False)
    assert main(["memory", str(file), "--trend", "--out", str(out), "--lags", "30"]) == 0
    shown = capsys.readouterr().out
    assert "flow without its linear trend, 700 values: d = 0." in shown
    found = pd.read_csv(out / "memory.csv")
    assert found["d"][0] == pytest.approx(memory.exact_local_whittle(memory.detrended(path)).estimate, abs=1e-6)
    assert len(pd.read_csv(out / "autocorrelations.csv")) == 31
    assert list(pd.read_csv(out / "bandwidths.csv")["m"]) == [int(700**power) for power in memory.bandwidths.POWERS]
    assert pd.read_csv(out / "tests.csv").loc[0, "qu_p"] == memory.qu(memory.detrended(path + 0.02 * np.arange(700))).p
    assert (out / "memory.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("a,b\n1,2\n3,4\n", [], "2 columns of numbers (a, b); expected --column"),
        ("a\n1\n2\n", ["--column", "c"], "'c'"),
        ("a\n1\n2\n", [], "at least 64"),
        ("a\n1\n2\n", ["--metric", "test_rmse"], "--metric is of a study's folder"),
        ("a,b\n1,x\n,x\n", ["--column", "a"], "line 3: no value"),
        ("a\n" + "1\n" * 100, [], "constant"),
    ],
)
def test_bad_files_are_refused_in_a_line(
    text: str, arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.csv").write_text(text)
    assert main(["memory", str(tmp_path / "s.csv"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
