"""The report's last part: what the figures were computed with, and what that cost."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import yaml

from analysis.naming import settings_of
from analysis.reporting.page import details
from analysis.reporting.section import Section
from sweeps.store.ledger import Ledger


def section(ledger: Ledger, runs: pd.DataFrame, record: dict[str, Any]) -> Section:
    """What conference checklists ask for: hardware, seconds a seed run and in total, software; and the command and config."""
    sources = sources_of(ledger, runs)
    total, each = runs["seconds"].sum(), runs["seconds"].median()
    words = [
        f"<p>{len(runs):,} seed runs took {total:,.0f} s of training in all, {each:.2g} s a seed run (median; a pack's time divided by its seed runs), on"
        f" {html.escape(hardware(sources))}: {cost(sources, runs, record)}.</p>",
        "<p>Every seed run, with its run_id, config and data fingerprint, is a row of <code>runs/*.parquet</code> beside this report;"
        " its column <code>provenance</code> names the file with its code, packages and processor.</p>",
        *(f"<p>{html.escape(line)}</p>" for line in [*filled(runs), *versions(runs)]),
        f"<pre>{html.escape(str(record.get('command', '')))}\n{html.escape(code(sources, runs))}</pre>",
        details("The study's config", f"<pre>{html.escape(yaml.safe_dump(record.get('config', {}), sort_keys=False))}</pre>"),
    ]
    kept = (
        runs.groupby(["provenance", "engine", "engine_version"], dropna=False)["seconds"].agg(seed_runs="size", seconds="sum").reset_index()
    )
    return Section("Where these figures come from", "".join(words), kept={"compute": kept})


def sources_of(ledger: Ledger, runs: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """The files of ``provenance/`` that these rows name."""
    return {name: source(ledger, str(name)) for name in runs["provenance"].dropna().unique()}


def source(ledger: Ledger, name: str) -> dict[str, Any]:
    """A file of ``provenance/``; empty where it is gone."""
    return dict(json.loads(ledger.text(f"provenance/{name}.json") or "{}"))


def hardware(sources: dict[Any, dict[str, Any]]) -> str:
    """Processors and GPUs in words."""
    machines = {
        f"{one.get('gpu') or one.get('processor', 'an unknown processor')} ({one.get('cores')} cores, {one.get('threads')} a pack)"
        for one in sources.values()
    }
    return "; ".join(sorted(machines)) or "hardware that an older ltm did not record"


def filled(runs: pd.DataFrame) -> list[str]:
    """Which data have missing values that were filled, a line a rule."""
    configs: Sequence[object] = runs["config"].dropna().unique().tolist() if "config" in runs else []
    datasets = [settings_of(config).get("dataset", {}) for config in configs]
    rules = sorted({(one["fill"], str(one["name"])) for one in datasets if one.get("fill", "refuse") != "refuse"})
    return [f"Missing values of {name}, if it has any, are filled by the rule {rule} (dataset.fill)." for rule, name in rules]


def cost(sources: dict[Any, dict[str, Any]], runs: pd.DataFrame, record: dict[str, Any]) -> str:
    """Core-hours and GPU-hours of training, and US dollars where the study's config has rates; without idle time, start-up and reports."""
    compute = record.get("config", {}).get("compute", {})
    seconds = runs.groupby("provenance")["seconds"].sum()
    cores = sum(spent * int(sources[name].get("threads") or 1) for name, spent in seconds.items()) / 3600
    gpus = sum(spent for name, spent in seconds.items() if sources[name].get("gpu")) * float(compute.get("gpus_per_pack") or 1.0) / 3600
    rates = [(cores, compute.get("usd_per_core_hour")), (gpus, compute.get("usd_per_gpu_hour"))]
    known = [(hours, rate) for hours, rate in rates if hours and rate is not None]
    words = f"{cores:.2g} core-hours" + (f" and {gpus:.2g} GPU-hours" if gpus else "")
    return words + (f", {sum(hours * rate for hours, rate in known):.2g} USD at the rates of the config" if known else "")


def versions(runs: pd.DataFrame) -> list[str]:
    """How many rows are of each version of the engine, where there are several."""
    counts = runs["engine_version"].value_counts()
    if len(counts) < 2:
        return []
    told = ", ".join(f"{count:,} of version {version}" for version, count in counts.sort_index(ascending=False).items())
    return [f"Seed runs of several versions of the engine are used together: {told}. They are the same work with other rounding."]


def code(sources: dict[Any, dict[str, Any]], runs: pd.DataFrame) -> str:
    """Commit and uncommitted changes of every checkout, a line each."""
    lines = [f"ltm {', '.join(map(str, runs['code'].unique()))}; engine {', '.join(map(str, runs['engine'].unique()))}"]
    for name, one in sources.items():
        for folder, checkout in one.get("checkouts", {}).items():
            changes = f", with changes: provenance/{checkout['uncommitted']}" if checkout["uncommitted"] else ""
            lines.append(f"{folder} at commit {checkout['commit']}{changes}")
        lines += [f"own cell {module}: provenance/{file}" for module, file in one.get("sources", {}).items()]
        lines.append(f"Python {one.get('python')}, {len(one.get('packages', {}))} packages: provenance/{name}.json")
    return "\n".join(dict.fromkeys(lines))
