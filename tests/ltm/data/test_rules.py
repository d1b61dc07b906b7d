"""Each generated task beside the words of its paper: a slow loop over the symbols or values of every sequence finds the same targets."""

import itertools
from typing import Any

import numpy as np
import pytest

from ltm import data
from ltm.data import Sequences, Task
from ltm.errors import UserError


def task(kind: str, **keys: Any) -> Task:
    return data.build({"kind": kind, "name": kind, "sequences": 2000, **keys})


def read(part: Sequences, row: int, alphabet: str) -> str:
    """The symbols of one sequence up to its last counted step, from one-hot vectors."""
    steps = part.inputs[row, : part.lengths[row]]
    assert (steps.sum(1) == 1).all()
    assert set(np.unique(steps)) <= {0, 1}
    return "".join(alphabet[i] for i in steps.argmax(1))


def test_bit_relay_asks_whether_first_and_halfway_agree() -> None:
    for length in (2, 9, 30):
        one = task("bit_relay", length=length, noise=0.05)
        for values, label in zip(one.train.inputs[..., 0], one.train.targets[:, -1], strict=True):
            assert label == ((values[0] > 0) == (values[length // 2] > 0))
        ends = one.train.inputs[:, [0, length // 2], 0]
        np.testing.assert_allclose(np.abs(ends).mean(0), 1, atol=0.01)
        assert np.abs(np.delete(one.train.inputs[..., 0], [0, length // 2], 1)).max(initial=0) < 0.3
        pairs = 2 * (ends[:, 0] > 0) + (ends[:, 1] > 0)
        np.testing.assert_allclose(np.bincount(pairs) / len(pairs), 0.25, atol=0.04)  # neither value alone tells the class
    assert (one.labels, one.loss, one.labelled) == (("opposite", "same"), "cross_entropy", True)


def at_end(part: Sequences) -> np.ndarray:
    return part.targets[np.arange(len(part)), part.lengths - 1]


def test_two_sequences_are_told_apart_by_their_first_values() -> None:
    made = {variant: task("two_sequence", variant=variant, length=40, sequences=4000) for variant in "abc"}
    for variant, one in made.items():
        for part in (one.train, one.validation, one.test):
            first = part.inputs[:, :3, 0].mean(1) > 0
            told = at_end(part)[:, 0]
            if variant == "c" and part is one.train:
                noise = told - np.where(first, 0.2, 0.8)
                assert noise.std() == pytest.approx(0.316, abs=0.015)
                assert noise.mean() == pytest.approx(0, abs=0.02)
            elif variant != "b":
                np.testing.assert_allclose(told, np.where(first, 0.2, 0.8) if variant == "c" else first, atol=1e-12)
            assert first.mean() == pytest.approx(0.5, abs=0.06)
            later = part.inputs[:, 3:40, 0]
            assert later.var() == pytest.approx(0.2, abs=0.01)
            signal = part.inputs[:, :3, 0] - np.where(told > 0.5, 1, -1)[:, None]
            assert variant == "c" or signal.var() == pytest.approx(0.2 if variant == "b" else 0, abs=0.03)
            assert set(part.lengths) == set(range(40, 45))
    assert (made["a"].loss, made["a"].labelled, made["a"].output_size) == ("squared", True, 1)


def test_targets_of_two_sequences_are_as_noisy_however_they_are_drawn() -> None:
    one = task("two_sequence", variant="c", length=10, draws="stream")
    first, second, other = (one.parts(*key)[0].targets.sum((1, 2)) for key in ((1, 0), (1, 1), (2, 0)))
    assert len(np.unique(np.concatenate([first, second, other]))) == 3 * len(first)
    np.testing.assert_array_equal(at_end(one.parts(1, 0)[1]), at_end(one.parts(1, 5)[1]))


def test_multiplication_asks_for_the_product_of_the_marked_values() -> None:
    one, sums = task("multiplication", length=40), task("adding", length=40)
    np.testing.assert_array_equal(one.train.inputs[..., 1], sums.train.inputs[..., 1])  # marked by the same rule
    for (value, marker), target in zip(np.moveaxis(one.train.inputs, 2, 1), at_end(one.train)[:, 0], strict=True):
        marked = np.flatnonzero(marker == 1)
        assert len(marked) == 2
        assert target == pytest.approx(value[marked[0]] * value[marked[1]])
        assert (value[0] == 1) == (marked[0] == 0)
    assert (one.train.inputs[..., 0] >= 0).all()
    assert one.train.inputs[:, 1:40, 0].mean() == pytest.approx(0.5, abs=0.01)


RULES = {
    "a": {"XX": "Q", "XY": "R", "YX": "S", "YY": "U"},
    "b": {"XXX": "Q", "XXY": "R", "XYX": "S", "XYY": "U", "YXX": "V", "YXY": "A", "YYX": "B", "YYY": "C"},
}
PLACES = {"a": ((10, 20), (50, 60)), "b": ((10, 20), (33, 43), (66, 76))}


@pytest.mark.parametrize("variant", RULES)
def test_temporal_order_is_that_of_x_and_y(variant: str) -> None:
    one = task("temporal_order", variant=variant)
    places = []
    for row in range(len(one.train)):
        text = read(one.train, row, "EBabcdXY")
        assert (text[0], text[-1]) == ("E", "B")
        where = [i for i, symbol in enumerate(text) if symbol in "XY"]
        assert one.labels[one.train.targets[row, len(text) - 1]] == RULES[variant]["".join(text[i] for i in where)]
        assert set("".join(c for i, c in enumerate(text[1:-1], 1) if i not in where)) <= set("abcd")
        places.append(where)
    drawn = np.array(places)
    assert list(zip(drawn.min(0), drawn.max(0), strict=True)) == list(PLACES[variant])
    assert set(one.train.lengths) == set(range(100, 111))
    shares = np.bincount(at_end(one.train), minlength=len(one.labels)) / len(one.train)
    np.testing.assert_allclose(shares, 1 / len(one.labels), atol=0.03)


def test_long_lags_without_noise_are_two_sequences_that_differ_at_both_ends() -> None:
    one = task("long_lag", length=12)
    texts = {read(one.train, row, "abcdefghijkxy") for row in range(len(one.train))}
    assert texts == {"xabcdefghijk", "yabcdefghijk"}
    for row in range(200):
        text = read(one.train, row, "abcdefghijkxy")
        assert "".join("abcdefghijkxy"[i] for i in one.train.targets[row]) == text[1:] + text[0]
    assert (one.train.weight == 1).all()
    assert (one.classes, one.labelled) == (13, False)


def test_long_lags_without_regularity_train_on_every_symbol_and_are_judged_by_the_last() -> None:
    one = task("long_lag", variant="b", length=12)
    for row in range(len(one.train)):
        text = read(one.train, row, "abcdefghijkxy")
        assert text[0] in "xy"
        assert not set(text[1:]) & set("xy")
        assert "".join("abcdefghijkxy"[i] for i in one.train.targets[row]) == text[1:] + text[0]
    assert (one.train.weight == 1).all()
    for part in (one.validation, one.test, *one.parts(3)[1:]):
        np.testing.assert_array_equal(part.weight, np.tile(np.arange(12) == 11, (len(part), 1)))
    np.testing.assert_allclose(np.bincount(one.train.inputs.argmax(2)[:, 1:].ravel(), minlength=13)[:11] / (1600 * 11), 1 / 11, atol=0.01)


def test_very_long_lags_end_by_chance_and_ask_for_the_second_symbol() -> None:
    one = task("long_lag", variant="c", length=20, distractors=5, sequences=5000)
    more = []
    for row in range(len(one.train)):
        text = read(one.train, row, "01234xybe")
        assert (text[0], text[-1]) == ("b", "e")
        assert one.labels[one.train.targets[row, len(text) - 1]] == text[1]
        assert set(text[2:-1]) <= set("01234")
        more.append(len(text) - 3 - 20)
    assert min(more) == 0
    assert np.mean(more) == pytest.approx(9, abs=0.6)  # of a geometric number with probability 1/10 each time
    assert np.mean(np.array(more) == 0) == pytest.approx(0.1, abs=0.02)
    assert task("long_lag", variant="c", length=20).input_size == 24
    assert (one.input_size, one.labelled, one.output_size) == (9, True, 2)


def test_copying_repeats_the_first_symbols_after_the_delimiter() -> None:
    one = task("copying", length=15, items=4)
    for row in range(500):
        text = read(one.train, row, "01234567_|")
        assert text[4:] == "_" * 14 + "|" + "_" * 4
        answer = "".join("01234567_"[i] for i in one.train.targets[row])
        assert answer == "_" * 19 + text[:4]
    assert len(text) == 15 + 2 * 4
    shares = one.train.inputs[:, :4].mean((0, 1))
    np.testing.assert_allclose(shares[:8], 1 / 8, atol=0.02)
    assert (one.classes, one.train.weight.min(), task("copying").steps) == (9, 1, 120)


def legal(text: str) -> set[str]:
    """The symbols that may follow the beginning of a string of the embedded Reber grammar, by a parser that knows only its strings."""
    if len(text) < 2:
        return ({"B"}, {"T", "P"})[len(text)]
    inner = text[2:]
    if not inner:
        return {"B"}
    follow = {"": "TP", "T": "SX", "P": "TV", "TX": "XS", "PV": "PV", "done": "E"}
    state = ""
    for symbol in inner[1:]:
        if symbol == "E":
            rest = inner[inner.index("E") + 1 :]
            return ({text[1]}, {"E"}, set())[len(rest)]
        state = {
            ("", "T"): "T", ("", "P"): "P", ("T", "S"): "T", ("T", "X"): "TX", ("P", "T"): "P", ("P", "V"): "PV", ("TX", "X"): "P", ("TX", "S"): "done",
            ("PV", "P"): "TX", ("PV", "V"): "done",
        }[state, symbol]  # fmt: skip
    return set(follow[state])


def test_reber_says_what_may_follow_every_symbol() -> None:
    one = task("reber", length=40)
    seen: list[str] = []
    for row in range(len(one.train)):
        text = read(one.train, row, "BTPSXVE")
        for t in range(len(text)):
            assert {"BTPSXVE"[i] for i in np.flatnonzero(one.train.targets[row, t])} == legal(text[: t + 1])
        assert legal(text) == {"E"}
        seen.append(text + "E")
    assert {"BTBTXSETE", "BPBPVVEPE", "BTBTSXXVPSETE"} <= set(seen)
    assert np.mean([text[1] == "T" for text in seen]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([len(text) == 9 for text in seen]) == pytest.approx(0.25, abs=0.03)  # two ways of three choices each
    assert (one.loss, one.metrics[0], one.classes, one.output_size) == ("binary_cross_entropy", "ranked", 0, 7)
    short = task("reber", length=9)
    assert set(short.train.lengths) == {8}
    default = data.build({"kind": "reber", "name": "reber"})
    assert [len(part) for part in (default.train, default.validation, default.test)] == [256] * 3


def test_squares_bounce_and_the_next_picture_is_asked_for() -> None:
    one = task("moving_shapes", length=30, side=6, square=2, sequences=200)
    part = one.train
    np.testing.assert_array_equal(part.inputs[:, 1:], part.targets[:, :-1])
    starts = set()
    for pictures in part.inputs.reshape(-1, 30, 6, 6):
        at = [tuple(np.argwhere(picture)[0]) for picture in pictures]
        starts.add(at[0])
        for picture, (y, x) in zip(pictures, at, strict=True):
            expected = np.zeros((6, 6))
            expected[y : y + 2, x : x + 2] = 1
            np.testing.assert_array_equal(picture, expected)
        for axis in (0, 1):
            place = [where[axis] for where in at]
            speed = place[1] - place[0]
            for before, after in itertools.pairwise(place[1:]):
                speed = -speed if not 0 <= before + speed <= 4 else speed
                assert after - before == speed
                assert abs(speed) == 1
    assert len(starts) == 25
    assert (one.loss, one.output_size, (part.weight == 1).all()) == ("binary_cross_entropy", 36, True)
    several = task("moving_shapes", length=3, side=12, shapes=3, sequences=200).train.inputs
    assert several.max() == 1
    assert several.sum(2).max() == 12
    assert several.sum(2).min() < 12  # where they overlap


@pytest.mark.parametrize("kind", ["temporal_order", "long_lag", "copying", "reber"])
def test_symbols_are_looked_up_or_stand_as_vectors(kind: str) -> None:
    vectors, symbols = task(kind, length=12, sequences=50), task(kind, length=12, sequences=50, symbols=True)
    within = np.arange(vectors.steps) < vectors.train.lengths[:, None]
    np.testing.assert_array_equal(vectors.train.inputs[within].argmax(1), symbols.train.inputs[within])
    np.testing.assert_array_equal(vectors.train.targets, symbols.train.targets)
    assert (vectors.symbols, symbols.symbols) == (0, vectors.input_size)
    assert vectors.fingerprint != symbols.fingerprint


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("bit_relay", {"length": 1}, "dataset.length is 1; expected a whole number of at least 2"),
        ("bit_relay", {"noise": -1}, "dataset.noise is -1; expected a number of at least 0"),
        ("two_sequence", {"variant": "d"}, "unknown choice of dataset.variant 'd'. There are: a, b, c"),
        ("two_sequence", {"informative": 101}, "informative is 101 and length 100; expected informative to be at most length"),
        ("temporal_order", {"variant": "c"}, "unknown choice of dataset.variant 'c'. There are: a, b"),
        ("temporal_order", {"length": 9}, "dataset.length is 9; expected a whole number of at least 10"),
        ("temporal_order", {"symbols": 1}, "dataset.symbols is 1; expected true or false"),
        ("long_lag", {"variant": None}, "unknown choice of dataset.variant 'null'"),
        ("long_lag", {"length": 1}, "dataset.length is 1; expected a whole number of at least 2"),
        ("long_lag", {"distractors": 5}, "distractors is 5 and variant a; expected 0"),
        ("long_lag", {"length": 1000}, "2,400 sequences of 1,000 steps of 1,001 numbers are more than 200,000,000 numbers; lower sequences or length"),
        ("copying", {"items": 0}, "dataset.items is 0; expected a whole number of at least 1"),
        ("reber", {"length": 8}, "dataset.length is 8; expected a whole number of at least 9"),
        ("moving_shapes", {"square": 8}, "square is 8 and side 8; expected square to be less than side"),
        ("moving_shapes", {"side": 2.5}, "dataset.side is 2.5; expected a whole number"),
    ],
)  # fmt: skip
def test_a_rule_with_a_bad_key_is_refused(kind: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        task(kind, **keys)


def test_an_expression_has_the_value_of_its_tree_and_of_its_postfix_order() -> None:
    for length, modulus in ((3, 2), (12, 10), (15, 3)):
        one = task("expressions", length=length, modulus=modulus)
        for row in range(200):
            part, T = one.train, int(one.train.lengths[row])
            words = [str(s) if s < modulus else "+*"[s - modulus] for s in part.inputs[row, :T]]

            def value(t: int, words: list[str] = words, children: np.ndarray = part.children[row]) -> int:
                if words[t] not in "+*":
                    assert children[t].tolist() == [-1, -1]
                    return int(words[t])
                a, b = (value(child) for child in children[t])
                return a + b if words[t] == "+" else a * b

            stack: list[int] = []
            for word in words:
                new = int(word) if word not in "+*" else (lambda b, a, word=word: a + b if word == "+" else a * b)(stack.pop(), stack.pop())
                stack.append(new)
            assert stack == [value(T - 1)]
            assert part.targets[row, T - 1] == stack[0] % modulus
            named = part.children[row][part.children[row] >= 0]
            assert sorted(named) == list(range(T - 1)), "every node but the root is a child once"
            assert (part.children[row, T:] == -1).all()
        assert set(part.lengths) == set(range(3, length + 1, 2))
    operators = one.train.inputs[one.train.inputs >= 3]
    assert operators.mean() == pytest.approx(3.5, abs=0.03), "as many products as sums"
