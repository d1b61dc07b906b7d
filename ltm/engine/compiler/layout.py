"""What a vector is, and where things lie: the one switch between kernels for seeds, for batch entries, and for the units of one seed.

=========  ======================  ===================================  ==========================
layout     a vector is             a weight is read as                  a gradient is written as
=========  ======================  ===================================  ==========================
seeds      ``width`` seeds         a vector (each seed its own)         a vector
entries    entries of a batch      one number, spread                   the sum of the lanes
units      units of one seed       a vector of rows                     a vector, of columns
=========  ======================  ===================================  ==========================
"""

from __future__ import annotations

from dataclasses import dataclass

from ltm.engine.compiler.vector import Processor


@dataclass(frozen=True)
class Slot:
    """Where an array lies: buffer, first unit, how far its units are apart; ``base`` is the element where this step's part begins.

    Buffers: ``p`` parameters, ``g`` their gradient, ``w`` work, ``tr`` a row a step, ``f`` and ``px`` features, ``kt`` tables.
    """

    buffer: str
    index: int
    base: str = ""
    stride: int = 1

    def __add__(self, units: int) -> Slot:
        return Slot(self.buffer, self.index + units * self.stride, self.base, self.stride)


@dataclass(frozen=True)
class Layout:
    """How text addresses memory; ``width`` lanes a vector, as many as ``processor`` does well side by side."""

    kind: str
    width: int
    processor: Processor

    @property
    def step(self) -> int:
        """Units that one vector holds."""
        return self.width if self.kind == "units" else 1

    @property
    def lanes(self) -> int:
        """Seeds that are trained side by side."""
        return self.width if self.kind == "seeds" else 1

    @property
    def accumulators(self) -> int:
        """Vectors that sums may keep in registers: half of them."""
        return max(1, self.processor.registers * self.processor.lanes // 2 // self.width)

    def written_out(self, R: int, C: int, computed: bool) -> str | None:
        """How a product of R x C weights is made: column by column, row by row, or (None) as a block with a loop inside.

        ``computed``: its vector is an array that the step has just computed, whose units are not at hand one by one.
        """
        if self.kind == "units":
            return "rows" if R <= 4 else "columns" if C <= 4 and not computed else None
        if computed:
            return "rows" if R == 1 and C > 1 else None
        return "columns" if C <= 2 or R * C <= 8 else None

    def size(self, buffer: str) -> int:
        """Elements of memory a unit."""
        many = {"seeds": "p g w tr", "entries": "w tr f px", "units": ""}[self.kind]
        return self.width if buffer in many.split() else 1

    def address(self, slot: Slot, unit: int = 0, **loops: int) -> str:
        """The element of a unit: ``unit`` plus, for every loop variable, so many units a count."""
        scale = self.size(slot.buffer)
        terms = [slot.base] if slot.base else []
        terms += [name if (k := units * scale * slot.stride) == 1 else f"{name} * {k}" for name, units in loops.items()]
        constant = (slot.index + unit * slot.stride) * scale
        return " + ".join([*terms, str(constant)] if constant or not terms else terms)

    def load(self, slot: Slot, unit: int = 0, *, one: bool = False, **loops: int) -> str:
        """A vector of an array; ``one``: its unit alone, in every lane."""
        numbers = {"seeds": "f px kt", "entries": "p kt", "units": "kt px"}[self.kind].split()
        spread = slot.buffer in numbers or (one and self.kind == "units")
        return f"{'spread' if spread else 'load'}({slot.buffer}, {self.address(slot, unit, **loops)})"

    def store(self, slot: Slot, value: str, n: int, *, add: bool = False, unit: int = 0, left: str = "", **loops: int) -> str:
        """Write a vector of an array of n units (``left`` of them from here on), or add it to what is there."""
        where = f"{slot.buffer}, {self.address(slot, unit, **loops)}"
        if slot.buffer == "g" and self.kind == "entries":
            return f"add_sum({where}, {value})"
        if add:
            value = f"add(load({where}), {value})"
        if self.kind == "units" and n % self.width:
            return f"store_head({where}, {value}, {left or n})"
        return f"store({where}, {value})"
