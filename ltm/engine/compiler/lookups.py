"""Prints what no step computes: dropout masks, and the vectors that symbols are looked up as. Both are loops over the lanes of a row."""

from __future__ import annotations

from collections.abc import Sequence

from ltm.cells import Network
from ltm.cells.feedforward import Dropout
from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.layout import Handed, Memory
from ltm.engine.compiler.render import Printer
from ltm.training.masks import FIRST, PLUS, SECOND, WEYL
from ltm.training.state import SETTINGS

MIXED = f"""
@inner
def mixed(h, v):
    h = np.uint32(np.uint32(np.uint32(h ^ v) * np.uint32({WEYL})) + np.uint32({PLUS}))
    h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(16))) * np.uint32({FIRST}))
    h = np.uint32(np.uint32(h ^ np.uint32(h >> np.uint32(13))) * np.uint32({SECOND}))
    return np.uint32(h ^ np.uint32(h >> np.uint32(16)))
"""
""":func:`ltm.training.masks.mixed`, of single numbers."""

STARTED = f"""
@inner
def started(keys, settings, n, layer, place):
    row = LANES * ENTRIES
    h, bound, gain = np.zeros(row, np.uint32), np.zeros(row, np.uint32), np.zeros(row, real)
    for l in range(row):
        seed = (l // ENTRIES) % LANES
        key, rate = np.uint64(keys[seed]), np.float64(settings[seed, {SETTINGS.index("dropout")}])
        one = mixed(mixed(np.uint32(0), np.uint32(key & np.uint64(0xFFFFFFFF))), np.uint32(key >> np.uint64(32)))
        h[l] = mixed(mixed(mixed(one, np.uint32(n)), np.uint32(layer)), np.uint32(place + l % ENTRIES))
        bound[l], gain[l] = np.uint32(rate * 4294967296.0), real(1.0 / (1.0 - rate))
    return h, bound, gain
"""
"""The hash of every lane up to its place in the batch, the smallest hash that keeps a unit, and what kept units are multiplied by."""


def dropped(printers: Sequence[Printer]) -> tuple[list[str], list[str]]:
    """The statements that fill all masks of a round of sequences: drawn, and all 1."""
    drawn, ones = [], []
    for here in printers:
        if here.stage.part is None or not isinstance(here.stage.part.cell, Dropout):
            continue
        slot, n, many = here.mask, here.stage.part.cell.input_size, here.layout.size("tr")
        each_step = slot.buffer == "tr"
        at = f"{slot.buffer}[{'q + ' if each_step else ''}({slot.index} + u) * {many} + l]"
        over = [f"for u in range({n}):", "    for l in range(LANES * ENTRIES):"]
        draw = [
            *over,
            f"        {at} = gain[l] if mixed(mixed(h[l], np.uint32({'t' if each_step else '0'})), np.uint32(u)) >= bound[l] else real(0.0)",
        ]
        fill = [*over, f"        {at} = real(1.0)"]
        if each_step:
            draw, fill = (["for t in range(T):", *indented(["q = (t + lead) * RW", *lines])] for lines in (draw, fill))
        drawn += [f"h, bound, gain = started(keys, settings, n, {here.stage.part.layer}, place)", *draw]
        ones += fill
    return drawn, ones


def looked_up(network: Network, memory: Memory) -> tuple[list[str], list[str]]:
    """The statements that put the vectors of a round's symbols into the trajectory, and that add the adjoints of these to their gradients.

    The vectors are what the first layer reads (``memory.outputs``).
    """
    if not network.embedding:
        return [], []
    n, layout = network.embedding, memory.layout
    handed = Handed(memory.slot("tr", n), memory.slot("tr", n), n)
    memory.outputs = [handed]
    many = layout.size("tr")

    def loop(line: str) -> list[str]:
        lines = ["q = (t + lead) * RW", "for l in range(LANES * ENTRIES):", "    i, s = int(f[t * WIDTH + l]), (l // ENTRIES) % LANES"]
        return ["for t in range(end):", *indented([*lines, f"    for u in range({n}):", f"        {line}"])]

    weight, at = f"[(i * {n} + u) * LANES + s]", f"tr[q + ({{}} + u) * {many} + l]"
    return loop(f"{at.format(handed.state)} = p{weight}"), loop(f"g{weight} += {at.format(handed.bar)}")
