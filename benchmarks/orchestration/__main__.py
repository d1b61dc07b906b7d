"""One study (5 models x 4 series x 20 seeds) by ltm and by what a researcher would use instead, each with its driver killed (SIGKILL) once.

    python -m benchmarks.orchestration [--peers ray joblib optuna jax ltm] [--python PATH] [--work DIR] [--write docs/speed.md]

Each is given two cores and one thread a worker, and is used as its own documentation shows. Its driver is killed when half of its seed runs have
ended; then the same command is given again. A peer is measured only if it trains what ltm trains: the same losses from the same initial parameters.
``--python`` has ray, hydra-joblib-launcher, optuna, torch, pandas, jax and optax; what was measured is kept in ``--work``, from which the table is made.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.engine import machine
from benchmarks.orchestration import check
from benchmarks.orchestration.measure import Measured, measure
from benchmarks.orchestration.study import MEMORY, MODELS, USER, Peer, Study, lines_of, peers

PACKAGES = ("ray", "hydra-core", "hydra-joblib-launcher", "optuna", "torch", "jax")
BEGIN, END = "<!-- written by `python -m benchmarks.orchestration` -->", "<!-- end -->"


def versions(python: str) -> str:
    """What the peers' Python has.

    Raises:
        SystemExit: it lacks one.
    """
    program = f"from importlib.metadata import version; print(', '.join(f'{{p}} {{version(p)}}' for p in {PACKAGES}))"
    found = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    if found.returncode:
        missing = found.stderr.strip().splitlines()[-1]
        raise SystemExit(
            f"{python} lacks a package of the peers ({missing}); it needs {', '.join(PACKAGES)}, pandas and optax: see --python."
        )
    return found.stdout.strip()


def page(study: Study, them: dict[str, Peer], results: dict[str, Measured], about: str) -> str:
    """The table in Markdown, and ltm's own words."""
    own = results.get("ltm")
    heads = "wall time", "times ltm's", "ended at the kill", "trained twice", "cut off and begun again", "lost", "lines to write", "verdict"
    rows = ["| | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1) + " --- |"]
    for name, r in results.items():
        peer = them[name]
        ratio = f"{r.seconds / own.seconds:.1f}" if own else ""
        lines = f"{peer.lines} + {lines_of(USER / 'training.py')}" if peer.trains else f"{peer.lines}"
        cells = [
            f"{r.seconds:.0f} s ({r.before:.0f} + {r.after:.0f})",
            ratio,
            r.ended,
            r.twice,
            r.interrupted,
            r.lost,
            lines,
            peer.verdict or "see below",
        ]
        rows.append(f"| {peer.label} | " + " | ".join(map(str, cells)) + " |")
    size = f"{len(study.models)} models x {len(study.series)} series x {study.seeds} seeds, {study.train + study.validation + study.test} steps, {study.epochs} epochs"
    errors = ", ".join(f"{name} {r.error:.4g}" for name, r in results.items())
    parts = [f"{size}. {about}.", "\n".join(rows), f"Median test error over all seed runs: {errors}."]
    if own:
        words, comparisons = answer(own.said)
        parts.append(f"ltm prints, without further code, a table of {comparisons} comparisons with corrected p, and:\n\n> {words}")
    return "\n\n".join(parts)


def answer(said: str) -> tuple[str, int]:
    """What ltm printed once all was trained: its answer in words, and how many comparisons its table has."""
    lines = said.splitlines()
    begin = max((i for i, line in enumerate(lines) if line.startswith("packs ")), default=-1) + 1
    end = next((i for i, line in enumerate(lines) if line.startswith("p: ")), len(lines))
    return " ".join(" ".join(lines[begin:end]).split()), sum(line.startswith("│") for line in lines)


def written(file: Path, text: str) -> None:
    """Put the text between the markers of a page.

    Raises:
        SystemExit: it has no markers.
    """
    page = file.read_text()
    if BEGIN not in page or END not in page.split(BEGIN)[1]:
        raise SystemExit(f"{file} has no place for the table, which is between the lines '{BEGIN}' and '{END}'.")
    before, after = page.split(BEGIN)
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after.split(END, 1)[1]}")


def checked(study: Study, python: str, folder: Path, console: Console) -> None:
    """Stop where a peer trains something else.

    Raises:
        SystemExit: it differs from ltm by more than rounding.
    """
    for peer, by_model in check.differences(study, python, folder).items():
        worst = max(by_model.values())
        console.print(
            f"{peer} differs from ltm by at most {worst:.1e} in losses and test error: {by_model}", highlight=False, soft_wrap=True
        )
        if not worst <= check.TOLERANCE:
            raise SystemExit(f"{peer} does not train what ltm trains.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__.splitlines()[0])
    names = list(peers(Study()))
    parser.add_argument("--peers", nargs="*", default=names, choices=names, help="whom to measure; those measured before stay in the table")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="a Python that has the peers' packages")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder of all runs; a temporary one if not named")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between its markers in this page")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--series", nargs="+", default=list(MEMORY), choices=list(MEMORY))
    parser.add_argument("--seeds", type=int, default=Study.seeds)
    parser.add_argument("--epochs", type=int, default=Study.epochs)
    parser.add_argument("--unchecked", action="store_true", help="leave out the comparison of losses")
    given = parser.parse_args()
    console = Console(width=140)
    study = Study(tuple(given.models), tuple(given.series), given.seeds, given.epochs)
    about = f"{machine()}; {versions(given.python)}"
    console.print(about, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).resolve()
        if given.peers and not given.unchecked:
            checked(study, given.python, work / "check", console)
        them, results = peers(study), {}
        for name, peer in them.items():
            folder = work / name
            if name in given.peers:
                if folder.exists():
                    raise SystemExit(f"{folder} is there already; remove it to measure {name} again.")
                found: Measured | None = measure(peer, study, given.python, folder)
                console.print(f"{name}: {found.seconds:.1f} s" if found else "", highlight=False)
            else:
                found = Measured.read(folder)
            if found:
                results[name] = found
    text = page(study, them, results, about)
    console.print(text, highlight=False, soft_wrap=True, markup=False)
    if given.write:
        written(given.write, text)


if __name__ == "__main__":
    main()
