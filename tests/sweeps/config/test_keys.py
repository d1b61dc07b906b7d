"""Every key is documented once, in ``conf/``, with the default that it has."""

import dataclasses

import pytest
import yaml

from ltm import cells, data
from ltm.errors import UserError
from ltm.sweep import main
from sweeps import config
from sweeps.config import folders, keys
from sweeps.config.schema import SECTIONS, StudyConfig

KNOWN = {
    keys.STUDY: {f.name for f in dataclasses.fields(StudyConfig)} - {"model", "dataset", *SECTIONS},
    "model": {"name", "cell"}.union(*(cells.options(cell) for cell in cells.CELLS.values())),
    "dataset": {"kind"}.union(*({f.name for f in dataclasses.fields(kind)} for kind in data.KINDS.values())),
    **{section: {f.name for f in dataclasses.fields(kind)} for section, kind in SECTIONS.items()},
}  # fmt: skip


ELSEWHERE = {"train"}
"""Keys that a further file has a word on: why its value is another."""


@pytest.mark.parametrize("group", KNOWN)
def test_every_key_has_a_meaning_and_no_other_is_documented(group: str) -> None:
    found = {key.key: key.meaning for key in keys.described() if key.group == group}
    assert set(found) == KNOWN[group]
    assert all(found.values()), [key for key, meaning in found.items() if not meaning]


def test_a_key_is_documented_in_one_place() -> None:
    for group in keys.FIRST:
        said = [key.key for path in keys.files(group) for key in keys.of_file(group, path) if key.meaning and key.key not in ELSEWHERE]
        assert len(said) == len(set(said)), group


def test_defaults_are_those_of_a_study() -> None:
    study = config.compose([])
    for key in keys.described():
        if key.group in ("training", "compute", "tracking"):
            held = getattr(getattr(study.config, key.group), key.key)
            assert yaml.safe_load(key.default) == (held if not isinstance(held, float) else pytest.approx(held)), key


def test_help_lists_every_key_or_those_of_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    whole = capsys.readouterr().out
    assert all(f"  {key.name}={key.default}" in whole and key.meaning in whole for key in keys.described())
    assert main(["--help", "training"]) == 0
    printed = capsys.readouterr().out
    assert "training.lr=0.01" in printed
    assert "model.K" not in printed
    assert main(["--help", "trainig"]) == 2
    assert "unknown group of keys 'trainig'. Did you mean 'training'" in capsys.readouterr().err


def test_info_lists_the_folders_of_configs(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# mine\nname: mine\ncell: lstm\n")
    assert main(["--info", "--config-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path}\n  model      mine\n")
    assert main(["--help", "model", f"hydra.searchpath=[file://{tmp_path}]"]) == 0
    assert "|mine" in capsys.readouterr().out


def test_a_searchpath_that_is_none_is_one_line() -> None:
    for given in ("hydra.searchpath=5", "hydra.searchpath=[1]", "hydra.searchpath=["):
        with pytest.raises(UserError, match="is not understood; expected hydra.searchpath="):
            folders.given([given])
    with pytest.raises(UserError, match="'pkg://nowhere' is no folder"):
        folders.given(["hydra.searchpath=[pkg://nowhere]"])
    assert folders.given(["hydra.searchpath=[pkg://sweeps]"])[1][0].name == "sweeps"
