from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.reporting.parts.paths import components as part
from analysis.statistics.paths import one_way
from analysis.studies.paths.components import components, differences
from analysis.study import Study
from tests.analysis.rows import rows


def study(draws: int, seeds: int, of_draws: float, of_seeds: float, gap: float = 0.0, key: str = "split_seed") -> Study:
    """Two models on draws of one law."""
    rng = np.random.default_rng(3)
    luck = 5 + of_draws * rng.normal(size=draws)
    parts = [
        rows(mlstmf=luck[i] + of_seeds * rng.normal(size=seeds), lstm=luck[i] + gap + of_seeds * rng.normal(size=seeds)).assign(
            fingerprint=f"split {i}", config=[{"dataset": {"name": "reviews", key: i}}] * (2 * seeds)
        )
        for i in range(draws)
    ]
    table = pd.concat(parts, ignore_index=True)
    return Study.of(table.assign(dataset="reviews", condition=table["condition"] + table["fingerprint"]))


def test_components_are_those_of_the_textbook() -> None:
    # two draws of two seeds: means 2 and 6, mean squares 2 * 8 between and 2 within, so that the draws' component is (16 - 2) / 2
    found = one_way([np.array([1.0, 3.0]), np.array([5.0, 7.0])])
    assert (found["mean"], found["sd_seeds"], found["sd_draws"]) == (4.0, pytest.approx(2**0.5), pytest.approx(7**0.5))
    assert found["share"] == pytest.approx(7 / 9)
    ratio = 8 / stats.f.ppf(0.025, 1, 2)
    assert found["high"] == pytest.approx((ratio - 1) / (ratio + 1))
    assert found["low"] == 0.0


def test_the_interval_of_the_share_covers_it() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        found = one_way(list(rng.normal(size=(10, 1)) + rng.normal(size=(10, 3))))
        covered += found["low"] <= 0.5 <= found["high"]
    assert covered / 500 == pytest.approx(0.95, abs=0.03)


def test_what_cannot_be_known_is_left_empty() -> None:
    assert np.isnan(one_way([np.array([1.0]), np.array([2.0])])["sd_seeds"])
    same = one_way([np.ones(2), np.ones(2)])
    assert (same["sd_draws"], same["sd_seeds"]) == (0.0, 0.0)
    assert np.isnan(same["share"])


def test_a_study_over_splits_tells_luck_of_the_split_from_that_of_seeds() -> None:
    one = study(draws=40, seeds=5, of_draws=2.0, of_seeds=0.5, gap=1.0)
    found = components(one).set_index("condition")
    assert list(found.index) == ["mlstmf", "lstm"]
    assert found["sd_draws"].between(1.5, 2.5).all()
    assert found["sd_seeds"].between(0.4, 0.6).all()
    assert (found["draws"] == 40).all()
    (row,) = differences(one).to_dict("records")
    assert (row["a"], row["b"], row["better"]) == ("mlstmf", "lstm", 40)  # the split's luck is both conditions'
    assert row["mean"] == pytest.approx(-1.0, abs=0.2)
    assert row["sd"] == pytest.approx(row["sd_expected"], rel=0.3)


def test_what_a_seed_brings_to_every_draw_is_told_apart_where_it_starts_alike() -> None:
    rng = np.random.default_rng(4)
    of_seed = 2.0 * rng.normal(size=40)
    parts = [
        rows(lstm=rng.normal() + of_seed + 0.5 * rng.normal(size=40)).assign(
            fingerprint=f"split {i}", config=[{"dataset": {"name": "reviews", "split_seed": i}}] * 40, draws="lstm"
        )
        for i in range(8)
    ]
    table = pd.concat(parts, ignore_index=True)
    (row,) = components(Study.of(table.assign(dataset="reviews", condition=table["condition"] + table["fingerprint"]))).to_dict("records")
    assert row["sd_seeds"] == pytest.approx((4 + 0.25) ** 0.5, rel=0.25)
    assert row["sd_of_seed"] == pytest.approx(2, rel=0.3)
    assert row["sd_product"] == pytest.approx(0.5, rel=0.15)
    elsewhere = table.assign(dataset="reviews", condition=table["condition"] + table["fingerprint"], draws=table["fingerprint"])
    assert np.isnan(components(Study.of(elsewhere))["sd_of_seed"]).all()


def test_splits_and_seeds_that_only_add_up_are_told_apart_exactly() -> None:
    effects, seeds = np.array([-0.03, -0.01, 0.0, 0.01, 0.03]), np.array([-0.1, 0.1])
    parts = [
        rows(lstm=0.5 + effect + seeds, gru=0.5 + effect + seeds[::-1] / 3).assign(
            fingerprint=f"split {i}", config=[{"dataset": {"name": "reviews", "split_seed": i}}] * 4, draws=["lstm"] * 2 + ["gru"] * 2
        )
        for i, effect in enumerate(effects)
    ]
    table = pd.concat(parts, ignore_index=True)
    one = Study.of(table.assign(dataset="reviews", condition=table["condition"] + table["fingerprint"]))
    lstm = components(one).set_index("condition").loc["lstm"]
    assert lstm["sd_draws"] == pytest.approx(effects.std(ddof=1)), "one way, the seeds would hide it"
    assert (lstm["sd_product"], lstm["sd_of_seed"]) == (pytest.approx(0, abs=1e-9), pytest.approx(0.2 / 2**0.5))
    assert lstm["share"] == pytest.approx(effects.var(ddof=1) / (effects.var(ddof=1) + 0.02))
    assert np.isnan(lstm["low"]), "the F distribution is not of such data"
    (row,) = differences(one).to_dict("records")
    assert (row["better"], row["equal"]) == (0, 5), "equal but for the last bits"
    assert row["sd_expected"] == pytest.approx(0, abs=1e-9), "a seed's own part is the same on every split"


def test_the_report_has_a_part_of_it_only_where_data_were_drawn_several_times() -> None:
    section = part.section(study(draws=3, seeds=2, of_draws=1.0, of_seeds=1.0))
    assert [table.name for table in section.tables] == ["components", "differences_of_draws"]
    assert section.tables[0].shown["condition"].tolist() == ["MLSTMF", "LSTM"]
    assert not part.section(study(draws=3, seeds=2, of_draws=1.0, of_seeds=1.0, key="length")).holds_something
