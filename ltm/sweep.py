"""``python -m ltm.sweep``, ``ltm sweep`` and :func:`ltm.run`: a whole study. The thin top: Hydra in, :mod:`sweeps` does the work."""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ltm import door
from ltm.errors import UnfinishedError, UserError, unknown

if TYPE_CHECKING:
    from sweeps.config import Composed
    from sweeps.store.ledger import Ledger

USAGE = """{program} [+experiment=NAME] [study=NAME] [root=DIR] [seeds=N|A-B] [any Hydra override; commas sweep]

Trains every seed run of a study that its folder ROOT/STUDY lacks, then writes the report.
The same command again is the resume; more seeds, models or values train the difference.

  --help [GROUP]    this text, or what there is of one group: study, model, dataset, training, ...
  --cfg [job|all]   print the composed config and the conditions, and stop; all: with that of every model and series
  --info            print the folders that configs come from, and stop
  --dry-run         print what would be trained and about how long that takes, and stop; nothing is written
  --config-dir DIR  models, series and experiments of your own, as DIR/model/NAME.yaml

{keys}

Examples
  {program} +experiment=k_sweep
  {program} model=rnn,lstm,mycell:MyCell seeds=20 study=mine       # mycell.py in this folder
  {program} model=lstm 'training.lr=choice(0.01,0.003)' dataset.seed=0,1,2
  {program} +experiment=k_sweep dataset=tree model.K=25,50 training.max_epochs=200"""

INSTEAD = {
    "-m": "commas sweep as they are, without it", "--multirun": "commas sweep as they are, without it",
    "--config-name": "choose experiments with +experiment=NAME", "-cn": "choose experiments with +experiment=NAME",
    "--config-path": "use --config-dir DIR, which adds to ltm's own configs", "-cp": "use --config-dir DIR, which adds to ltm's own configs",
    "--run": "leave it out, this is what a sweep does", "-r": "leave it out, this is what a sweep does",
    "--resolve": "leave it out, --cfg prints values, not references", "--package": "use --cfg job, which prints all", "-p": "use --cfg job, which prints all",
    "--shell-completion": "there is none", "--experimental-rerun": "give the study's command again, which config.yaml holds",
}  # fmt: skip
"""Hydra's options that have no meaning here, and what to do."""


def run(*overrides: str) -> Ledger:
    """Train what a study lacks and report on it, as ``ltm sweep`` with these overrides does; the same call again is the resume.

    An own cell is as this process has its module loaded: after an edit, restart it (a notebook's kernel), or reload the module.

    Returns:
        The study's ledger: ``.runs()`` and ``.curves()`` are data frames.

    Raises:
        UserError: bad input; nothing was written. Or a module of the working folder that hides a package of ltm.
        UnfinishedError: seed runs failed, or nodes or storage refused; its ``ledger`` has what is finished.
        KeyboardInterrupt: what is finished is kept.
    """
    door.check()
    from ltm import data
    from sweeps import config, console, record, study

    data.forget()
    composed = config.compose(overrides)
    if composed.config.compute.where == "slurm":
        raise UserError("compute=slurm submits a job and does not wait for it; use the command: ltm sweep ... compute=slurm.")
    _, ledger = record.folder_of(composed)
    outcome = study.run(composed, f"ltm.run({', '.join(map(repr, overrides))})", console.terminal())
    if outcome is study.Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    if outcome not in (study.Outcome.DONE, study.Outcome.SPENT):
        failed = len(ledger.failures()) if outcome is study.Outcome.FAILED else 0
        raise UnfinishedError(
            f"{f'{failed} seed runs failed' if failed else 'stopped before its end'}; {ledger.uri} keeps what is finished.", ledger
        )
    return ledger


def main(arguments: list[str] | None = None, program: str = "python -m ltm.sweep") -> int:
    """Run the command line; the exit status is 0, 1 (seed runs failed), 2 (bad input; nodes or storage that refuse) or 130 (Ctrl-C)."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        door.check()
        flags, overrides = options_of(given)
        if "--help" in flags:
            return helped(flags["--help"], overrides, program)
        if "--info" in flags:
            return located(flags["--info"], overrides)
        from sweeps import config, console, study

        composed = config.compose(overrides)
        if "--cfg" in flags:
            return show(composed, flags["--cfg"])
        if "--dry-run" in flags:
            from sweeps.dry_run import dry_run

            return dry_run(composed, console.terminal())
        if composed.config.compute.where == "slurm":
            from sweeps.execution.slurm import jobs

            return jobs.submit(composed, program, given, console.terminal())
        return study.run(composed, shlex.join([*program.split(), *given]), console.terminal()).status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on", file=sys.stderr)
        return 130


def options_of(given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What is no override, with its value or an empty text, and the rest: overrides and ``--config-dir DIR``.

    Raises:
        UserError: an option of Hydra's that has no meaning here; what to do instead.
    """
    names = {
        "-h": "--help",
        "--help": "--help",
        "-c": "--cfg",
        "--cfg": "--cfg",
        "-i": "--info",
        "--info": "--info",
        "--dry-run": "--dry-run",
    }
    flags: dict[str, str] = {}
    overrides: list[str] = []
    rest = list(given)
    while rest:
        argument = rest.pop(0)
        name, _, value = argument.partition("=")
        if name in names:
            alone = names[name] != "--dry-run" and not value and rest and rest[0].isidentifier()
            flags[names[name]] = rest.pop(0) if alone else value
        elif name in INSTEAD:
            raise UserError(f"{name} is Hydra's and has no meaning here; {INSTEAD[name]}.")
        else:
            overrides.append(argument)
    return flags, overrides


def helped(group: str, overrides: list[str], program: str) -> int:
    """Print the help; overrides may name folders of configs."""
    from sweeps.config import folders, keys

    text = keys.help_on(group or None, folders.given(overrides)[1])
    print(text if group else USAGE.format(program=program, keys=text))
    return 0


def located(what: str, overrides: list[str]) -> int:
    """Print where configs come from."""
    from sweeps.config import folders

    if what not in ("", "searchpath", "all"):
        raise UserError(f"--info {what} has no meaning here; --cfg job prints the composed config, --info the folders it comes from.")
    _, added = folders.given(overrides)
    for folder in (folders.conf_dir(), *added):
        there = {group: sorted(path.stem for path in (folder / group).glob("*.yaml")) for group in folders.GROUPS}
        print("\n".join([str(folder), *(f"  {group:11}{', '.join(names)}" for group, names in there.items() if names)]))
    return 0


def show(study: Composed, what: str) -> int:
    """Print the config and the conditions of a composed study."""
    import yaml

    from sweeps.plan import make

    if what not in ("", "job", "all"):
        raise (
            UserError(f"--cfg {what} has no meaning here, where Hydra only composes; expected job or all.")
            if what == "hydra"
            else unknown("config for --cfg:", what, ("job", "all"))
        )
    plan = make(study)
    more = {"models": list(study.models), "datasets": list(study.datasets)} if what == "all" else {}
    print(yaml.safe_dump(asdict(study.config) | more, sort_keys=False), end="")
    print(f"# {len(plan.conditions)} conditions x {len(plan.seeds)} seeds:")
    for label in plan.labels.values():
        print(f"#   {label}")
    return 0


if __name__ == "__main__":
    status = main()
    gc.freeze()  # or Python looks through every object once more before it ends, which takes seconds
    sys.exit(status)
