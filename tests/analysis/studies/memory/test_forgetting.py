"""Memory over all seeds of a condition: what is averaged, what is left out, and what was kept of other seeds."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.diagnostic import acorr_ljungbox

from analysis.reporting import folder
from analysis.reporting.parts.memory import forgetting as part
from analysis.reporting.section import Section
from analysis.statistics import memory
from analysis.statistics.intervals import mean_interval
from analysis.studies.memory import forgetting, networks
from analysis.study import Study
from sweeps.store.ledger import Ledger
from tests.analysis.rows import rows as made_up
from tests.analysis.studies.memory.untrained import study

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def by_seed(book: Ledger) -> pd.DataFrame:
    return book.runs().sort_values("seed", ignore_index=True)


def shown(book: Ledger) -> Section:
    """The report's part."""
    runs = by_seed(book)
    return part.section(book, runs, Study.of(runs), forgetting.measure(book, runs, Study.of(runs)))


def test_a_condition_of_three_seeds_is_the_mean_of_the_three_alone(tmp_path: Path) -> None:
    book = study(tmp_path, 4, diverged=(2,))
    rows = networks.seeds(by_seed(book))
    assert list(rows["seed"]) == [0, 1, 3]
    found = forgetting.memory_table(networks.load(book, rows), Study.of(rows))
    table, series = found.table, found.series
    alone = [forgetting.memory_table(networks.load(book, rows.iloc[[i]]), Study.of(rows)).table.iloc[0] for i in range(3)]
    (row,) = table.to_dict("records")
    d = np.array([one["residual_d"] for one in alone])
    assert row["seeds"] == 3
    assert found.residuals["rnn / arfima"] == pytest.approx(d)
    assert row["residual_d"] == pytest.approx(d.mean())
    assert row["residual_median"] == pytest.approx(np.median(d))
    assert (row["residual_low"], row["residual_high"]) == pytest.approx(mean_interval(d))
    assert row["not_zero"] == pytest.approx(np.mean([one["not_zero"] for one in alone]))
    assert np.isnan(alone[0]["residual_low"])  # one seed carries no interval
    one = memory.local_whittle(networks.load(book, rows.iloc[[0]])[0].errors()[0])
    assert (alone[0]["residual_d"], alone[0]["own"]) == pytest.approx((one.estimate, (one.high - one.low) / 2))
    assert list(series) == ["arfima"]


def test_the_first_seeds_by_number_are_measured(tmp_path: Path) -> None:
    rows = by_seed(study(tmp_path, 5, diverged=(1,)))
    assert list(networks.seeds(rows.iloc[::-1], most=3)["seed"]) == [2, 0]
    assert "first 3 seeds" not in part.left_out(rows, ["rnn / arfima"])
    assert "1 further conditions" in part.left_out(pd.concat([rows, rows.assign(condition="b")]), ["b"])


def test_responses_of_other_seeds_are_not_read_as_current(tmp_path: Path) -> None:
    book = study(tmp_path, 3)
    (group,) = networks.load(book, networks.seeds(by_seed(book)))
    laws = forgetting.law_rows(group, group.response(20))
    book.put(f"report/{folder.RESPONSES[0]}", laws.to_csv(index=False).encode())
    kept, stale = part.current(book, networks.seeds(by_seed(book)))
    assert (list(kept["run_id"]), stale) == (["r0", "r1", "r2"], [])
    assert [table.name for table in shown(book).tables] == ["memory", "laws"]
    book = study(tmp_path, 4)  # one seed more
    kept, stale = part.current(book, networks.seeds(by_seed(book)))
    assert (len(kept), stale) == (0, ["rnn / arfima"])
    section = shown(book)
    assert "measured on other seeds" in section.text
    assert [table.name for table in section.tables] == ["memory"]
    book.put(f"report/{folder.RESPONSES[0]}", b"run_id,law,power,rate\nr0,either,1,1\n")  # of an older ltm
    assert part.current(book, by_seed(book))[0].empty


def test_laws_are_counted_over_seeds_with_their_intervals() -> None:
    k = np.arange(1, 41)
    decays = [memory.decay(1.0 * k**-a) for a in (1.2, 1.4, 1.6)] + [memory.decay(np.exp(-0.3 * k)), memory.decay(np.ones(40))]
    rows = pd.DataFrame(
        [
            {
                "condition": "rnn / tree",
                "to_lag": 40,
                "law": one.law,
                "power": one.power,
                "rate": one.rate,
                "law_beyond": None,
                "rate_beyond": None,
            }
            for one in decays
        ]
    )
    (row,) = forgetting.law_table(rows).to_dict("records")
    assert (row["power_law"], row["exponential"], row["no_decay"], row["measured"]) == (0.6, 0.2, 0.2, 5)
    assert (row["power_low"], row["power_high"]) == pytest.approx(mean_interval(rows["power"].to_numpy()))
    shown = part.laws_for_page(forgetting.law_table(rows), Study.of(made_up(rnn=[1.0, 2.0]))).iloc[0]
    assert (shown["condition"], shown["series"]) == ("RNN", "tree")
    assert shown["law of decay"] == "3 power law, 1 exponential, 1 no decay of 5"
    assert shown["law beyond K"] == "–"


def test_the_law_up_to_the_filter_length_and_beyond_it_are_told_apart() -> None:
    k = np.arange(1, 101)
    response = np.where(k <= 25, 0.3 * k**-1.3, 0.3 * 25**-1.3 * np.exp(-0.4 * (k - 25)))[None]

    def of(K: int | None) -> pd.Series:
        rows = pd.DataFrame({"run_id": ["r"], "seed": [0], "K": pd.array([K], dtype="Int64")})
        return forgetting.law_rows(SimpleNamespace(rows=rows, condition="c"), response).iloc[0]  # type: ignore[arg-type]

    assert of(None)["law"] == "exponential"  # the cut at 25, which is no law of the filter
    assert (of(25)["to_lag"], of(25)["law"], of(25)["law_beyond"]) == (25, "power law", "exponential")
    assert of(25)["power"] == pytest.approx(1.3)
    assert of(25)["rate_beyond"] == pytest.approx(0.4)
    assert (of(95)["to_lag"], of(95)["law_beyond"]) == (95, None)  # five lags carry no law
    assert (of(5)["law"], of(5)["law_beyond"]) == (None, "exponential")
    assert forgetting.law_table(pd.DataFrame([of(25), of(25)]))["beyond_exponential"][0] == 1.0


def test_ljung_box_of_many_is_that_of_statsmodels() -> None:
    x = np.random.default_rng(0).normal(size=(5, 200)).cumsum(1) * 0.1 + np.random.default_rng(1).normal(size=(5, 200))
    theirs = [acorr_ljungbox(one, lags=[20])["lb_pvalue"].iloc[0] for one in x]
    np.testing.assert_allclose(memory.ljung_box_each(x, 20), theirs, rtol=1e-8)
