"""Series that differ in one number: how they are found, and that a report draws them as one figure over it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from analysis import Study, judge
from analysis.naming import FIRST, Spot, spots, told_apart
from analysis.reporting import answer, build, plots
from analysis.reporting.parts import first, series, success
from analysis.reporting.section import Plot
from ltm.data import ADDED
from tests.analysis.rows import classified

LENGTHS = (2, 5, 8, 10, 15, 20, 25, 30, 40, 50)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """An LSTM that learns every length and an RNN that learns those up to 20, whose other seeds have half of the sequences right."""
    rng = np.random.default_rng(0)
    parts = []
    for length in LENGTHS:
        short = classified(lstm=1 - rng.random(20) / 50, rnn=np.where(length <= 20, 1, 0.5) - rng.random(20) / 50)
        config = {"dataset": {"name": "latching", "length": length, "classes": 2}}
        some = short.drop(columns=["test_success", "test_sequences"]).assign(fingerprint=f"length {length}", config=json.dumps(config))
        parts.append(some.assign(condition=some["condition"] + f" length={length}"))
    return pd.concat(parts[::-1], ignore_index=True)


def test_a_number_is_an_axis_from_three_values_on_and_other_settings_make_tasks() -> None:
    over = [{"length": n, "noise": noise, "kind": "latching"} for noise in (0.1, 0.2) for n in (5, 10, 20)]
    over_splits = spots("reviews", [{"layout": layout, "split_seed": seed} for layout in ("transpose", "released") for seed in range(3)])
    assert spots("latching", over[:3]) == [Spot("latching", "length", x) for x in (5.0, 10.0, 20.0)]
    assert spots("latching", over)[4] == Spot("latching noise=0.2", "length", 10.0)
    assert spots("latching", over[:2]) == []
    assert spots("latching", over[:-1]) == []  # of one task two values are left
    assert [spot.drawn for spot in spots("arfima", [{"seed": seed} for seed in range(5)])] == [True] * 5
    assert [spot.drawn for spot in over_splits] == [True] * 6
    assert {spot.task for spot in over_splits} == {"reviews layout=transpose", "reviews layout=released"}
    lengths = spots("latching", [{"length": length, "seed": seed} for length in (5, 10, 20) for seed in range(4)])
    assert {(spot.key, spot.task) for spot in lengths} == {("length", f"latching seed={seed}") for seed in range(4)}
    processes = spots("latching", [{"length": length, "seed": seed} for length in (5, 10, 20) for seed in range(6)])
    assert {(spot.key, spot.task) for spot in processes} == {("seed", f"latching length={length}") for length in (5, 10, 20)}
    assert [
        (spot.drawn, spot.independent) for spot in (Spot("", key, 0) for key in ("seed", "path", "split seed", "origin", "length"))
    ] == [
        (True, True),
        (True, True),
        (True, False),
        (True, False),
        (False, False),
    ]
    assert spots("own", [{"column": name} for name in "abc"]) == []
    assert spots("flag", [{"on": value} for value in (True, False, True)]) == []


@pytest.mark.parametrize(
    ("key", "drawn", "independent"),
    [
        ("seed", True, True), ("path", True, True), ("noise path", True, True),
        ("split seed", True, False), ("vectors seed", True, False), ("origin", True, False), ("length", False, False),
    ],
)  # fmt: skip
def test_draws_are_no_axis_and_only_those_of_a_process_are_independent(key: str, drawn: bool, independent: bool) -> None:
    assert (Spot("any", key, 1.0).drawn, Spot("any", key, 1.0).independent) == (drawn, independent)


def test_data_from_before_there_were_paths_are_path_0() -> None:
    grown = [{"d": 0.4}, {"d": 0.4, "path": 1}, {"d": 0.4, "path": 2}]
    assert told_apart(grown) == ["path=0", "path=1", "path=2"]
    assert [spot.at for spot in spots("arfima", grown)] == [0.0, 1.0, 2.0]
    assert told_apart([{"d": 0.4}, {"d": 0.3}]) == ["d=0.4", "d=0.3"]


def test_a_study_over_a_number_is_one_part_and_one_figure(runs: pd.DataFrame) -> None:
    study = Study.of(runs)
    verdicts = judge(study)
    (part,) = series.sections(verdicts)
    assert (study.axis, part.title) == ("length", "By length")
    (figure,) = part.plots
    lines = {line.get_label(): line for line in figure.drawing.whole().axes[0].lines}
    assert set(lines) == {"LSTM", "RNN"}
    assert list(np.asarray(lines["RNN"].get_xdata())) == list(LENGTHS)
    assert figure.finds["latching"].startswith("latching, length from 2 to 50: LSTM from 9")
    table = part.tables[0].shown
    assert list(table["length"]) == [str(length) for length in LENGTHS]
    assert list(table["best"])[-2:] == ["LSTM", "LSTM"]
    assert "Every condition in figures (20)" in part.more


def test_verdicts_over_a_number_are_rows_and_effects_one_panel_a_reference(runs: pd.DataFrame) -> None:
    part = first.section(judge(Study.of(runs)))
    assert [plot.drawing.names for plot in part.plots] == [("latching, against RNN",)]
    assert "LSTM is better at 25, 30, 40, 50" in part.plots[0].finds["latching, against RNN"]
    table = part.tables[0].shown
    assert list(table.columns) == [("length", ""), ("LSTM", "RNN")]
    assert table.iloc[-1, 1] == "▲ 1.00"


def test_seeds_of_a_task_without_a_criterion_succeed_by_their_accuracy(runs: pd.DataFrame) -> None:
    part = success.section(runs, Study.of(runs))
    assert part.plots[0].caption == "Seeds that succeed (test accuracy above 95 %), with Wilson's 95 % interval of their share."
    axis = part.plots[0].drawing.whole().axes[0]
    assert [list(np.asarray(line.get_ydata())) for line in axis.lines] == [[100.0] * 10, [100.0] * 6 + [0.0] * 4]
    assert list(part.tables[0].shown["RNN, %"])[-1] == "0 (0 to 16)"
    known = runs.assign(test_success=1.0)
    assert "accuracy" not in success.section(known, Study.of(known)).plots[0].caption
    assert not success.section(runs.assign(test_accuracy=0.3), Study.of(runs)).holds_something


def test_the_answer_says_at_which_numbers(runs: pd.DataFrame) -> None:
    assert answer.best(judge(Study.of(runs))).startswith("May be the best network: LSTM on all 10 tasks; RNN at length 2 to 20.")
    assert answer.spans_of([2, 10, 15, 30], [2, 5, 10, 15, 20, 30]) == ["2", "10 to 15", "30"]


def test_a_figure_of_a_panel_a_series_shows_four_of_those_that_differ_in_a_number(runs: pd.DataFrame) -> None:
    study = Study.of(runs)
    assert study.samples == tuple(f"latching length={length}" for length in (2, 10, 25, 50))
    one = build.sampled(Plot("spread", "Boxes.", plots.spread(study), {}), study)
    assert (one.panels, one.caption) == (study.samples, "Boxes. 4 of 10 tasks.")
    assert len(one.drawing.names) == 10
    whole = Plot("ranks", "", plots.critical_difference(pd.Series([1.0, 2.0], ["a", "b"]), 1.0), {})
    assert build.sampled(whole, study) is whole


def test_keys_that_came_later_have_here_what_the_data_give_them() -> None:
    assert FIRST.items() <= ADDED.items()
