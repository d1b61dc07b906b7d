"""The task of a study, by resolved config: ``kind`` names its class, a file of this folder, and every other key is one of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any

import numpy as np

from ltm.data.adding import Adding, Multiplication
from ltm.data.arfima import Arfima
from ltm.data.arrays import Arrays
from ltm.data.base import Dataset, Sequences, Task
from ltm.data.bit_relay import BitRelay
from ltm.data.column import CSV
from ltm.data.copying import Copying
from ltm.data.digits import Digits
from ltm.data.expressions import Expressions
from ltm.data.latching import Latching
from ltm.data.long_lag import LongLag
from ltm.data.moving_shapes import MovingShapes
from ltm.data.parity import Parity
from ltm.data.random_rnn import RandomRNN
from ltm.data.reber import Reber
from ltm.data.reviews import Reviews
from ltm.data.sequences import LongForm
from ltm.data.series import Series
from ltm.data.temporal_order import TemporalOrder
from ltm.data.two_sequence import TwoSequence
from ltm.errors import UserError, reason, unknown
from ltm.registry import find

__all__ = ["KINDS", "Dataset", "Sequences", "Series", "Task", "build"]

KINDS: dict[str, type[Dataset]] = {
    one.kind: one
    for one in (
        Arfima, RandomRNN, CSV,
        Latching, BitRelay, TwoSequence, Adding, Multiplication, TemporalOrder, LongLag, Copying, Reber, Parity, MovingShapes, Expressions,
        Digits, Reviews, LongForm, Arrays,
    )
}  # fmt: skip

ADDED = {"path": 0, "origin": 0, "test": None}
"""Keys that came later than records of studies were first written, and the value that says what was before."""


def draw_of(dataset: Mapping[str, Any]) -> tuple[int, ...]:
    """Which draw of simulated data a resolved config names, by the whole numbers ``seed`` and ``path``; empty for the first one, and for data without them."""
    found = tuple(value if type(value := dataset.get(key)) is int else 0 for key in ("seed", "path"))
    return found if any(found) else ()


def number_of(seed: int, dataset: Mapping[str, Any]) -> int:
    """The number from which a seed draws all that is its own (initial parameters, the order of batches, its sequences): the seed, on the first draw of the data.

    On another draw it is that of another seed. A claim over draws is of seeds in general: were it of the same few on all of them, their luck would pass for the
    process's.
    """
    draw = draw_of(dataset)
    return int(np.random.SeedSequence(seed, spawn_key=draw).generate_state(1)[0]) if draw else seed


def instead(datasets: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What to say of keys that one of these resolved configs cannot have, where its kind has words of its own (:attr:`Dataset.instead`)."""
    return {
        key: f"dataset {one.get('name')} {words}."
        for one in datasets for key, words in find("dataset kind", one.get("kind"), KINDS, Dataset).instead.items()
    }  # fmt: skip


def build(dataset: Mapping[str, Any]) -> Task:
    """The task of a resolved dataset config. ``kind`` may also be the import path of a :class:`Dataset` of your own, ``package.module:Class``.

    Raises:
        UserError: unknown kind or key, a missing key, or anything that the kind rejects.
    """
    given = dict(dataset)
    name, kind = given.get("name"), find("dataset kind", given.pop("kind", None), KINDS, Dataset)
    known = {field.name for field in fields(kind)}
    for key in given:
        if key in kind.instead:
            raise UserError(instead([dataset])[key])
        if key not in known:
            raise unknown(f"key of dataset '{name}':", key, known)
    if missing := [f.name for f in fields(kind) if f.name not in given and f.default is MISSING and f.default_factory is MISSING]:
        raise UserError(f"dataset '{name}' lacks {', '.join(missing)}; expected a value of dataset.{missing[0]}.")
    try:
        return _built(kind(**{key: frozen(value) for key, value in given.items()}))
    except UserError:
        raise
    except Exception as error:
        if kind in KINDS.values():
            raise
        raise UserError(f"dataset '{name}' of kind {kind.__name__} cannot be made ({reason(error)}).") from None


def frozen(value: Any) -> Any:
    """A value with tuples for lists, so that a dataset can be looked up."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def forget() -> None:
    """Read every file anew: it may have changed since."""
    _built.cache_clear()


@lru_cache(maxsize=32)
def _built(dataset: Dataset) -> Task:
    return dataset.task()
