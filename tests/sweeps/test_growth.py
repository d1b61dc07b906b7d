"""A study grows by models, series and values; what no label would say makes it another study, and that is one line."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from ltm import data
from ltm.errors import UserError
from sweeps import config, plan, record
from sweeps.store.ledger import Ledger

SMALL = ("dataset.length=301", "dataset.train=150", "dataset.validation=75", "seeds=2")


class Folder:
    """A study's folder, and the claims that commands lay to it; nothing is trained."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)

    def claim(self, *overrides: str) -> list[str]:
        """The labels of this command's conditions."""
        study = config.compose([*SMALL, *overrides])
        return list(record.claim(self.ledger, plan.make(study), study.config, "one", " ".join(overrides)).labels.values())

    def refused(self, *overrides: str) -> str:
        before = self.ledger.text("config.yaml")
        with pytest.raises(UserError, match="holds another study .* choose another folder with study=NAME, such as study=one_2") as error:
            self.claim(*overrides)
        assert self.ledger.text("config.yaml") == before
        return str(error.value)

    @property
    def labels(self) -> set[str]:
        return set(self.ledger.record()["conditions"].values())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_record_from_before_there_were_paths_grows_by_paths_and_is_not_another_path(folder: Folder) -> None:
    folder.claim("model=rnn")
    written = folder.ledger.record()
    del written["fixed"]["dataset arfima.path"]
    record.write(folder.ledger, written)
    assert "dataset arfima.path is 0 there and 3 here" in folder.refused("model=rnn", "dataset.path=3")
    folder.claim("model=rnn", "grid.path=[0-1]")
    assert folder.labels == {"rnn / arfima", "rnn / arfima path=1"}


def test_a_study_grows_by_models_series_and_values(folder: Folder) -> None:
    assert folder.claim("model=lstm") == ["lstm / arfima"]
    assert folder.claim("model=rnn") == ["rnn / arfima"]
    assert folder.labels == {"lstm / arfima", "rnn / arfima"}
    folder.claim("model=mrnn", "model.K=5,10")
    folder.claim("dataset=random_rnn", "model=rnn", "dataset.length=301")
    assert folder.claim("model=lstm", "training.lr=0.01,0.2") == ["lstm / arfima", "lstm lr=0.2 / arfima"], "as its rows call it"
    assert folder.claim("model=rnn", "dataset.seed=choice(3)") == ["rnn lr=0.01 / arfima seed=3"], "what the study varies is named"
    assert len(folder.labels) == 7


def test_a_value_that_is_in_the_study_may_be_asked_for_alone(folder: Folder) -> None:
    folder.claim("model=lstm", "training.lr=0.01,0.003")
    assert folder.claim("model=lstm", "training.lr=0.01") == ["lstm lr=0.01 / arfima"]
    assert folder.claim("model=lstm", "training.lr=0.003") == ["lstm lr=0.003 / arfima"]
    assert folder.claim("model=lstm", "training.lr=0.1") == ["lstm lr=0.1 / arfima"], "named as the others are"


def test_the_record_names_the_commands_before_whose_conditions_the_latest_lacks(folder: Folder) -> None:
    folder.claim("model=lstm")
    folder.claim("model=rnn")
    folder.claim("model=lstm")
    assert (folder.ledger.record()["command"], folder.ledger.record()["earlier"]) == ("model=lstm", ["model=rnn"])
    folder.claim("model=lstm,rnn")
    assert "earlier" not in folder.ledger.record()


def test_the_same_command_changes_nothing_but_which_is_the_latest(folder: Folder) -> None:
    folder.claim("model=lstm")
    folder.claim("model=rnn")
    first = folder.ledger.record()
    folder.claim("model=rnn")
    assert folder.ledger.record() == first


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["model=lstm", "training.lr=0.2"], "training.lr is 0.01 there and 0.2 here, which no label would say; write training.lr=0.01,0.2 to have both"),
        (["model=rnn", "training.max_epochs=5"], "training.max_epochs is 1000 there and 5 here"),
        (["model=lstm", "model.hidden_size=4"], "model lstm.hidden_size is 1 there and 4 here, which no label would say; write model.hidden_size=1,4"),
        (["model=rnn", "dataset.seed=1"], "dataset arfima.seed is 0 there and 1 here"),
        (["model=rnn", "dataset.ar=[0.5]"], "dataset arfima.ar is"),
    ],
)  # fmt: skip
def test_a_setting_that_no_label_says_is_another_study(folder: Folder, overrides: list[str], why: str) -> None:
    folder.claim("model=lstm")
    folder.claim("model=lstm", "training.clip=0.0,1.0")
    assert why in folder.refused(*overrides)


def test_other_values_under_one_name_are_another_study(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    own = ("dataset=tree", f"dataset.file={file}", "dataset.name=own")
    for scale in (1.0, 2.0):
        pd.DataFrame({"x": [scale * (i * 7 % 11) for i in range(301)]}).to_csv(file, index=False)
        data.forget()
        overrides = ["model=rnn", *own, "dataset.train=150", "dataset.validation=75"]
        study = config.compose([*overrides, "seeds=2"])
        if scale == 1.0:
            record.claim(folder.ledger, plan.make(study), study.config, "one", "first")
            continue
        with pytest.raises(UserError, match="of the dataset own, other values, split or scaling"):
            record.claim(folder.ledger, plan.make(study), study.config, "one", "second")


def test_a_record_without_settings_is_told_by_its_labels(folder: Folder) -> None:
    folder.claim("model=lstm")
    held = folder.ledger.record()
    del held["fixed"]
    folder.ledger.put("config.yaml", yaml.safe_dump(held).encode())
    assert "with other settings of 'lstm / arfima'" in folder.refused("model=lstm", "training.lr=0.2")
    assert folder.claim("model=rnn") == ["rnn / arfima"]


def test_a_key_that_came_later_stood_at_its_default(folder: Folder) -> None:
    folder.claim("model=lstm")
    held = folder.ledger.record()
    later = ("training.optimizer", "model lstm.layers")
    held["fixed"] = {key: value for key, value in held["fixed"].items() if key not in later}
    folder.ledger.put("config.yaml", yaml.safe_dump(held).encode())
    assert "training.optimizer is adam there and sgd here" in folder.refused("model=lstm", "training.optimizer=sgd")
    assert "model lstm.layers is 1 there and 2 here" in folder.refused("model=lstm", "model.layers=2")
    assert folder.claim("model=gru", "model.layers=2") == ["gru / arfima"]


def test_a_search_is_another_study(folder: Folder) -> None:
    folder.ledger.put("config.yaml", yaml.safe_dump({"config": {}, "conditions": {}, "search": {"id": "x"}}).encode())
    assert "(a search)" in folder.refused("model=lstm")


def test_a_study_of_blocks_grows_by_what_its_blocks_vary(folder: Folder) -> None:
    blocks = (
        "dataset=reber",
        "+blocks.a={model: [rnn], hidden_size: 3, lr: [0.1]}",
        "+blocks.b={model: [lstm], hidden_size: 2, lr: [0.2]}",
    )
    study = config.compose(blocks)
    record.claim(folder.ledger, plan.make(study), study.config, "one", "first")
    more = config.compose([blocks[0], blocks[1].replace("[0.1]", "[0.1, 0.3]"), blocks[2]])
    assert list(record.claim(folder.ledger, plan.make(more), more.config, "one", "more").labels.values()) == [
        "rnn lr=0.1 / reber", "rnn lr=0.3 / reber", "lstm lr=0.2 / reber"
    ]  # fmt: skip
    other = config.compose([blocks[0], blocks[1].replace("3,", "4,"), blocks[2]])
    with pytest.raises(UserError, match="with other settings of 'rnn lr=0.1 / reber'"):
        record.claim(folder.ledger, plan.make(other), other.config, "one", "other")
