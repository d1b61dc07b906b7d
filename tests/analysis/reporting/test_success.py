"""Reports of accuracies and of success: the words, the heaps of seeds that learn nothing, baselines as rows, curves of success."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis import Rule, Study, judge
from analysis.reporting import answer, build, plots
from analysis.reporting.page import Head, page, rendered
from analysis.reporting.parts import first, lengths, series, success
from tests.analysis.rows import classified, rows

RNG = np.random.default_rng(0)


def heaps(level: float, stuck: float, n: int = 30) -> list[float]:
    """Accuracies of 50 test sequences: seeds that learned, and seeds at the majority class."""
    learned = RNG.binomial(50, level, n) / 50
    return list(np.where(RNG.random(n) < stuck, 0.5, learned))


RUNS = classified(rnn=heaps(0.7, 0.5), lstm=heaps(0.9, 0.3), mrnn_5=heaps(0.9, 0.2), mrnn_9=heaps(0.95, 0.1))
HELD = pd.DataFrame(
    [
        {"fingerprint": "data of latching", "dataset": "latching", "baseline": kind, "label": kind, "test_accuracy": accuracy}
        for kind, accuracy in (("majority", 0.5), ("linear last", 0.62), ("linear mean", 0.58))
    ]
)


def text(whole: str) -> str:
    """What a page says, words of figures included."""
    whole = re.sub(r"<style.*?</style>", "", whole, flags=re.S)
    whole = re.sub(r'<svg[^>]*aria-label="([^"]*)".*?</svg>', r" \1 ", whole, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", whole)))


def written(study: Study) -> str:
    """All parts of a report that need no ledger."""
    verdicts = judge(study)
    parts = [first.section(verdicts), lengths.section(verdicts), success.section(RUNS, study), *series.sections(verdicts)]
    return page(Head("made up", build.run_in_words(verdicts), "", ""), parts, list(rendered(parts)))


@pytest.fixture(scope="module")
def accuracies() -> str:
    return text(written(Study.of(RUNS, baselines=HELD)))


def test_a_page_about_accuracies_speaks_of_no_error(accuracies: str) -> None:
    assert not [
        word
        for word in ("RMSE", "error", "forecast", "smaller", " series", " nan")
        if word in accuracies.replace("smaller number of sequences", "")
    ]
    assert "Judged by test accuracy; higher is better." in accuracies
    assert "P(higher accuracy) = " in accuracies
    assert "Band: ±2 points." in accuracies
    assert "the median is highest for MRNN K=9" in accuracies


def test_numbers_that_are_no_series_are_those_of_a_task() -> None:
    table = rows(rnn=list(RNG.normal(2, 0.1, 12)), lstm=list(RNG.normal(1, 0.1, 12)))
    adding = {"name": "adding", "length": 20, "sequences": 100, "validation_share": 0.2}
    study = Study.of(table.assign(config=json.dumps({"dataset": adding})))
    told = text(written(study))
    assert "24 seed runs: 2 conditions on 1 task, " in told
    assert "Judged by test RMSE; smaller is better." in told
    assert not [word for word in (" series", "forecast") if word in told]
    assert list(answer.pairs(judge(study))[0].columns[:2]) == ["task", "a"]
    assert "on 1 series, " in text(written(Study.of(table)))


def test_classifiers_without_a_network_are_rows(accuracies: str) -> None:
    assert re.search(r"majority – 50\.00 .*linear last – 62\.00 .*linear mean – 58\.00", accuracies)
    assert "above majority" in accuracies
    assert "seeds with a higher accuracy than the best classifier without a network" in accuracies


def test_success_has_a_part_of_its_own_where_it_is_known(accuracies: str) -> None:
    assert "Seeds that succeed, with Wilson's 95 % interval of their share." in accuracies
    assert "Seeds that have not succeeded yet" in accuracies
    assert "Barnard's exact test, Holm over" in accuracies
    assert "log-rank test, Holm over" in accuracies
    assert not success.section(rows(rnn=[1.0, 2.0]), Study.of(rows(rnn=[1.0, 2.0]))).holds_something


@pytest.mark.parametrize(
    ("metric", "words"), [("test_success", "of 30 seeds succeed"), ("test_sequences", "Median sequences until success: ")]
)
def test_a_study_may_be_judged_by_success_alone(metric: str, words: str, tmp_path: Path) -> None:
    study = Study.of(RUNS, Rule(metric))
    told = text(written(study))
    assert words in told
    assert not [word for word in ("RMSE", "error", "forecast", " nan") if word in told]
    verdicts = judge(study)
    assert Path(build.write_table(verdicts, tmp_path)).is_file()
    assert (tmp_path / "tables" / "success.csv").is_file()


def test_two_heaps_are_seen_as_two() -> None:
    figure = plots.spread(Study.of(classified(rnn=[0.5] * 12 + [0.9] * 6))).whole()
    bars = [bar for bar in figure.axes[0].patches if abs(bar.get_height()) > 0]
    assert sorted(abs(bar.get_height()) for bar in bars) == pytest.approx([0.375, 0.75])
    assert bars[0].get_x() < 60 < bars[-1].get_x()
    plt.close(figure)


def test_curves_of_success_fall_to_the_share_that_never_does() -> None:
    study = Study.of(classified(rnn=[0.5] * 12 + [0.9] * 6, lstm=[0.5] * 18), Rule("test_sequences"))
    rnn, lstm = (line.get_ydata() for line in plots.survival_curves(study).whole().axes[0].lines)
    assert (rnn[0], rnn[-1]) == (1.0, pytest.approx(12 / 18))
    assert set(lstm) == {1.0}
