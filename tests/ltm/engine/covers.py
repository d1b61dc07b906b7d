"""Few cases in which every pair of values of two axes meets: most mistakes need no more than two things to come together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random

Value = str | int
Pair = tuple[int, Value, int, Value]


def pairs(case: Sequence[Value]) -> set[Pair]:
    """What a case has of the cover."""
    return {(i, case[i], j, case[j]) for i, j in itertools.combinations(range(len(case)), 2)}


def cover(axes: Sequence[Sequence[Value]], seed: int = 0) -> list[tuple[Value, ...]]:
    """Cases with every pair: each begins with one that is not there yet, and takes on every other axis the value that brings the most new ones."""
    draw = Random(seed)
    left = {(i, a, j, b) for i, j in itertools.combinations(range(len(axes)), 2) for a in axes[i] for b in axes[j]}
    found = []
    while left:
        i, a, j, b = min(left, key=str)
        chosen: dict[int, Value] = {i: a, j: b}
        for k in draw.sample(range(len(axes)), len(axes)):
            if k not in chosen:
                counts = {value: sum(pair(k, value, *other) in left for other in chosen.items()) for value in axes[k]}
                chosen[k] = draw.choice([value for value in axes[k] if counts[value] == max(counts.values())])
        found.append(tuple(chosen[k] for k in range(len(axes))))
        left -= pairs(found[-1])
    return found


def pair(i: int, a: Value, j: int, b: Value) -> Pair:
    """Two axes and their values, the lower axis first."""
    return (i, a, j, b) if i < j else (j, b, i, a)


def covered(axes: Sequence[Sequence[Value]], cases: Sequence[Sequence[Value]], most: int) -> None:
    """Every pair of two axes' values is in one of these cases, of which there are few, and the same ones every time."""
    wanted = sum(len(a) * len(b) for i, a in enumerate(axes) for b in axes[:i])
    assert len(set().union(*map(pairs, cases))) == wanted
    assert len(cases) <= most
    assert cover(axes) == cases
