"""Printed functions do what the same text does in Python, with NumPy's arrays for vectors."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from ltm.engine.compiler.target import assembler

WIDTH = 8
TEXT = f"""
import numpy as np
N, HALF_ = 3, np.float32(0.5)

@printed
def inside(a, b, first):
    for i in range(first, {4 * WIDTH}, {WIDTH}):
        store(b, i, add(load(b, i), load(a, i)))

@printed
def whole(a, b, numbers, n):
    half = full(HALF_)
    k = int(a[0])
    x, y = spread(a, 1), half
    x, y = y, x
    for t in range(n - 1, -1, -1):
        q = t * N + min(t, 2) - max(k, 1)
        b[{4 * WIDTH} + t] = a[(q + 7) // 3 % 5]
        b[{4 * WIDTH} + t] += a[t]
        if t % 2 == 0 or t == n - 1:
            inside(a, b, t * 0)
        if t > 1 and n != 4:
            for l in range(N):
                y = fma(x, spread(a, l), y)
        x = sub(x, full(numbers[1]))
    store(b, {5 * WIDTH}, x)
    store(b, {6 * WIDTH}, y)
    k = add(x, y)
    store(b, 0, k)
    empty()

@printed
def empty():
    pass
"""


def module(path: Path, name: str, scope: dict[str, Any], text: str = TEXT) -> ModuleType:
    path = path / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    vars(made).update(scope)
    spec.loader.exec_module(made)
    return made


def of_numpy() -> dict[str, Any]:
    def store(a: np.ndarray, i: int, v: np.ndarray) -> None:
        a[i : i + WIDTH] = v

    return {
        "printed": lambda f: f, "load": lambda a, i: a[i : i + WIDTH].copy(), "store": store, "full": lambda x: np.full(WIDTH, x, np.float32),
        "spread": lambda a, i: np.full(WIDTH, a[i]), "add": np.add, "sub": np.subtract, "fma": lambda a, b, c: a * b + c,
    }  # fmt: skip


@pytest.mark.parametrize("n", [1, 4, 5])
def test_every_statement_does_what_it_does_in_python(tmp_path: Path, n: int) -> None:
    compiled, plain = module(tmp_path, "compiled", {"printed": assembler.printed("float32", WIDTH)}), module(tmp_path, "plain", of_numpy())
    a, numbers = np.arange(2, 2 + 4 * WIDTH).astype(np.float32), (np.float32(3), np.float32(0.25))
    mine, true = (np.arange(7 * WIDTH).astype(np.float32) for _ in range(2))
    text = compiled.whole
    numba.njit(lambda a, b, numbers, n: text(a, b, numbers, n))(a, mine, numbers, n)
    plain.whole(a, true, numbers, n)
    np.testing.assert_array_equal(mine, true)


def test_what_it_does_not_know_is_named(tmp_path: Path) -> None:
    text = "@printed\ndef odd(a):\n    while a[0]:\n        pass\n"
    odd = module(tmp_path, "odd", {"printed": assembler.printed("float32", WIDTH)}, text).odd
    with pytest.raises(NotImplementedError, match="while a"):
        numba.njit(lambda a: odd(a))(np.ones(3, np.float32))
