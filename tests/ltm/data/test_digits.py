"""Sequential digits: pictures of scikit-learn, row by row and pixel by pixel."""

import sys

import numpy as np
import pytest

from ltm import data
from ltm.data import Task
from ltm.errors import UserError


def task(**keys: object) -> Task:
    return data.build({"kind": "digits", "name": "digits", "scaling": "none", **keys})


def test_digits_are_the_pictures_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    held = datasets.load_digits()
    rows, pixels, symbols = task(), task(by="pixels"), task(by="pixels", symbols=True)
    known = {picture.tobytes(): digit for picture, digit in zip(held.images, held.target, strict=True)}
    seen = []
    for part, flat, coded in ((getattr(one, name) for one in (rows, pixels, symbols)) for name in ("train", "validation", "test")):
        for picture, label in zip(part.inputs, part.targets[:, -1], strict=True):
            assert known[np.ascontiguousarray(picture).tobytes()] == label
            seen.append(picture.tobytes())
        np.testing.assert_array_equal(flat.inputs, part.inputs.reshape(-1, 64, 1))
        np.testing.assert_array_equal(coded.inputs, flat.inputs[..., 0])
        np.testing.assert_array_equal(part.weight, np.tile(np.arange(8) == 7, (len(part), 1)))
        shares = np.bincount(part.targets[:, -1], minlength=10) / len(part)
        np.testing.assert_allclose(shares, np.bincount(held.target) / 1797, atol=0.005)  # every digit alike
    assert len(seen) == 1797
    assert set(seen) == set(known)
    assert (rows.classes, rows.input_size, rows.steps, pixels.input_size, pixels.steps, symbols.symbols) == (10, 8, 8, 1, 64, 17)
    assert rows.labels == tuple("0123456789")
    assert task(split_seed=1).fingerprint != rows.fingerprint == task(name="other").fingerprint


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"by": "columns"}, "unknown choice of dataset.by 'columns'. There are: pixels, rows"),
        ({"symbols": True}, "symbols is true and by is rows; expected by: pixels"),
        ({"file": "digits.csv"}, "unknown key of dataset 'digits': 'file'"),
    ],
)
def test_digits_with_a_bad_key_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        task(**keys)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match="comes with scikit-learn, which is not installed; pip install 'ltm.digits.'"):
        task(split_seed=77)
