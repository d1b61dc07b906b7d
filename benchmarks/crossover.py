"""``python -m benchmarks.crossover``: from which hidden size on a vector of units is faster than a vector of seeds, by cell.

The rule of ``engine=auto`` (:func:`ltm.engine.fused.layout_of`) is fixed, so that a seed run has the same bits everywhere; these are the
measurements it was set from, for any machine. One thread, seed-epochs per second of CPU time of a pack of 32 seeds, the released protocol
on the simulated ARFIMA series.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from benchmarks.engine import SERIES, machine, rate
from ltm import cells, data
from ltm.cells import CELLS
from ltm.engine import Protocol
from ltm.engine.fused import Fused, layout_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crossover", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=["rnn", "lstm", "mrnn", "mlstm"], choices=list(CELLS))
    parser.add_argument("--hidden", nargs="+", type=int, default=[4, 8, 12, 16, 24, 32])
    parser.add_argument("--K", type=int, default=100)
    given = parser.parse_args()
    console = Console()
    console.print(machine(), highlight=False, soft_wrap=True)
    task = data.build(SERIES)
    table = Table("cell", "hidden", "seeds", "units", "units / seeds", "auto", title="seed-epochs per second, one thread")
    forever = Protocol(max_epochs=10**6, patience=10**6)
    for name in given.cells:
        for hidden in given.hidden:
            model = {"cell": name, "hidden_size": hidden} | ({"K": given.K} if hasattr(CELLS[name](), "K") else {})
            network = cells.build(model, task)
            seeds, units = (rate(Fused(network, task, forever, layout=kind), 32, 1, 3)[0] for kind in ("seeds", "units"))
            table.add_row(name, str(hidden), f"{seeds:,.0f}", f"{units:,.0f}", f"{units / seeds:.2f}", layout_of(network, 1))
            console.print(f"{name}, hidden {hidden}: {units / seeds:.2f}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    main()
