"""Published figures: papers and their tables by name, own CSVs, and what is wrong with a row."""

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis import literature
from analysis.reporting.parts.papers import reproduction
from analysis.study import Rule, Study
from ltm.errors import UserError
from sweeps import config, plan

HEADER = "dataset,model,K,metric,statistic,mean,sd,n"


def own(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "own.csv"
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_a_paper_is_all_its_tables_and_a_table_has_a_name_of_its_own() -> None:
    known = literature.tables()
    assert len(known["zhao2020"]) == sum(name.startswith("zhao2020_") for name in known)
    paper, table2 = literature.read("zhao2020"), literature.read("zhao2020_table2")
    pd.testing.assert_frame_equal(paper[paper["table"] == "table2"].reset_index(drop=True), table2)
    assert set(table2["statistic"]) == {"mean"}


def test_every_published_file_is_read_and_prints_no_figure_twice() -> None:
    for name, paths in literature.tables().items():
        figures = pd.concat([literature.read_file(path) for path in paths])
        assert not figures.duplicated(["dataset", "model", "K", "metric", "statistic"]).any(), name


def test_table_2_has_nine_models_on_four_series() -> None:
    table = literature.read("zhao2020_table2")
    assert len(table) == 36
    assert set(table["dataset"]) == {"arfima_paper", "dji", "traffic", "tree"}
    assert set(table.loc[table["K"] == 100, "model"]) == {"rnn2", "mrnn", "mrnnf", "mlstm", "mlstmf"}
    row = table.set_index(["dataset", "model"]).loc[("arfima_paper", "mrnn")]
    assert (row["mean"], row["sd"], row["n"]) == (1.088, 0.114, 100)


def test_table_5_has_four_measures_of_four_models_of_reviews() -> None:
    table = literature.read("zhao2020_table5")
    assert (len(table), set(table["dataset"]), set(table["model"])) == (16, {"reviews"}, {"rnn", "lstm", "mrnnf", "mlstmf"})
    assert set(table.loc[table["K"] == 50, "model"]) == {"mrnnf", "mlstmf"}
    row = table.set_index(["model", "metric"]).loc[("mlstmf", "test_loss")]
    assert (row["mean"], row["sd"], row["n"]) == (1.4758, 0.0218, 100)
    best = literature.read("zhao2020_table5", "best").set_index(["model", "metric"])["mean"]  # its Table 6
    assert (best[("mrnnf", "test_accuracy")], best[("mlstmf", "test_loss")], len(best)) == (0.4, 1.4489, 8)


def test_a_file_without_a_statistic_holds_means(tmp_path: Path) -> None:
    path = own(tmp_path, "tree,rnn,,test_rmse,1,0.1,10", header=HEADER.replace("statistic,", ""))
    assert literature.read(path)["statistic"].tolist() == ["mean"]
    with pytest.raises(UserError, match=r"own\.csv has no figure whose statistic is best"):
        literature.read(path, "best")


def test_the_best_seed_needs_no_sd_and_is_never_taken_for_a_mean(tmp_path: Path) -> None:
    path = own(tmp_path, "tree,rnn,,test_rmse,mean,1,0.1,10", "tree,rnn,,test_rmse,best,0.8,,10")
    assert literature.read(path)["mean"].tolist() == [1.0]
    smallest = literature.read(str(path), "best")
    assert smallest["mean"].tolist() == [0.8]
    assert smallest["sd"].isna().all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("tree,rnn,,test_rmse,mean,1,0,10", r"line 3 \(rnn on tree\): sd is 0"),
        ("tree,rnn,,test_rmse,mean,1,,10", "sd is empty; only K may be"),
        ("tree,rnn,,test_rmse,mean,1,0.1,1", "n is 1; Welch's test needs at least 2"),
        ("tree,rnn,,test_rmse,mean,1,0.1,2.5", "n is 2.5"),
        ("tree,rnn,,test_rmse,best,,,10", "mean is empty"),
        ("tree,rnn,,test_rmse,best,1,0,10", "sd is 0"),
        ("tree,rnn,,test_rmse,,1,0.1,10", "statistic is empty"),
        ("tree,rnn,,test_rmse,median,1,0.1,10", "statistic is 'median'; expected one of mean, best"),
        ("tree,rnn,2.5,test_rmse,mean,1,0.1,10", "K is '2.5'; expected a whole number, or nothing"),
        ("tree,rnn,0,test_rmse,mean,1,0.1,10", "K is '0"),
        ("tree,rnn,inf,test_rmse,mean,1,0.1,10", "K is 'inf'"),
    ],
)
def test_a_row_that_no_test_can_use_is_one_line(tmp_path: Path, row: str, message: str) -> None:
    path = own(tmp_path, "tree,lstm,,test_rmse,mean,1,0.1,10", row)
    with pytest.raises(UserError, match=message) as raised:
        literature.read(path)
    assert "\n" not in str(raised.value)


def test_a_table_of_several_measures_says_which_measure_and_which_data_a_row_is_of() -> None:
    rows = [
        {"dataset": "reviews", "model": "rnn", "K": None, "condition": f"rnn / reviews layout={layout}", "seed": seed, "status": "completed",
         "fingerprint": layout, "config": json.dumps({"dataset": {"name": "reviews", "layout": layout}}), **{f"test_{name}": 0.28 + seed / 100 for name in ("accuracy", "precision", "recall", "loss")}}
        for layout in ("transpose", "released") for seed in range(3)
    ]  # fmt: skip
    runs, rule = pd.DataFrame(rows), Rule("test_accuracy")
    part = reproduction.section(runs, Study.of(runs, rule), "zhao2020_table5", rule)
    shown = part.tables[0].shown
    found = set(zip(shown["measure"], shown["series"], shown["published mean"], strict=True))
    assert len(found) == len(shown) == 8
    assert {("test accuracy", f"reviews layout={layout}", "0.2836") for layout in ("transpose", "released")} < found
    assert {("test loss", f"reviews layout={layout}", "1.579") for layout in ("transpose", "released")} < found
    assert "measure" not in reproduction.shown(part.kept["published"].query("metric == 'test_loss'"), Study.of(runs, rule))


def test_an_unknown_name_lists_papers_and_tables() -> None:
    with pytest.raises(
        UserError, match=r"unknown published table 'zhao2020_table22'\. Did you mean 'zhao2020_table2'\? There are: zhao2020, "
    ):
        literature.read("zhao2020_table22")
    with pytest.raises(UserError, match="unknown statistic 'median'"):
        literature.read("zhao2020", "median")


def test_the_paper_experiment_holds_every_published_condition(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(real_data))
    study = config.compose(["+experiment=paper", "seeds=2"])
    conditions = plan.make(study).conditions
    assert len(conditions) == 5 * (4 + 5 * 4)  # five series; four models without K, five with four K each
    planned = {(c.dataset["name"], c.model["name"], c.model.get("K")) for c in conditions}
    figures = literature.read(study.config.published)
    for row in figures[figures["dataset"] != "reviews"].to_dict("records"):  # which are no forecasts
        assert (row["dataset"], row["model"], None if pd.isna(row["K"]) else int(row["K"])) in planned
