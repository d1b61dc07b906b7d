"""What a sweep costs beside its training, and what one trial a seed would cost instead.

    python -m benchmarks.overhead [--smoke] [--plain 12]

1. The smallest study, ``+experiment=smoke``, from the command to the report's path, with warm kernels; and the same command again, with nothing to train: seconds
   beyond those of ``python -c "import torch"``.
2. Table 2 of the first study (36 packs, 3,600 seed runs) by the command of the README: wall time from the command to the last pack in the ledger, and the share of
   it that the workers did not spend in training (Ray's start, imports, scheduling, storage, the idle tail). Beside it, what Ray alone takes of that: as many
   trials of a trainable that does nothing and imports nothing.
3. One condition with 100 seeds and few epochs: as one sweep, end to end; and as plain Tune trials, one seed each, in autograd, on the same cores
   (``--plain`` of them are run, and their time from the first to the last is scaled to 100).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeps.execution.cluster import quiet
from sweeps.store.ledger import Ledger

quiet(verbose=False)
EPOCHS = 20


def sweep(folder: Path, *arguments: str) -> float:
    """Run a sweep; seconds from the command to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ltm.sweep", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def table2(folder: Path) -> str:
    started = time.time()
    whole = sweep(folder, "+experiment=paper_table2", "tracking=off")
    book = Ledger(folder / "results" / "paper_table2")
    trained = max(book.times("runs").values()) - started
    cores = len(os.sched_getaffinity(0))
    training = book.runs(["run_id", "seconds"])["seconds"].sum() / cores
    packs = len(book.files("runs"))
    alone = empty(folder / "empty", packs)
    return (
        f"Table 2: {packs} packs on {cores} cores: {trained:.1f} s from the command to the last pack, {training:.1f} s of them in training:"
        f" {100 * (1 - training / trained):.1f} % outside; with the report {whole:.1f} s\n"
        f"Ray alone: {packs} trials that do nothing: {alone:.1f} s, which beside that training would be {100 * alone / (alone + training):.1f} % outside;"
        f" what ltm adds to it: {100 * (trained - training - alone) / trained:.1f} %"
    )


def smoke(folder: Path) -> str:
    """The smallest study as it is, W&B's files included, and its resume, beyond the import of torch; medians of three."""

    def torch() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        return time.perf_counter() - started

    sweep(folder, "+experiment=smoke", "root=warm")
    rounds = [(torch(), sweep(folder, "+experiment=smoke", f"root={i}"), sweep(folder, "+experiment=smoke", f"root={i}")) for i in range(3)]
    alone, first, again = (statistics.median(column) for column in zip(*rounds, strict=True))
    return f"smoke: {first - alone:.1f} s beyond `import torch` ({alone:.1f} s), the same again {again - alone:.1f} s"


EMPTY = """
import sys
import ray
from ray import tune

class Empty(tune.Trainable):
    def step(self):
        return {"done": True}
    def reset_config(self, new_config):
        return True
    def save_checkpoint(self, checkpoint_dir):
        pass

ray.init(address="local", include_dashboard=False, log_to_driver=False)
tune.Tuner(
    tune.with_resources(Empty, {"cpu": 1}),
    param_space={"trial": tune.grid_search(list(range(int(sys.argv[1]))))},
    tune_config=tune.TuneConfig(reuse_actors=True),
    run_config=tune.RunConfig(storage_path=sys.argv[2], verbose=0),
).fit()
open(f"{sys.argv[2]}/end", "w").close()
"""


def empty(folder: Path, trials: int) -> float:
    """Seconds that Ray and Tune take for trials that do nothing, from the command to the end of Tune."""
    started = time.time()
    subprocess.run(
        [sys.executable, "-c", EMPTY, str(trials), str(folder)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return (folder / "end").stat().st_mtime - started


def plain(count: int) -> float:
    """Seconds that ``count`` plain Tune trials take, one seed each, from ``fit`` to its end."""
    import ray
    from ray import tune

    def train(config: dict[str, int]) -> None:
        from ltm import cells, data
        from ltm.engine import Protocol
        from ltm.training.pack import Training
        from ltm.training.state import Lane

        task = data.build(
            {
                "kind": "arfima",
                "name": "arfima",
                "length": 4001,
                "d": 0.4,
                "ar": [0.7, -0.4],
                "ma": [-0.2],
                "train": 2000,
                "validation": 1200,
            }
        )
        network = cells.build({"name": "lstm", "cell": "lstm", "hidden_size": 1}, task)
        training = Training(network, task, [Lane(config["seed"])], Protocol(max_epochs=EPOCHS), "torch")
        while not training.done:
            training.advance(1)
        tune.report({"test_rmse": float(training.results()["test_rmse"][0])})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space={"seed": tune.grid_search(list(range(count)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    seconds = time.perf_counter() - started
    ray.shutdown()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plain", type=int, default=12, help="plain trials to run (default 12)")
    parser.add_argument("--smoke", action="store_true", help="the smallest study only")
    given = parser.parse_args()
    count, only_smoke = given.plain, given.smoke
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(smoke(folder), flush=True)
        if only_smoke:
            return
        print(table2(folder), flush=True)
        packed = sweep(folder, "model=lstm", "seeds=100", f"training.max_epochs={EPOCHS}", "study=packed", "tracking=off")
    single = plain(count) * 100 / count
    print(
        f"LSTM, 100 seeds, {EPOCHS} epochs: one sweep {packed:.1f} s end to end (report included); plain Tune trials, one seed each, autograd: {single:.0f} s"
        f" ({count} run, scaled to 100), without Ray's start; ratio {single / packed:.0f}"
    )


if __name__ == "__main__":
    main()
