"""What ``seeds=auto`` saves on a real study: its claims beside those of a fixed number of seeds, and the seed runs that either took.

    python -m benchmarks.saved AUTO FIXED

Both are folders of one study, such as ``+experiment=paper_table2 seeds=auto study=auto`` and ``+experiment=paper_table2 study=fixed``. Prints Markdown; exits with
1 where a claim that is decided in both has opposite verdicts, or where the budget was passed.
"""

from __future__ import annotations

import argparse
import sys

import pandas as pd

from analysis.claims import Claims, Decided, decided
from analysis.reporting.build import load
from analysis.studies.compare import Comparison
from analysis.studies.verdicts import judge
from analysis.study import Rule, Study
from benchmarks.calibration.promises import markdown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("auto")
    parser.add_argument("fixed")
    given = parser.parse_args()
    _, of_auto, record = load(given.auto)
    _, of_fixed, _ = load(given.fixed)
    if not (claims := Claims.of_record(record)):
        parser.error(f"{given.auto} was not trained with seeds=auto")
    study = Study.of(of_fixed, Rule())
    pairs = [tuple(study.by_label[label] for label in one.of) for one in claims.claims if one.kind == "differ"]
    judged = {(one.a.label, one.b.label): one for one in judge(study, pairs, whole=False).comparisons}  # type: ignore[arg-type]
    found = [one for one in decided(claims, of_auto, {one.label: one.name for one in study}) if one.claim.kind == "differ"]
    rows = [row_of(one, judged[one.claim.of[0], one.claim.of[1]]) for one in found]
    table = pd.DataFrame(rows)
    print(
        f"{counts(table)}\n\nSeed runs: {len(of_auto):,} of a budget of {10 * claims.budget.packs:,}; {len(of_fixed):,} with a fixed number.\n"
    )
    print(markdown(table[table["auto"] != table["fixed"]]))
    against = {("a", "b"), ("b", "a")} & set(zip(table["auto"], table["fixed"], strict=True))
    return 1 if against or len(of_auto) > 10 * claims.budget.packs else 0


def row_of(one: Decided, other: Comparison) -> dict[str, str]:
    """A claim: which of both is better, by either design; empty where that is open."""
    winner = one.standing.winner
    by_auto = "" if winner is None else "a" if one.ahead[0] == one.names[0] else "b"
    by_fixed = "a" if other.p_adjusted < 0.05 and other.theta.estimate > 0.5 else "b" if other.p_adjusted < 0.05 else ""
    return {
        "series": one.dataset, "a": one.names[0], "b": one.names[1], "auto": by_auto, "fixed": by_fixed, "seeds, auto": str(10 * one.standing.packs),
        "P, auto": f"{one.theta:.2f} for {one.ahead[0]}", "P, fixed": f"{other.theta.estimate:.2f} for {other.a.name}", "p, fixed": f"{other.p_adjusted:.2g}",
    }  # fmt: skip


def counts(table: pd.DataFrame) -> str:
    both = ((table["auto"] == table["fixed"]) & (table["auto"] != "")).sum()
    neither = ((table["auto"] == "") & (table["fixed"] == "")).sum()
    alone, other = ((table[mine] != "") & (table[theirs] == "") for mine, theirs in (("auto", "fixed"), ("fixed", "auto")))
    opposite = ((table["auto"] != "") & (table["fixed"] != "") & (table["auto"] != table["fixed"])).sum()
    return (
        f"{len(table)} claims: {both} decided alike by both, {alone.sum()} by seeds=auto alone, {other.sum()} by the fixed number alone, {neither} by neither,"
        f" {opposite} in opposite ways."
    )


if __name__ == "__main__":
    sys.exit(main())
