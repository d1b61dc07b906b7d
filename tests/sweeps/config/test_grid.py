"""Ranges in a grid: ``0-19`` stands for twenty whole numbers where a key has whole numbers, and nowhere else."""

from pathlib import Path

import pytest

from ltm.errors import UserError
from sweeps import config, plan
from sweeps.config import grid


def labels(*overrides: str) -> list[str]:
    return list(plan.make(config.compose(["model=rnn", "seeds=1", *overrides])).labels.values())


@pytest.mark.parametrize(
    "override",
    [
        "grid.path=[0-2]",
        "grid.path=0-2",
        "grid.path=[0-1,2]",
        "grid.dataset.path=[0-2]",
        "dataset.path=[0-2]",
        "dataset.path=0-1,2",
        "grid={path: [0-2]}",
    ],
)
def test_a_range_is_the_list_of_its_numbers(override: str) -> None:
    assert labels(override) == labels("grid.path=[0,1,2]") == [f"rnn / arfima path={path}" for path in range(3)]


def test_ranges_of_a_yaml_and_of_any_key_with_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nblocks:\n  a: {path: [0-1], hidden_size: [2-3]}\n")
    found = labels("--config-dir", str(tmp_path), "+experiment=own")
    assert found == [f"rnn hidden_size={size} / arfima path={path}" for path in (0, 1) for size in (2, 3)]


def test_what_has_no_whole_numbers_keeps_its_text(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("2019-2020\n" + "\n".join(str(i % 7) for i in range(40)) + "\n")
    own = ("dataset=tree", f"dataset.file={tmp_path / 'own.csv'}", "dataset.name=own", "dataset.train=20", "dataset.validation=9")
    assert labels(*own, "grid.column=[2019-2020]") == ["rnn / own column=2019-2020"]
    with pytest.raises(UserError, match="training.lr is '0-1'; expected a finite number above 0"):
        labels("grid.lr=[0-1]")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["grid.path=[19-0]"], r"grid.path=\[19-0\] runs backwards; did you mean \[0-19\]"),
        (["grid.path=[0-100000]"], r"grid.path=\[0-100000\] are 100,001 values; a study takes at most 100,000 conditions"),
        (["grid.path=[1-2-3]"], "dataset.path is '1-2-3'; expected a whole number"),
        (["grid.path=[-3-4]"], "dataset.path is '-3-4'"),
        ([f"grid.path=[0-{'9' * 5000}]"], "dataset.path is '0-9999"),
        (["dataset.path=0-3"], "dataset.path is '0-3'; expected a whole number"),
        (["dataset=nile", "grid.path=[0-3]"], "dataset nile has one path, the one that was observed; move the split along it"),
        (["dataset=nile", "grid.dataset.path=[0-3]"], "dataset nile has one path"),
        (["dataset=nile", "dataset.path=3"], "dataset nile has one path"),
        (["dataset=nile", "+dataset.path=3"], "dataset nile has one path"),
        (["grid.origin=[0,200]"], "dataset arfima is simulated and has no origins; draw further paths of its process"),
        (["dataset=nile", "grid.origin=[0,50]"], "'nile': origin is 50 and test is null; expected the pairs of the test part"),
        (["dataset=nile", "grid.origin=[0,50,600]", "dataset.test=50"], "expected an origin of at most 82"),
        (["dataset=latching", "grid.path=[0-3]"], "unknown grid key 'path'"),
    ],
)
def test_nonsense_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        labels(*overrides)
    assert "\n" not in str(error.value)


def test_a_path_multiplies_nothing_for_a_series_that_has_one() -> None:
    assert labels("dataset=arfima,nile", "grid.path=[0-1]") == ["rnn / arfima path=0", "rnn / arfima path=1", "rnn / nile"]


def test_origins_of_a_published_series_have_test_parts_of_one_length() -> None:
    made = plan.make(config.compose(["model=rnn", "seeds=1", "dataset=nile", "dataset.test=40", "grid.origin=[0,46,92]"]))
    assert list(made.labels.values()) == ["rnn / nile origin=0", "rnn / nile origin=46", "rnn / nile origin=92"]
    assert {int(condition.built()[1].test.weight.sum()) for condition in made.conditions} == {40}


def test_a_key_has_whole_numbers_where_every_section_that_has_it_holds_one() -> None:
    sections = [{"model": {"K": 5, "flag": True}}, {"model": {"K": "full"}}, {"dataset": {"path": 0}}]
    assert [grid.is_whole(key, sections) for key in ("path", "dataset.path", "K", "flag", "nope")] == [True, True, False, False, False]
