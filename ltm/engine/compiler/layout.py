"""What a vector is, and where things lie: the one switch between kernels for seeds, for batch entries, and for the units of one seed.

=========  ======================  ===================================  ==========================
layout     a vector is             a weight is read as                  a gradient is written as
=========  ======================  ===================================  ==========================
seeds      ``width`` seeds         a vector (each seed its own)         a vector
entries    entries of a batch      one number a seed, spread            the sum of the seed's lanes
units      units of one seed       a vector of rows                     a vector, of columns
=========  ======================  ===================================  ==========================
"""

from __future__ import annotations

from dataclasses import dataclass

from ltm.engine.compiler.target.vector import Processor


@dataclass(frozen=True)
class Slot:
    """Where an array lies: buffer, first unit, how far its units are apart; ``base`` is the element where this step's part begins.

    Buffers: ``p`` parameters, ``g`` their gradient, ``w`` work of an update, ``ca`` what is carried from step to step, ``wt`` copies of weights,
    ``tr`` a row a step, ``f`` and ``px`` features, ``ta`` targets, ``sw`` weights of steps, ``kt`` tables.
    """

    buffer: str
    index: int
    base: str = ""
    stride: int = 1

    def __add__(self, units: int) -> Slot:
        return Slot(self.buffer, self.index + units * self.stride, self.base, self.stride)


@dataclass(frozen=True)
class Layout:
    """How text addresses memory.

    Attributes:
        width: elements of a vector, as many as ``processor`` does well side by side.
        row: lanes of a group. Those of batch entries are ``width`` times some, and text handles the vector from lane ``v`` on, that of seed ``s``;
            of seeds and units they are those of the vector.
        side: seeds whose entries lie side by side in a row.
        gathered: inputs and targets are laid out lane by lane; else all lanes read the same.
    """

    kind: str
    width: int
    processor: Processor
    row: int
    side: int = 1
    gathered: bool = False

    @property
    def step(self) -> int:
        """Units that one vector holds."""
        return self.width if self.kind == "units" else 1

    @property
    def lanes(self) -> int:
        """Seeds that are trained side by side."""
        return {"seeds": self.width, "entries": self.side, "units": 1}[self.kind]

    @property
    def entries(self) -> int:
        """Sequences of a seed that are run side by side."""
        return self.row // self.side if self.kind == "entries" else 1

    @property
    def accumulators(self) -> int:
        """Vectors that sums may keep in registers: half of them, or three of four where weights are single numbers."""
        room = self.processor.registers * self.processor.lanes // self.width
        return max(1, room * 3 // 4 if self.kind == "entries" else room // 2)

    def written_out(self, R: int, C: int, computed: bool) -> str | None:
        """How a product of R x C weights is made: column by column, row by row, or (None) as a block with a loop inside.

        ``computed``: its vector is an array that the step has just computed, whose units are not at hand one by one.
        """
        if self.kind == "units":
            return "rows" if R <= 4 else "columns" if C <= 4 and not computed else None
        if computed:
            return "rows" if R == 1 and C > 1 else None
        return "columns" if R * C <= 8 or (C <= 2 and self.kind == "seeds") else None

    def size(self, buffer: str) -> int:
        """Elements of memory a unit."""
        if self.kind == "units" or buffer == "kt":
            return 1
        if buffer in ("p", "g", "wt"):
            return self.lanes
        return self.row if buffer in ("w", "ca", "tr") or self.gathered else 1

    @property
    def spread(self) -> tuple[str, ...]:
        """Buffers of which a lane reads one number of its seed."""
        return ("p", "wt") if self.kind == "entries" else ()

    def over_lanes(self, lines: list[str], most: int = 1) -> list[str]:
        """Statements for every vector of a row, or for ``most`` vectors of a seed at once."""
        if self.kind != "entries" or not lines:
            return lines
        return [f"for v in range(0, {self.row}, {most * self.width}):", f"    s = v // {self.entries}", *(f"    {line}" for line in lines)]

    def address(self, slot: Slot, unit: int = 0, beside: int = 0, **loops: int) -> str:
        """The element of a unit: ``unit`` plus, for every loop variable, so many units a count; ``beside``: so many vectors on in the row."""
        scale = self.size(slot.buffer)
        terms = [slot.base] if slot.base else []
        if self.kind == "entries" and slot.buffer != "kt":
            terms.append("s" if slot.buffer in ("p", "g", "wt") else "v")
        terms += [name if (k := units * scale * slot.stride) == 1 else f"{name} * {k}" for name, units in loops.items()]
        constant = (slot.index + unit * slot.stride) * scale + beside * self.width
        return " + ".join([*terms, str(constant)] if constant or not terms else terms)

    def load(self, slot: Slot, unit: int = 0, *, one: bool = False, beside: int = 0, **loops: int) -> str:
        """A vector of an array; ``one``: its unit alone, in every lane."""
        at = f"{slot.buffer}, {self.address(slot, unit, beside, **loops)}"
        if self.kind == "units":
            return f"spread({at})" if one or slot.buffer in ("kt", "px") else f"load({at})"
        return f"load({at})" if self.size(slot.buffer) == self.row and slot.buffer not in self.spread else f"spread({at})"

    def store(
        self, slot: Slot, value: str, n: int, *, add: bool = False, unit: int = 0, beside: int = 0, left: str = "", **loops: int
    ) -> str:
        """Write a vector of an array of n units (``left`` of them from here on), or add it to what is there."""
        where = f"{slot.buffer}, {self.address(slot, unit, beside, **loops)}"
        if slot.buffer == "g" and self.kind == "entries":
            return f"add_sum({where}, {value})"
        if add:
            value = f"add(load({where}), {value})"
        if self.kind == "units" and n % self.width:
            return f"store_head({where}, {value}, {left or n})"
        return f"store({where}, {value})"


@dataclass(frozen=True)
class FeatureLayout:
    """Where features lie in the flat arrays that a kernel reads; none of it depends on the length of the sequences.

    ``f``: ``width`` values a time step, ``rows[name]`` the offset within them. ``px``: padded inputs, ``windows[name]`` is (offset, K, I).
    ``kt``: K, the longest lag of a state, and what its filter needs (:func:`ltm.engine.compiler.blocks.filter_table`).
    """

    width: int
    rows: dict[str, int]
    windows: dict[str, tuple[int, int, int]]


class Memory:
    """What the stages of a kernel share: how many units every buffer has, constants, and where each layer's outputs lie in the trajectory."""

    def __init__(self, layout: Layout, series: bool) -> None:
        self.layout, self.series = layout, series
        self.sizes = {"w": 0, "ca": 0, "wt": 0, "tr": 0}
        self.constants: dict[str, str] = {}
        self.lead = 1
        self.loss = Slot("w", self.slot("w", layout.step))
        self.outputs: list[Handed] = []
        """Of the layer that the next stage reads."""

    def start(self, exponential: bool) -> list[str]:
        """The first statements of whatever addresses rows: K, and how many rows lie before the sequence."""
        return ["K = int(kt[0])", f"lead = max({self.lead}, K + 1)" if exponential else f"lead = {self.lead}"]

    def constant(self, value: float) -> str:
        """The name of a number."""
        return self.constants.setdefault(repr(value), f"C{len(self.constants)}")

    def slot(self, buffer: str, n: int = 1) -> int:
        """n new units of a buffer; where vectors run along units, arrays of a vector or more begin on its boundary."""
        align = min(16, self.layout.step)
        first = -(-self.sizes[buffer] // align) * align if n >= align else self.sizes[buffer]
        self.sizes[buffer] = first + n
        return first


@dataclass
class Handed:
    """An output of a layer: its state's and its adjoint's first column, units, whether its row is that of step 0 for a read-out of the last step
    (time runs backwards), and whether an adjoint has been written that others are added to."""

    state: int
    bar: int
    n: int
    reverse: bool = False
    written: bool = False
