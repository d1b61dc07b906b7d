"""``ltm error-flow|landscape|states STUDY``: what goes on inside the trained networks of a study. Figures and tables go to ``STUDY/inside``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console

from analysis.reporting import build, drawing, tables
from analysis.reporting.parts import inside
from analysis.studies.inside.error_flow import error_flow
from analysis.studies.inside.landscape import around, as_rows, default_lengths, of_length, place_of, steepest, surface
from analysis.studies.memory import networks
from analysis.studies.search import fresh
from analysis.study import Rule
from ltm import trained
from ltm.errors import UserError
from sweeps.console import counted, say, terminal
from sweeps.store.ledger import Ledger

MOST_CONDITIONS = 12
"""Conditions of an error flow where none are asked for, the first ones."""

MOST_STEPS = 300
"""Steps of a sequence whose states are drawn, the last ones."""


def parser(prog: str = "python -m analysis.inside") -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=prog, description="What goes on inside the trained networks of a study.")
    commands = top.add_subparsers(dest="command", required=True, metavar="error-flow|landscape|states")

    def command(name: str, words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("study", help="the study's folder, such as results/k_sweep")
        return one

    flow = command("error-flow", "how an error scales on its way back through time, lag by lag, before and after training")
    flow.add_argument(
        "--condition", action="append", metavar="LABEL", help=f"'lstm / adding', several times for several (default: the first {MOST_CONDITIONS})"
    )  # fmt: skip
    flow.add_argument("--seeds", type=int, default=20, help="of each condition, the first by number (default 20)")
    flow.add_argument("--lags", type=int, help="the longest, in steps (default: half of a sequence, at most 100)")
    hills = command("landscape", "the loss over two weights of a network, by sequence length")
    hills.add_argument("--x", required=True, metavar="WEIGHT", help="the weight across: a parameter and an element, such as 'W_hh[0,0]'")
    hills.add_argument("--y", required=True, metavar="WEIGHT", help="the weight upwards")
    hills.add_argument("--lengths", metavar="N,N", help="steps of the sequences (default: a quarter, half and all of the task's)")
    hills.add_argument("--size", type=int, default=41, help="values of each weight (default 41)")
    hills.add_argument("--span", type=float, default=3.0, help="how far each weight goes to either side (default 3)")
    hills.add_argument("--seed", type=int, help="whose network (default: the median seed)")
    hills.add_argument("--untrained", action="store_true", help="around the initial values of the seed")
    held = command("states", "the states of the median and the worst seed over time")
    held.add_argument("--part", default="test", choices=trained.PARTS, help="of the task (default test)")
    held.add_argument("--sequence", type=int, default=0, metavar="I", help="which sequence of the part, counted from 0 (default 0)")
    for one in (hills, held):
        one.add_argument("--condition", metavar="LABEL", help="'lstm / adding' (may be left out where there is one)")
    return top


def main(arguments: list[str] | None = None, prog: str = "python -m analysis.inside") -> int:
    given = parser(prog).parse_args(arguments)
    run: dict[str, Callable[..., None]] = {"error-flow": on_error_flow, "landscape": on_landscape, "states": on_states}
    console = terminal()
    try:
        ledger, runs, record = build.load(given.study)
        if line := ledger.left_out():
            say(console, line)
        run[given.command](given, console, ledger, fresh(runs, record))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def on_error_flow(given: argparse.Namespace, console: Console, ledger: Ledger, runs: pd.DataFrame) -> None:
    for name, least in (("seeds", 1), ("lags", 1)):
        if (value := getattr(given, name)) is not None and value < least:
            raise UserError(f"--{name} {value}: expected at least {least}.")
    labels = list(runs["condition"].unique())
    if not given.condition and len(labels) > MOST_CONDITIONS:
        say(console, f"the first {MOST_CONDITIONS} of {len(labels)} conditions; --condition chooses others")
    found: list[pd.DataFrame] = []
    why = ""
    for condition in given.condition or labels[:MOST_CONDITIONS]:
        rows = trained.chosen(runs, ledger.uri, condition, None).head(given.seeds)
        (one,) = networks.rebuilt(ledger, rows)
        untrained = np.stack([one.network.initial(number) for number in one.numbers])
        try:
            for values, parameters in (("trained", one.parameters), ("untrained", untrained)):
                flow = error_flow(one.network, one.task, parameters, given.lags)
                found.append(pd.DataFrame({"condition": condition, "values": values, "seeds": len(rows)}, flow.index).join(flow))
        except UserError as error:
            if given.condition:
                raise
            why = f"{condition} is left out: {error}"
            say(console, why)
            continue
        table = inside.flow_table(pd.concat(found[-2:]))
        title = f"{condition}: spectral norm of the derivative of states by those q steps before; median (quartiles) over steps of {counted(len(rows), 'seed')}"
        console.print(tables.for_terminal(table, title))
    if not found:
        raise UserError(f"no condition was measured; {why}")
    table = pd.concat(found, ignore_index=True)
    write(ledger, console, "error-flow", inside.error_flow(table), table)


def on_landscape(given: argparse.Namespace, console: Console, ledger: Ledger, runs: pd.DataFrame) -> None:
    if given.size < 2 or not 0 < given.span < math.inf:
        raise UserError(f"--size {given.size} --span {given.span:g}: expected a size of at least 2 and a span above 0.")
    condition = only(runs, given.condition)
    rule = Rule().of(runs)
    mine = trained.chosen(runs, ledger.uri, condition, None if given.seed is None else [given.seed])
    row = mine if given.seed is not None else networks.typical(mine, rule.metric)
    (one,) = networks.rebuilt(ledger, row)
    seed, config = int(row.iloc[0]["seed"]), json.loads(row.iloc[0]["config"])
    (number,) = one.numbers
    centre = one.network.initial(number) if given.untrained else one.parameters[0]
    places = place_of(one.network, given.x), place_of(one.network, given.y)
    if places[0] == places[1]:
        raise UserError(f"--x and --y are both {given.x}; expected two weights.")
    lengths = whole_numbers(given.lengths) if given.lengths else default_lengths(config["dataset"], one.task)
    x, y = (around(float(centre[place]), given.span, given.size) for place in places)
    loss = config["training"].get("loss") or ""
    losses = {
        length: surface(one.network, of_length(config["dataset"], one.task, number, length), centre, places, x, y, loss)
        for length in lengths
    }
    for length, values in losses.items():
        finite = values[np.isfinite(values)]
        ends = f"{finite.min():.4g} to {finite.max():.4g}" if len(finite) else "not finite"
        lost = f", not finite at {values.size - len(finite)} points" if 0 < len(finite) < values.size else ""
        say(console, f"{length} steps: loss {ends}{lost}; largest difference between neighbours {steepest(values):.3g}")
    name = inside.stem("landscape", condition, "untrained" if given.untrained else "", "seed", seed, given.x, given.y)
    drawn = inside.landscape((given.x, given.y), x, y, losses, (float(centre[places[0]]), float(centre[places[1]])))
    write(ledger, console, name, drawn, pd.DataFrame(as_rows(list(losses), x, y, np.stack(list(losses.values())))))


def on_states(given: argparse.Namespace, console: Console, ledger: Ledger, runs: pd.DataFrame) -> None:
    condition, rule = only(runs, given.condition), Rule().of(runs)
    mine = trained.chosen(runs, ledger.uri, condition, None)
    ordered = mine[np.isfinite(mine[rule.metric].astype(float))].sort_values([rule.metric, "seed"], kind="stable")
    if ordered.empty:
        raise UserError(f"no seed of '{condition}' has a finite {rule.metric}.")
    median, worst = networks.typical(mine, rule.metric).iloc[0], ordered.iloc[-1 if rule.sign > 0 else 0]
    found = trained.states(ledger, condition, sorted({int(median["seed"]), int(worst["seed"])}), given.part)
    B = found.lengths.shape[1]
    if not 0 <= given.sequence < B:
        raise UserError(f"--sequence {given.sequence}: the {given.part} part has {counted(B, 'sequence')}; expected 0 to {B - 1}.")
    steps = int(found.lengths[:, given.sequence].max())
    first = max(0, steps - MOST_STEPS)
    held = {}
    for what, row in (("median", median), ("worst", worst)):
        at = found.seeds.index(int(row["seed"]))
        name = f"{what} seed {row['seed']} ({rule.what.name} {row[rule.metric]:.4g})"
        held[name] = {state: values[at, given.sequence, first:steps] for state, values in found.states.items()}
    say(console, f"{condition}: {', '.join(held)}; steps {first} to {steps - 1} of sequence {given.sequence} of the {given.part} part")
    table = pd.concat(
        pd.DataFrame(values, columns=[f"{state}[{i}]" for i in range(values.shape[1])]).melt(ignore_index=False, var_name="unit")
        .rename_axis("step").reset_index().assign(step=lambda rows: rows["step"] + first, seed=seed)
        for seed, of_seed in held.items() for state, values in of_seed.items()
    )  # fmt: skip
    write(ledger, console, inside.stem("states", condition, given.part, given.sequence), inside.states(held, first), table)


def only(runs: pd.DataFrame, condition: str | None) -> str:
    """The condition that was named, or the only one.

    Raises:
        UserError: none was named, and there are several.
    """
    labels = list(runs["condition"].unique())
    if condition is None and len(labels) != 1:
        raise UserError(f"there are {counted(len(labels), 'condition')}; expected --condition, one of: {', '.join(labels[:20])}.")
    return condition or str(labels[0])


def whole_numbers(text: str) -> list[int]:
    """``10,20`` as numbers.

    Raises:
        UserError: anything else.
    """
    try:
        found = [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise UserError(f"--lengths {text}: expected whole numbers of at least 1, such as 10,20,50.")
    return sorted(set(found))


def write(ledger: Ledger, console: Console, name: str, drawn: drawing.Drawing, table: pd.DataFrame) -> None:
    """The figure and its numbers, into the study's folder ``inside``."""
    ledger.put(f"inside/{name}.csv", tables.as_csv(table).encode())
    ledger.put(f"inside/{name}.svg", drawing.svg(drawn.whole()).encode())
    say(console, f"figure: {ledger.uri}/inside/{name}.svg, its numbers: {name}.csv")


if __name__ == "__main__":
    sys.exit(main())
