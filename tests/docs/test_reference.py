"""The reference says what is: generated pages are up to date, and no column lacks its words."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import ltm
from sweeps.store.tables import COLUMNS
from tests.docs.pages import ROOT


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = loaded(ROOT / "docs/generate.py")


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generate.PAGES[name](), "run: python docs/generate.py"


def test_every_column_of_the_ledger_has_its_words() -> None:
    page = generate.ledger_page()
    assert [column for column in COLUMNS if f"`{column}`" not in page] == []


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == ltm.__version__
    assert f"## [{ltm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
