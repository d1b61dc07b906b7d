"""What a cell computes, written down: what changes the record, what does not, and the library's own records on paper."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from ltm import cells
from ltm.cells.record import record
from tests.ltm.engine.series import series

LIBRARY = {
    "rnn": ("42d571be9308", "e8e579f7e8c8"),
    "rnn2": ("69395bc56d3e", "33e6b423e626"),
    "rwa": ("02cfb290fe2c", "c709b87e3b6a"),
    "mist": ("dbe60b962ef5", "22e99f90a48d"),
    "mrnnf": ("1ead159aacfa", "6bd3a6550b46"),
    "mrnn": ("bb791dad27a3", "e2a4ed897e81"),
    "gru": ("63af1613a5cb", "4f584653e03a"),
    "lstm": ("abe4004910ac", "43b18472e59c"),
    "mlstmf": ("0bab2ec118f7", "145c0cdd54e6"),
    "mlstm": ("1322d4afbc8e", "e7ec883e6fc5"),
    "mgu": ("b0d72294ed64", "77692cd325e3"),
    "lstm1997": ("758b8c2b4588", "4b7d49af2cf2"),
    "lnlstm": ("97bac88a157c", "c69830ed0c01"),
    "peephole": ("7d7459ec533b", "81f44dd86673"),
    "slstm": ("c978ef7f883f", "eeced0700083"),
    "matrixlstm": ("e53a4c1450ee", "c5612b157f9e"),
    "lru": ("94c9805bb7fa", "4d571a07cc1f"),
    "attention": ("f585dc02d1b6", "58a52feae14d"),
    "esn": ("f79f4a9db238", "adf2527ed648"),
    "convlstm": ("b1e8e6fd5d44", "ec5fdf97a87e"),
    "filtered": ("6f0bef94186a", "1d474bca23c5"),
    "treelstm": ("0e6ba1624f2d", "6a668f2df550"),
    "feedforward": ("529b203930dd", "26f19de7ef86"),
}

OWN = """
from dataclasses import dataclass
import torch
import {helpers} as helpers
from ltm.cells import Cell, State
from ltm.cells.base import bias, linear

SCALE = torch.tensor([0.5])

{extra}
@dataclass(frozen=True)
class Mine(Cell):
    {docstring}
    def parameters(self):
        return {{"W": linear(1, 2), "b": bias(1, {fan_in})}}

    {comment}
    def state(self):
        return {{"h": State(1, initial={start})}}

    def step(self, p, s, x):
        {local} = {gate}(p.W @ torch.cat([x.now, s.h]) + p.b)
        return {{"h": SCALE * helpers.gain({local}) * {constant}}}
"""
PLAIN = {"docstring": "", "comment": "", "local": "u", "gate": "torch.tanh", "constant": "1.0", "extra": "", "fan_in": "2", "start": "0.0"}

STRAIGHT_THROUGH = '''
class Binary(torch.autograd.Function):
    """A step function whose gradient is that of the identity; the recorder sees none of its calls."""
    generate_vmap_rule = True
    @staticmethod
    def forward(x):
        return torch.sign(x) * half()
    @staticmethod
    def setup_context(ctx, inputs, output):
        pass
    @staticmethod
    def backward(ctx, gradient):
        return gradient

def half():
    return 0.5
'''


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """The digest of an own cell written with these words, in files of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    count = iter(range(100))

    def call(gain: str = "1.0 * v", edit: tuple[str, str] = ("", ""), **words: str) -> str:
        name = f"own_cell_{tmp_path.name}_{next(count)}"
        (tmp_path / f"{name}_helpers.py").write_text(f"def gain(v):\n    return {gain}\n")
        text = OWN.format(helpers=f"{name}_helpers", **{**PLAIN, **words}).replace(*edit)
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        try:
            # Modules are told apart by the name that Python gives them, which is no part of what they compute.
            found = record(cells.build({"cell": f"{name}:Mine"}, series(100)))
            return found.text.replace(name, "own_cell")
        finally:
            sys.modules.pop(name, None)
            sys.modules.pop(f"{name}_helpers", None)

    return call


@pytest.mark.parametrize("name", cells.CELLS)
def test_the_records_of_the_library_are_those_written_down(name: str) -> None:
    found = record(cells.Network.of(cells.find(name)()))
    assert (found.digest, found.draws) == LIBRARY[name], found.text


def test_the_record_of_an_rnn_reads_as_its_equations() -> None:
    told = record(cells.build({"cell": "rnn"}, series(300))).text.splitlines()
    assert told[0] == "parameter W_ih [1, 1]"
    assert told[-10:] == [
        "%8 [1] = matmul(W_ih, x.now)", "%9 [1] = add(%8, b_ih)", "%10 [1] = matmul(W_hh, last h)", "%11 [1] = add(%9, %10)",
        "%12 [1] = add(%11, b_hh)", "%13 [1] = tanh(%12)", "%14 [1] = matmul(V, %13)", "%15 [1] = add(%14, c)", "h = %13", "y = %15",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [{"comment": "# a remark"}, {"docstring": '"""What it is."""'}, {"local": "renamed"}, {"edit": ("+ p.b", "+\\\n            p.b")}],
)
def test_words_and_looks_change_no_record(digest, words: dict) -> None:  # type: ignore[no-untyped-def]
    assert digest(**words) == digest()
    assert digest(**words, gate="Binary.apply", extra=STRAIGHT_THROUGH).startswith("parameter")


@pytest.mark.parametrize(
    "words",
    [{"constant": "0.9"}, {"gate": "torch.sigmoid"}, {"gain": "2.0 * v"}, {"fan_in": "3"}, {"start": "0.1"}, {"edit": ("[0.5]", "[0.6]")},
     {"edit": ("[x.now, s.h]", "[s.h, x.now]")}, {"extra": "class Mine0: pass", "edit": ("SCALE * helpers", "torch.relu(SCALE) * helpers")}],
)  # fmt: skip
def test_what_is_computed_changes_the_record(digest, words: dict) -> None:  # type: ignore[no-untyped-def]
    assert digest(**words) != digest()


@pytest.mark.parametrize(
    ("words", "same"),
    [({"comment": "# a remark"}, True), ({"docstring": '"""What it is."""'}, True), ({"constant": "0.9"}, False), ({"gain": "2.0 * v"}, False),
     ({"edit": ("return 0.5", "return 0.4")}, False), ({"edit": ("torch.sign", "torch.floor")}, False), ({"edit": ("A step function", "Words")}, True)],
)  # fmt: skip
def test_a_step_that_hides_calls_is_told_by_the_source_of_all_that_it_uses(digest, words: dict, same: bool) -> None:  # type: ignore[no-untyped-def]
    hidden = {"gate": "Binary.apply", "extra": STRAIGHT_THROUGH}
    assert "syntax of step" in digest(**hidden)
    assert (digest(**hidden, **words) == digest(**hidden)) == same


def test_a_branch_on_a_value_is_told_by_the_source(digest) -> None:  # type: ignore[no-untyped-def]
    branch = {"edit": ('return {"h": SCALE', "if p.b > 0: return {'h': s.h}\n        return {\"h\": SCALE")}
    assert "syntax of step" in digest(**branch)
    assert digest(**branch) != digest(**branch, constant="0.9")


def test_a_step_that_changes_by_itself_is_told_by_the_source(digest) -> None:  # type: ignore[no-untyped-def]
    assert "syntax of step" in digest(constant="next(COUNT)", extra="import itertools\nCOUNT = itertools.count()")


def test_equal_initial_parameters_have_one_digest_whatever_else_differs() -> None:
    by_length = {K: record(cells.build({"cell": "mrnn", "K": K}, series(300))) for K in (25, 100)}
    assert by_length[25].draws == by_length[100].draws
    assert by_length[25].digest != by_length[100].digest
    free = {K: record(cells.build({"cell": "rnn2", "K": K}, series(300))).draws for K in (25, 100)}
    assert free[25] != free[100], "the weights of an RNN2 are K draws"
    assert record(cells.build({"cell": "mrnn", "init": "released"}, series(300))).draws != by_length[100].draws


def test_wide_cells_are_recorded_whatever_engine_runs_them() -> None:
    assert "matmul" in record(cells.build({"cell": "lstm", "hidden_size": 64}, series(300))).text


def test_numbers_are_told_apart_by_six_digits_and_no_more() -> None:
    from ltm.cells.record import digest_of

    a = np.random.default_rng(0).standard_normal(100)
    assert digest_of(a) == digest_of(a * (1 + 1e-13))
    assert digest_of(a) != digest_of(a + 1e-4)
    assert digest_of(a) != digest_of(a.reshape(10, 10))
    assert digest_of(np.array([1.0, np.nan])) != digest_of(np.array([1.0, np.inf]))
