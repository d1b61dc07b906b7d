"""Rolling origins: the split moves along a given series, with parts of one length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ltm import data
from ltm.errors import UserError

VALUES = np.random.default_rng(0).standard_normal(400)


@pytest.fixture
def river(tmp_path: Path) -> dict[str, Any]:
    """Of 399 pairs."""
    pd.DataFrame({"x": VALUES}).to_csv(tmp_path / "river.csv", index=False)
    return {"kind": "csv", "name": "river", "file": str(tmp_path / "river.csv"), "train": 100, "validation": 50}


def test_origin_0_without_a_test_length_is_the_series_as_ever(river: dict[str, Any]) -> None:
    whole = data.build(river)
    assert whole.test.weight.sum() == 249
    for same in ({"origin": 0, "test": None}, {"test": 249}):
        assert data.build(river | same).fingerprint == whole.fingerprint


@pytest.mark.parametrize("origin", [0, 30, 209])
def test_every_origin_is_the_series_cut_there_by_hand(river: dict[str, Any], origin: int, tmp_path: Path) -> None:
    found = data.build(river | {"origin": origin, "test": 40})
    assert [int(part.weight.sum()) for part in (found.train, found.validation, found.test)] == [100, 50, 40]
    pd.DataFrame({"x": VALUES[origin : origin + 191]}).to_csv(tmp_path / "cut.csv", index=False)
    by_hand = data.build(river | {"file": str(tmp_path / "cut.csv")})
    assert found.fingerprint == by_hand.fingerprint
    np.testing.assert_array_equal(found.test.targets, by_hand.test.targets)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"origin": 30}, "'river': origin is 30 and test is null; expected the pairs of the test part, as many at every origin"),
        (
            {"origin": 210, "test": 40},
            "take 100 . 50 . 40 pairs from value 210 on, the series has 399 in all; expected an origin of at most 209",
        ),
        ({"origin": 5000, "test": 1}, "expected an origin of at most 248"),
        ({"test": 250}, "pairs from value 0 on, the series has 399 in all; lower one of them"),
        ({"test": 0}, "dataset.test is 0; expected a whole number of at least 1"),
        ({"test": "rest"}, "dataset.test is 'rest'; expected a whole number"),
        ({"path": 1}, "dataset river has one path, the one that was observed; move the split along it"),
        ({"origin": -1}, "dataset.origin is -1; expected a whole number of at least 0"),
    ],
)
def test_an_origin_that_leaves_no_test_part_is_one_line(river: dict[str, Any], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.build(river | keys)
