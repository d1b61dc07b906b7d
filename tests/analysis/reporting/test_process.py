"""The page of a study of many paths speaks of the process first, and does not grow with the paths; that of one path says what it is not about."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.__main__ import main
from analysis.reporting import answer, build, sentences
from analysis.reporting.parts import first, series
from analysis.reporting.parts.paths import components, process
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import Study
from tests.analysis.reporting.test_page import written
from tests.analysis.rows import held, on_paths, rows

GAPS = {"rnn": 0.0, "lstm": 0.0, "mrnn_5": -1.0}


def judged(paths: int, *names: str, **gaps: float) -> Verdicts:
    return judge(Study.of(pd.concat([on_paths(paths, 8, name=name, **(gaps or GAPS)) for name in names], ignore_index=True)))


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return judged(12, "arfima", "walk")


def test_the_first_sentence_speaks_of_the_process(verdicts: Verdicts) -> None:
    text = answer.paragraph(verdicts)
    assert text.startswith(
        "On the process arfima, over 12 simulated paths (8 seeds each), RNN is beaten by MRNN K=5; LSTM is beaten by MRNN K=5; the clearest:"
    )
    assert "On the process walk, over 12 simulated paths" in text
    assert "; 1 of 3 pairs is not told apart." in text
    assert "one path" not in text
    few = answer.paragraph(judged(6, "arfima", rnn=0.0, lstm=-9.0, gru=-9.0))
    assert few == "On the process arfima, over 6 simulated paths (8 seeds each), no verdict is possible: 7 paths are needed for 3 claims."
    alone = answer.paragraph(judged(12, "arfima", rnn=0.0, mrnn_5=-1.0))
    assert alone.startswith(
        "On arfima (12 simulated paths, 8 seeds each of MRNN K=5 and RNN on every path) a seed of MRNN K=5 beats one of RNN with probability 0."
    )


def test_the_sentence_of_a_claim_is_the_recipes_and_has_the_winner_first(verdicts: Verdicts) -> None:
    one = next(one for one in verdicts.paths if one.decided)
    text = sentences.process(one, verdicts)
    assert re.fullmatch(
        r"on arfima \(12 simulated paths, 8 seeds each of MRNN K=5 and RNN on every path\) a seed of MRNN K=5 beats one of RNN with probability 0\.\d\d on average over"
        r" paths \(95 % 0\.\d\d to [01]\.\d\d; p = [\de.-]+, Holm over 6\); between paths the probability varies with sd 0\.\d\d \(95 % 0\.\d\d to 0\.\d\d\)\.",
        text,
    ), text  # fmt: skip
    lost = next(one for one in judged(12, "arfima", rnn=0.0, gru=1.0).paths)
    assert lost.verdict == "worse"
    assert "a seed of RNN beats one of GRU with probability 0.7" in sentences.process(lost, judged(12, "arfima", rnn=0.0, gru=1.0))


def test_claims_about_the_process_stand_apart_from_what_one_path_says(verdicts: Verdicts) -> None:
    part = process.section(verdicts)
    assert [table.name for table in part.tables] == ["paths", "components_of_paths"]
    table = part.tables[0].shown
    assert {upper for upper, _ in table.columns} == {"pair", "the process", "each path alone"}
    assert table[("the process", "verdict on the first")].tolist() == [one.verdict for one in process.in_order(verdicts.paths)]
    assert table[("pair", "")].tolist()[0] == "MRNN K=5 against RNN, arfima"
    assert set(part.kept) == {"paths", "theta_of_paths", "components_of_paths", "summary_of_paths"}
    assert len(part.kept["theta_of_paths"]) == 12 * 6
    assert sum("beats one of" in line for line in part.sentences) == 4
    (plot,) = part.plots
    axis = plot.drawing.panel("arfima, against RNN").axes[0]
    drawn = [line for line in axis.lines if len(np.asarray(line.get_xdata())) == 12]
    one = next(one for one in process.in_order(verdicts.paths))
    assert np.asarray(drawn[0].get_xdata()).tolist() == one.thetas.tolist()
    assert not process.section(judge(Study.of(rows(rnn=[1.0, 2.0], lstm=[1.0, 2.0])))).holds_something


def test_all_claims_are_at_a_glance_on_the_first_screen(verdicts: Verdicts) -> None:
    (table,) = first.section(verdicts).tables
    assert list(table.shown.columns) == [("condition", ""), ("arfima", "RNN"), ("arfima", "LSTM"), ("walk", "RNN"), ("walk", "LSTM")]
    assert table.shown.set_index(("condition", "")).loc["MRNN K=5", ("walk", "LSTM")].startswith("▲ 0.")
    assert "on average over paths of a process" in table.caption


def parts_of(text: str) -> tuple[int, int]:
    return text.count("<svg"), text.count("<tr>")


def test_the_page_does_not_grow_with_the_paths(tmp_path: Path) -> None:
    of = {}
    for paths in (6, 18):
        console = Console(width=120, record=True, file=io.StringIO())
        page = build.write_table(judged(paths, "arfima", "walk"), tmp_path / str(paths), None, console)
        of[paths] = parts_of(Path(page).read_text())
        assert len(console.export_text().splitlines()) < 30
    assert of[6] == of[18]


def test_the_report_of_a_ledger_shows_the_first_path_of_a_process_where_it_shows_a_series(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    errors = {f"arfima path={i}": {"rnn": rng.gamma(40, 1 / 40, 8), "mrnn K=5": 0.7 * rng.gamma(40, 1 / 40, 8)} for i in range(8)}
    page = written(tmp_path / "study", errors)
    text = page.read_text()
    assert "On arfima (8 simulated paths" in text
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert titles[0] == "The process"
    assert not any(title.startswith("arfima path=") for title in titles)
    assert "Of each process the first of its paths alone." in text
    training = pd.read_csv(page.parent / "tables/training.csv")
    assert len(training) == 16, "the file has all paths"
    assert "most seeds beat the best forecast without a network" in text


def test_the_commands_answer_for_the_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    errors = {f"arfima path={i}": {"rnn": rng.gamma(40, 1 / 40, 8), "mrnn K=5": 0.7 * rng.gamma(40, 1 / 40, 8)} for i in range(8)}
    folder = written(tmp_path / "study", errors).parents[1]
    assert main(["compare", str(folder), "--a", "mrnn", "--b", "rnn"]) == 0
    said = capsys.readouterr().out
    assert "arfima: on arfima (8 simulated paths" in " ".join(said.split())
    assert "Each path alone, about that path only" in " ".join(said.split())
    assert main(["power", str(folder), "--a", "mrnn", "--b", "rnn"]) == 0
    assert capsys.readouterr().out.count("path=") <= 4
    assert main(["report", str(folder)]) == 0


def test_one_path_of_a_simulated_series_is_no_process_and_the_first_sentence_says_so() -> None:
    table = on_paths(1, 20, rnn=0.0, lstm=-9.0)
    baselines = held(AR=5.0, mean=9.0).assign(fingerprint="arfima 0")
    text = answer.paragraph(judge(Study.of(table, baselines=baselines)))
    assert text.startswith(
        "A statement about this one simulated series, not about the process, as no other series was drawn: the best forecast without a network (AR(1)) is beaten by LSTM."
    )
    assert text.endswith("All of this is about seeds, other initial parameters, on one split of each series.")
    several = answer.paragraph(judge(Study.of(on_paths(3, 20, rnn=0.0, lstm=-9.0))))
    assert several.startswith("A statement about these 3 simulated series, not about processes (6 paths of one are needed for that): ")
    real = answer.paragraph(judge(Study.of(table.assign(config='{"dataset": {"kind": "csv", "train": 9}}'))))
    assert real.endswith("it says nothing of another path.")
    assert not real.startswith("A statement")


def test_many_draws_that_overlap_are_shown_by_the_first_and_keep_their_files() -> None:
    verdicts = judge(Study.of(on_paths(6, 6, key="split_seed", **GAPS)))
    parts = series.sections(verdicts)
    assert [part.title for part in parts] == ["arfima split_seed=0"]
    assert parts[0].kept["summary"]["dataset"].nunique() == 6
    assert {upper for upper, _ in first.section(verdicts).tables[0].shown.columns[1:]} == {"arfima split_seed=0"}
    assert "draws may share data" in components.section(verdicts.study).text
    paths = Study.of(on_paths(4, 6, **GAPS))
    assert "a claim about the process takes 6 draws at least" in components.section(paths).text
    assert len(series.sections(judge(paths))) == 4
    assert not components.section(Study.of(on_paths(6, 6, **GAPS))).holds_something
