"""``python docs/latching.py STUDY FILE.svg``: the share of a latching study's seeds that latch, by length and cell, with Wilson's 95 % intervals."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.axes import Axes

from analysis.reporting.drawing import PALETTE, Drawing, svg
from analysis.statistics.success.shares import wilson
from sweeps.store.ledger import Ledger

LATCHED = 0.95
"""Test accuracy from which a seed has latched: a network that has not is right by chance."""


def main(study: str, path: str) -> None:
    runs = Ledger(study).runs(["run_id", "model", "config", "test_accuracy"])
    runs["length"] = [json.loads(config)["dataset"]["length"] for config in runs["config"]]
    runs = runs[runs.groupby("length")["model"].transform("nunique") == runs["model"].nunique()]  # lengths that all cells have
    runs = runs.assign(latched=runs["test_accuracy"] > LATCHED)

    def draw(axis: Axes, _: str, __: int) -> None:
        for colour, (model, mine) in zip(PALETTE, runs.groupby("model", sort=False), strict=False):
            counts = mine.groupby("length")["latched"].agg(["sum", "count"])
            shares = [wilson(int(k), int(n)) for k, n in counts.itertuples(index=False)]
            axis.plot(counts.index, [one.estimate for one in shares], color=colour, label=str(model).upper(), marker="o", markersize=3)
            axis.fill_between(
                counts.index, [one.low for one in shares], [one.high for one in shares], color=colour, alpha=0.15, linewidth=0
            )
        axis.set(xlabel="steps of a sequence", ylabel="share of seeds that latch", ylim=(-0.02, 1.02))
        axis.legend()

    Path(path).write_text(svg(Drawing(draw, size=(6.0, 3.2)).whole()))


if __name__ == "__main__":
    main(*sys.argv[1:])
