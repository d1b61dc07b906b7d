"""Jobs of a study in SLURM's queue: submitted, and asked for their state. What a job does is in its script."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from ltm.errors import UserError, unknown
from sweeps.config import Composed, ComputeConfig, StudyConfig
from sweeps.config.schema import seconds_of
from sweeps.console import counted, duration, say
from sweeps.execution import estimate, placing
from sweeps.execution.slurm import script
from sweeps.plan import Pack, Plan, SeedRun
from sweeps.record import folder_of, lacking
from sweeps.store.ledger import Ledger
from sweeps.study import prepare

FASTER = 4
"""So many times faster than estimated a seed run may be: the fastest cells, and those that stop early."""

INTERRUPTED = 130
"""The exit status of a sweep that was ended before its time limit."""


def submit(study: Composed, program: str, given: Sequence[str], console: Console) -> int:
    """Write the job of a study into its folder, and submit it as often as ``compute.chain`` says. Returns the exit status, 0.

    Args:
        program: of the command line, such as ``ltm sweep``; ``given`` are its arguments.

    Raises:
        UserError: what the sweep would refuse; no SLURM here, or one that refuses the job; a time in which nothing could be trained. Nothing was written.
    """
    compute, proposer = study.config.compute, prepare(study)
    name, ledger = folder_of(study)
    plan = proposer.next(ledger)
    missing = lacking(plan.runs, ledger) if plan else []
    if not plan or (not missing and study.config.search.method == "none"):
        say(console, f"study {name}: all seed runs are finished, and no job is submitted")
        return 0
    fits(plan, missing, study.config)
    text = script.of(name, ledger, given, compute)
    if compute.submit:
        in_partition(compute)
        sbatch(text, "--test-only")
    proposer.claim(plan, ledger, name, shlex.join([*program.split(), *given]))
    ledger.put(f"{script.FOLDER}/job.sh", text.encode())
    if not compute.submit:
        print(text, end="")
        return 0
    jobs = []
    for _ in range(compute.chain):
        jobs.append(sbatch(text, "--parsable").partition(";")[0])
        said = {"submitted": datetime.now().isoformat(timespec="seconds"), "from": socket.gethostname()}
        ledger.put(f"{script.FOLDER}/{jobs[-1]}.json", json.dumps(said).encode())
    where = f"{ledger.path if ledger.is_local else ledger.uri}"
    log = f"{where}/{script.FOLDER}/{jobs[0]}.log" if ledger.is_local else f"{jobs[0]}.log"
    say(
        console,
        f"study {name}: {plan.size}; {len(missing)} to train, in {counted(len(jobs), 'job')} of {counted(compute.nodes, 'node')} and at most"
        f" {duration(seconds_of(compute.time))}{', one after another' if len(jobs) > 1 else ''}: {', '.join(jobs)}",
    )
    say(console, f"script: {where}/{script.FOLDER}/job.sh")
    say(console, f"watch:  ltm status {shlex.quote(where)}; tail -F {shlex.quote(log)}")
    say(console, f"end:    scancel {' '.join(jobs)}")
    return 0


def fits(plan: Plan, missing: Sequence[SeedRun], config: StudyConfig) -> None:
    """That the time of all jobs is enough for one seed run on a core, as far as that can be told from its effort.

    Raises:
        UserError: it is not, by far.
    """
    compute = config.compute
    seconds = compute.chain * (seconds_of(compute.time) - script.warning(compute) - estimate.AROUND)
    first = {run.condition.id: run for run in missing}.values()
    told = [] if "cuda" in (config.engine, compute.device) else [run for run in first if not placing.is_wide(run.condition)]
    if len(told) < len(first):
        return
    shortest = min((estimate.quick([Pack((run,))]), plan.labels[run.condition.id]) for run in told) if told else (0.0, "")
    if seconds <= shortest[0] / FASTER:
        raise UserError(
            f"compute.time={compute.time} fits no pack: of {counted(compute.chain, 'job')} {duration(max(seconds, 0))} are left to train, beside"
            f" {duration(script.warning(compute) + estimate.AROUND)} each to start and to end, and one seed run of '{shortest[1]}' takes about {duration(shortest[0])};"
            " give more time (compute.time), or more jobs one after another (compute.chain)."
        )


def in_partition(compute: ComputeConfig) -> None:
    """That the partition exists, where SLURM says which there are.

    Raises:
        UserError: it does not.
    """
    there = asked("sinfo", "--noheader", "--all", "--format=%R")
    if compute.partition and there and compute.partition not in there:
        raise unknown("partition: compute.partition", compute.partition, there)


def sbatch(text: str, option: str) -> str:
    """Hand a script to ``sbatch``; returns what that prints.

    Raises:
        UserError: there is no SLURM, or it refuses.
    """
    try:
        done = subprocess.run(["sbatch", option], input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(
            "there is no SLURM on this machine (no sbatch); run the command on a login node, write the script alone with compute.submit=false, or train"
            " here with compute=local."
        ) from None
    if done.returncode:
        raise UserError(f"SLURM refuses the job ({refusal(done.stderr)}); change compute.time, nodes, partition or template accordingly.")
    return done.stdout.strip()


def refusal(printed: str) -> str:
    """Why, in the last line that ``sbatch`` prints."""
    last = (printed.strip().splitlines() or ["no reason given"])[-1]
    return last.removeprefix("sbatch: error: ").removeprefix("allocation failure: ").removeprefix("Batch job submission failed: ")


def states(ledger: Ledger) -> list[str]:
    """A line for every job that was submitted of a study: its state as ``squeue`` knows it, or ``sacct`` where it is long over."""
    files = {Path(path).stem: path for path in ledger.files(script.FOLDER, "json")}
    ids = sorted(files, key=int)
    if not ids:
        return []
    fields = "JobID:|,State:|,TimeUsed:|,TimeLimit:|,NumNodes:|,ReasonList:|,exit_code:"
    queued = asked("squeue", "--noheader", "--states=all", f"--jobs={','.join(ids)}", f"--Format={fields}")
    over = asked("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(ids)}",
                 "--format=JobID,State,Elapsed,Timelimit,NNodes,NodeList,ExitCode")  # fmt: skip
    known = {line.split("|")[0].strip(): line.split("|") for line in [*over, *queued]}
    return [in_words(job, known[job]) if job in known else lost(ledger, job) for job in ids]


def in_words(job: str, fields: Sequence[str]) -> str:
    """What SLURM says of a job; its exit status is 33280 where squeue says it, and 130:0 where sacct does."""
    _, state, used, limit, nodes, where, ended = (field.strip() for field in fields)
    status = int(ended.partition(":")[0]) if ":" in ended else int(ended) >> 8
    why = ", told to end before its time limit" if status == INTERRUPTED else f", exit status {status}" if status else ""
    where = "" if where == "(NonZeroExitCode)" else where
    return f"job {job}: {state.lower()}{why}, {used} of {limit}, {counted(int(nodes), 'node')} {where}".rstrip()


def lost(ledger: Ledger, job: str) -> str:
    """What is known of a job that no SLURM here knows."""
    said = json.loads(ledger.text(f"{script.FOLDER}/{job}.json") or "{}")
    return f"job {job}: unknown to SLURM here; submitted {said.get('submitted', '')} on {said.get('from', '')}"


def asked(*command: str) -> list[str]:
    """The lines that a command of SLURM prints; none where there is no such command, or it has no answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []
