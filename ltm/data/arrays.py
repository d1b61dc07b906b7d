"""Own sequences from arrays in an ``.npz``, padded already."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np

from ltm.data import files
from ltm.data.base import check_trees
from ltm.data.own import PARTS, Own, Read, classes_of
from ltm.errors import UserError, reason, unknown

KNOWN = ("inputs", "targets", "labels", "lengths", "weight", "children", "split")


@dataclass(frozen=True, kw_only=True)
class Arrays(Own):
    """An ``.npz`` (``numpy.savez``) of B sequences of up to T steps:

    ======== ========================================================================================================================
    inputs   ``(B, T, I)``, or ``(B, T)`` for one column or for symbols
    labels   ``(B,)``, one a sequence, or ``(B, T)``, one a step: text or numbers, which become classes in sorted order; or instead of these
    targets  numbers: ``(B,)`` or ``(B, O)``, one or several a sequence, or ``(B, T, O)``, at every step
    lengths  ``(B,)``, steps of every sequence, where they are not all T; what follows is padding and may hold anything
    weight   what counts how much in the loss: ``(B,)`` where a sequence has one target, ``(B, T)`` where every step has; 1 where not given
    children ``(B, T, N)``, of trees: which earlier steps, counted from 0, are the children of each, -1 for none; most cells do not read it
    split    ``(B,)`` of ``train``, ``validation`` and ``test``; where it is not given, sequences are split by shares
    ======== ========================================================================================================================
    """

    kind = "arrays"
    file: str

    def read(self) -> Read:
        held = self.arrays()
        inputs = held["inputs"]
        if inputs.ndim not in (2, 3) or not inputs.size or (self.symbols and inputs.ndim != 2):
            self.fail(
                f"inputs have the shape {inputs.shape}; expected {'(B, T) of symbols' if self.symbols else '(B, T, I), or (B, T) for one column'}."
            )
        B, T = inputs.shape[:2]
        self.check_size(B, T, inputs[0, 0].size)
        lengths = self.lengths(held, B, T)
        step = np.arange(T) < lengths[:, None]
        inputs = self.cleaned("inputs", inputs, step)
        if self.symbols:
            self.check_symbols(inputs[step])
            inputs = inputs.astype(np.int64)
        elif inputs.ndim == 2:
            inputs = inputs[..., None]
        targets, labels, every = self.targets(held, B, T, step)
        last = np.arange(T) == lengths[:, None] - 1
        weight = self.weight(held, (B, T) if every else (B,), step if every else np.ones(B, bool))
        counted = weight * step if every else weight[:, None] * last
        return Read(inputs, targets, counted, lengths, range(B), labels, not every, self.parts(held, B), self.children(held, step))

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of the file."""
        path = files.locate(self.file)
        try:
            with np.load(path, allow_pickle=False) as found:
                held = {name: found[name] for name in found.files}
        except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            ragged = (
                "; sequences of unequal width or length make no array: pad them, and give lengths" if "allow_pickle" in str(error) else ""
            )
            raise UserError(f"{path} cannot be read as an .npz of plain arrays ({reason(error)}){ragged}.") from None
        for name in held:
            if name not in KNOWN:
                raise unknown(f"array in {path}:", name, KNOWN)
        if "inputs" not in held:
            self.fail(f"{path} has no array 'inputs'; it has {', '.join(sorted(held)) or 'none'}.")
        if ("targets" in held) == ("labels" in held):
            self.fail(
                f"{path} has {'both targets and labels' if 'labels' in held else 'neither targets nor labels'}; expected one of them."
            )
        return held

    def cleaned(self, name: str, values: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Numbers as float64, 0 in the padding; every one outside it is finite."""
        if values.dtype.kind not in "fiub":
            self.fail(f"{name} hold {values.dtype}; expected numbers.")
        values = values.astype(np.float64)
        values[~step] = 0
        if len(bad := np.argwhere(~np.isfinite(values))):
            where = ", step ".join(map(str, bad[0][: step.ndim]))
            self.fail(f"{name} of sequence {where} are not all finite; expected numbers, with lengths where the rest is padding.")
        return values

    def lengths(self, held: dict[str, np.ndarray], B: int, T: int) -> np.ndarray:
        lengths = held.get("lengths", np.full(B, T))
        if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
            self.fail(f"lengths have the shape {lengths.shape} and hold {lengths.dtype}; expected ({B},) whole numbers.")
        if len(bad := np.flatnonzero((lengths < 1) | (lengths > T))):
            self.fail(f"the length of sequence {bad[0]} is {lengths[bad[0]]}; expected 1 to {T}.")
        return lengths.astype(np.int64)

    def targets(self, held: dict[str, np.ndarray], B: int, T: int, step: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], bool]:
        """Targets as in :class:`ltm.data.base.Sequences`, the names of classes, and whether every step has one."""
        name = "labels" if "labels" in held else "targets"
        given = held[name]
        every = given.ndim == (2 if name == "labels" else 3)
        fits = given.shape[: 1 + every] == (B, T)[: 1 + every] and given.ndim <= 3 and given.size
        if not fits or (name == "labels" and given.ndim > 2):
            expected = f"({B},) or ({B}, {T})" if name == "labels" else f"({B},), ({B}, O) or ({B}, {T}, O)"
            self.fail(f"{name} have the shape {given.shape}; expected {expected}, as inputs are {B} sequences of {T} steps.")
        known = step if every else np.ones(B, bool)
        labels: tuple[str, ...] = ()
        if name == "targets":
            values = self.cleaned(name, given.reshape(B, -1) if not every else given, known)
        else:
            if given.dtype.kind not in "UfiubS":
                self.fail(f"labels hold {given.dtype}; expected text or numbers.")
            if given.dtype.kind == "f":
                self.cleaned(name, given, known)
            values = np.zeros(given.shape, np.int64)
            values[known], labels = classes_of(given[known].astype(str) if given.dtype.kind == "S" else given[known])
        if every:
            return values, labels, True
        last = step & ~np.pad(step[:, 1:], ((0, 0), (0, 1)))
        return values[:, None] * (last[..., None] if values.ndim == 2 else last), labels, False

    def weight(self, held: dict[str, np.ndarray], shape: tuple[int, ...], step: np.ndarray) -> np.ndarray:
        given = held.get("weight", np.ones(shape))
        if given.shape != shape:
            self.fail(f"weight has the shape {given.shape}; expected {shape}.")
        weight = self.cleaned("weight", given, step)
        if (weight < 0).any():
            self.fail(f"weight {weight.min():g} is below 0; expected what a step counts, 0 or more.")
        return weight

    def children(self, held: dict[str, np.ndarray], step: np.ndarray) -> np.ndarray | None:
        """Children of every step, -1 in the padding, without columns at the end that no step needs."""
        if "children" not in held:
            return None
        given = held["children"]
        check_trees(f"dataset '{self.name}'", given, step)
        values = np.where(step[..., None], given.astype(np.int64), -1)
        return values[..., : np.flatnonzero((values >= 0).any((0, 1))).max(initial=0) + 1]

    def parts(self, held: dict[str, np.ndarray], B: int) -> np.ndarray | None:
        if "split" not in held:
            return None
        said = held["split"].astype(str)
        if said.shape != (B,):
            self.fail(f"split has the shape {said.shape}; expected ({B},).")
        for one in np.unique(said).tolist():
            if one not in PARTS:
                raise unknown("part in the array 'split'", one, PARTS)
        return np.array([PARTS.index(one) for one in said.tolist()])
