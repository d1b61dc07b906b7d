"""A study's record, ``config.yaml``: which conditions it has, whether a command may go on with it, and what of it is still lacking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from ltm import cells, data
from ltm.errors import UserError, shown
from sweeps.condition import label, settings_of
from sweeps.config import Composed, StudyConfig, grid
from sweeps.config.schema import LATER, folder_name
from sweeps.plan import Plan, SeedRun
from sweeps.store.ledger import Ledger
from sweeps.store.provenance import code_version

CONFIG = "config.yaml"


def lacking(runs: list[SeedRun], ledger: Ledger) -> list[SeedRun]:
    """The seed runs that the ledger does not hold yet."""
    done = ledger.done()
    return [run for run in runs if run.run_id not in done]


def set_aside(plan: Plan, missing: Sequence[SeedRun], ledger: Ledger) -> list[str]:
    """Mark the conditions of the ledger whose cell computes something else now, and those with the ids of an older ltm.

    Their rows are kept and no longer used; a condition that is planned again is used again. Returns what to tell the user, a line each.
    """
    rows = ledger.runs(["run_id", "condition_id", "model", "draws"], former=True)
    counts, drawn = rows["condition_id"].value_counts(), dict(zip(rows["condition_id"], rows["draws"], strict=True))
    mine = {condition.id: condition for condition in plan.conditions}
    by_settings = {(settings_of(key), str(condition.model["name"])): condition for key, condition in mine.items()}
    old = {key for key in counts.index if settings_of(key) is None}
    held = {
        key: (settings_of(key), model) for key, model in zip(rows["condition_id"], rows["model"], strict=True)
    }  # other cells may share settings
    changed = {key: by_settings[of] for key, of in held.items() if key not in mine and of in by_settings}
    before = ledger.former()
    after = (before - mine.keys()) | old | changed.keys()
    if after != before:
        ledger.set_former(after)
    lines = [f"{counts[list(old)].sum()} seed runs of an earlier version of ltm are kept and not used"] if old else []
    by_cell: dict[tuple[str, str], list[str]] = {}
    for key, condition in changed.items():
        what = "step" if drawn[key] == condition.draws else "initial values"
        by_cell.setdefault((str(condition.model.get("cell") or condition.model["name"]).rpartition(":")[2], what), []).append(key)
    for (cell, what), keys in by_cell.items():
        now = {changed[key].id for key in keys}
        train = sum(run.condition.id in now for run in missing)
        has = "has" if what == "step" else "have"
        lines.append(
            f"the {what} of {cell} {has} changed: {train} seed runs to train; {counts[keys].sum()} of its former {what} are kept and not used"
        )
    return lines


def folder_of(study: Composed) -> tuple[str, Ledger]:
    """The name of a study, and the ledger in the folder of its results."""
    config = study.config
    name = folder_name(config.study or f"{study.models[0]['name']}_{study.datasets[0]['name']}")
    return name, Ledger(str(Path(config.root) / name) if "://" not in config.root else f"{config.root}/{name}")


def claim(
    ledger: Ledger,
    plan: Plan,
    config: StudyConfig,
    name: str,
    command: str,
    before: Callable[[], None] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Plan:
    """Write the study's ``config.yaml``, unless the folder holds another study.

    A study grows: more seeds, models, series and values of what its labels name. What they do not name (``fixed``) is the same throughout, or the report
    would compare what is not comparable. ``conditions`` of the record are those of all its commands, ``command`` and ``config`` are of the latest, and
    ``earlier`` are the commands before whose conditions that lacks.

    Args:
        before: called before anything is written; what it raises leaves no trace.
        claims: those that decide how many seeds there are (:meth:`analysis.claims.Claims.record`); None where seeds are fixed.

    Returns and raises as :func:`joined`.
    """
    plan = joined(ledger, plan, config, name, claims)
    if before:
        before()
    record = ledger.record()
    held: dict[str, str] = record.get("conditions", {})
    mine = plan.labels
    labels = {(settings_of(key), label) for key, label in mine.items()}
    # a cell that computes something else now, or the id of an earlier ltm: the condition has a new id, and is the same
    grown = {
        key: label for key, label in held.items() if key not in mine and (settings_of(key), label) not in labels
        and not (settings_of(key) is None and label in mine.values())
    }  # fmt: skip
    earlier = [*record.get("earlier", ()), *([record["command"]] if "command" in record else ())]
    made = record_of(config, name, command) | {
        "conditions": {**grown, **mine},
        "fixed": fixed_of(plan, [*varied(record, config), *grid.of_blocks(config)]) | record.get("fixed", {}),
        "varied": varied(record, config),
    }
    if grown and (before_this := [line for line in dict.fromkeys(earlier) if line != command]):
        made["earlier"] = before_this
    made |= {"claims": dict(claims)} if claims else {}
    if "places" in record:
        made["places"] = record["places"]
    write(ledger, made)
    return plan


def write(ledger: Ledger, record: Mapping[str, Any]) -> None:
    """Write a study's record."""
    ledger.put(CONFIG, yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True).encode())


def joined(ledger: Ledger, plan: Plan, config: StudyConfig, name: str, claims: Mapping[str, Any] | None = None) -> Plan:
    """The plan as part of the study in its folder: with the labels that its conditions have there already.

    Raises:
        UserError: what this plan would change, and why that is another study.
    """
    record = ledger.record()
    held: dict[str, str] = record.get("conditions", {})
    named = varied(record, config)
    plan = replace(plan, labels={c.id: held.get(c.id, label(c, named)) for c in plan.conditions})
    new = replace(plan, conditions=tuple(c for c in plan.conditions if c.id not in held))
    if (
        why := "a search"
        if record.get("search")
        else of_seeds(record, claims) or differs(record, plan, fixed_of(new, [*named, *grid.of_blocks(config)]))
    ):
        raise UserError(f"{ledger.path} holds another study ({why}); choose another folder with study=NAME, such as study={name}_2.")
    return plan


def of_seeds(record: Mapping[str, Any], claims: Mapping[str, Any] | None) -> str:
    """What a study's record has otherwise of how many seeds there are; its budget may grow. Empty where nothing is."""
    held = record.get("claims")
    if not record or (held is None) == (claims is None):
        same = not (held and claims) or all(held[key] == claims[key] for key in ("error_rate", "list"))
        return "" if same else "with other claims or another error rate, which are fixed before the first seed"
    return "with seeds=auto, where results decide how many seeds there are" if held else "with a fixed number of seeds"


def varied(record: Mapping[str, Any], config: StudyConfig) -> list[str]:
    """The keys that the labels of a study name: those that its commands have varied so far, and this one."""
    return list(dict.fromkeys([*record.get("varied", ()), *grid.named(config)]))


Fixed = dict[str, Any]
"""Settings by where they belong: ``training.lr``, ``model rnn.hidden_size``, ``dataset arfima.seed``."""


def fixed_of(plan: Plan, varied: Iterable[str]) -> Fixed:
    """The settings that no label of the plan names: of training, and of every model and series by its name.

    Args:
        varied: the keys of the grid, which labels name.
    """
    found: Fixed = {}
    named = set(map(grid.split, varied))
    for condition in plan.conditions:
        for section, of in (("training", condition.training), ("model", condition.model), ("dataset", condition.dataset)):
            here = section if section == "training" else f"{section} {of['name']}"
            free = [key for key in of if not named & {(None, key), (section, key)}]
            found |= {f"{here}.{key}": of[key] for key in free if key not in ("name", "K", "cell", "init")}
            if section == "dataset" and len(free) == len(of):
                found[f"{here}: values, split or scaling"] = condition.fingerprint
    return found


def differs(record: Mapping[str, Any], plan: Plan, fixed: Fixed) -> str:
    """What of a study's record this plan sets otherwise, and what to do; empty where the study can grow into it."""
    for key, value in fixed.items():
        held = held_as(record.get("fixed", {}), key, value)
        if held != value and ":" in key:
            return f"of the {key.replace(':', ', other')}"
        if held != value:
            both = f"{key.partition(' ')[0].partition('.')[0]}.{key.rpartition('.')[2]}={shown(held)},{shown(value)}"
            return f"{key} is {shown(held)} there and {shown(value)} here, which no label would say; write {both} to have both"
    ids = {label: key for key, label in record.get("conditions", {}).items()}
    for key, name in plan.labels.items():
        other = ids.get(name, key)
        if settings_of(other) is not None and settings_of(other) != settings_of(key):
            return f"with other settings of '{name}'"
    return ""


def held_as(fixed: Fixed, key: str, value: Any) -> Any:
    """What a record holds of a setting: a key that ltm did not have then stood at its default; of a model or series that is new nothing is held."""
    of, _, name = key.rpartition(".")
    if key in fixed or not any(known.startswith(f"{of}.") for known in fixed):
        return fixed.get(key, value)
    later = LATER if of == "training" else cells.ADDED if of.startswith("model ") else data.ADDED
    return later.get(name, value)


def record_of(config: StudyConfig, name: str, command: str) -> dict[str, Any]:
    """What a study's ``config.yaml`` says of how it came about."""
    settings = {key: value for key, value in asdict(config).items() if key != "tracking"}
    return {"study": name, "command": command, "code": code_version(), "config": settings}
