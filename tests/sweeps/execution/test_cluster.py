"""Clusters: what is asked of nodes, refusals in one line, real nodes that are killed, two drivers, a poisoned seed."""

import dataclasses
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ltm.errors import UserError
from sweeps import config, plan
from sweeps.config import ComputeConfig, TrackingConfig
from sweeps.execution import cluster, worker
from sweeps.store import claims
from sweeps.store.ledger import Ledger
from sweeps.tracking.tracker import Tracker
from tests import waiting

ROOT = Path(__file__).parents[3]
SMALL = ("dataset.length=301", "dataset.train=150", "dataset.validation=75", "tracking=off", "compute.cpus=1", "compute.ray=always")


@pytest.mark.parametrize("name", ["cluster.yaml", "docs/cluster-local.yaml"])
def test_cluster_files_pass_rays_own_schema(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / name).read_text())
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="nonsense"):
        validate_config(prepare_config(config | {"nonsense": 1}))


def test_slots_are_counted_node_by_node() -> None:
    nodes = [{"CPU": 0}, {"CPU": 8, "GPU": 1}, {"CPU": 3}]

    def counted(nodes: list[dict[str, float]] = nodes, **compute: object) -> tuple[int, int]:
        found = cluster.slots(ComputeConfig(**compute), nodes)  # type: ignore[arg-type]
        return found.cpu, found.cuda

    assert counted() == (11, 1)
    assert counted(cpus_per_pack=2) == (5, 1)
    assert counted(gpus_per_pack=0.25) == (11, 4)
    assert counted(gpus_per_pack=0.1, cpus_per_pack=3) == (3, 10), "a pack on a GPU takes no core"
    assert counted(gpus_per_pack=2) == (11, 0)
    assert counted([{"CPU": 0}], slots=6) == (6, 0)
    assert counted([{"CPU": 0}], slots=6, device="cuda") == (6, 6)
    with pytest.raises(UserError, match=r"a pack asks for 9 CPUs; the largest of 3 nodes has 8.*compute.slots"):
        counted(cpus_per_pack=9)


def test_packs_share_the_memory_of_their_node() -> None:
    nodes = [{"CPU": 8, "memory": 32e9}, {"CPU": 2, "memory": 4e9}, {"CPU": 0, "memory": 1e9}]
    assert cluster.slots(ComputeConfig(), nodes).memory == pytest.approx(cluster.SHARE * (2e9 - cluster.WORKER)), (
        "each has a process of its own"
    )
    assert cluster.slots(ComputeConfig(), [{"CPU": 2, "memory": 2e8}]).memory == 0.0
    assert cluster.slots(ComputeConfig(), [{"CPU": 2}]).memory == math.inf


def test_a_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def fails(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nmore")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(
        UserError, match=r"^Ray does not start on this machine \(The current node timed out during startup.\); .*compute.ray=never"
    ):
        cluster.connect(ComputeConfig(cpus=1))


def test_what_the_workers_are_given_holds_code_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert cluster.carried(ComputeConfig()) == {"py_modules": [str(ROOT / name) for name in ("ltm", "sweeps", "analysis")]}
    assert cluster.carried(ComputeConfig(carry_code=False)) == {}


def test_keys_kept_from_tune_are_still_there_for_what_reads_the_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-half")
    tracker = Tracker(TrackingConfig(), "one", Ledger(tmp_path), print)
    with cluster.keys_kept():
        assert "AWS_SECRET_ACCESS_KEY" not in os.environ
        inherited = subprocess.run(["printenv", "AWS_SECRET_ACCESS_KEY"], capture_output=True, text=True, check=True).stdout
        assert inherited.strip() == tracker.environment["AWS_SECRET_ACCESS_KEY"] == "secret-half"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret-half"


@pytest.mark.long
def test_cloud_keys_reach_no_log_of_rays_and_no_file_of_the_study(run_process, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as ray:  # Ray's sockets want a short path
        keys = {"AWS_ACCESS_KEY_ID": "public-half", "AWS_SECRET_ACCESS_KEY": "secret-half"}
        run_process("ltm.sweep", "model=rnn", "seeds=1", "training.max_epochs=2", "study=one", *SMALL, RAY_TMPDIR=ray, **keys)
        files = [path for folder in (ray, tmp_path) for path in Path(folder).rglob("*") if path.is_file()]
        assert any(path.name == "runtime_env_agent.log" for path in files)
        assert [path for path in files if any(key.encode() in path.read_bytes() for key in keys.values())] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compute=cluster", "compute.address=127.0.0.1:1"], "no Ray cluster answers at '127.0.0.1:1'"),
        (["compute=cluster", "compute.address=ray://127.0.0.1:1"], "ray submit or ray job submit"),
        (["compute=cluster", "compute.address=somewhere"], "expected HOST:PORT"),
        (
            ["compute.device=cuda", "compute.gpus_per_pack=300"],
            "compute.device=cuda finds no GPU that a pack could have (compute.gpus_per_pack=300)",
        ),
        (["compute.gpus_per_pack=1.5"], "a share of one GPU"),
        (["compute.where=moon"], "'moon'"),
        (["search=random", "compute=cluster", "compute.address=127.0.0.1:1"], "no Ray cluster answers at '127.0.0.1:1'"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line_and_nothing_written(run, tmp_path: Path, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    done = run("ltm.sweep", "model=rnn", "seeds=1", *SMALL, *arguments, status=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_nodes_and_drivers_that_are_killed_change_no_bit(run) -> None:  # type: ignore[no-untyped-def]
    done = run("benchmarks.faults", "--rounds", "1", "--experiment", "k_sweep", "--seeds", "48", "--epochs", "300", "--every", "50")
    assert "1 of 1 rounds ended with the ledger of the undisturbed run" in done.stdout


def test_a_free_worker_takes_the_last_trial_that_waits() -> None:
    from types import SimpleNamespace

    from sweeps.execution.ray import LastFirst

    orders: list[dict[str, Any]] = []

    def chosen(*trials: SimpleNamespace) -> SimpleNamespace | None:
        found: SimpleNamespace | None = LastFirst(cluster.Slots(2, 1), orders).choose_trial_to_run(
            SimpleNamespace(get_trials=lambda: trials)
        )
        return found

    def trial(status: str, device: str = "cpu", turn: int = 0) -> SimpleNamespace:
        orders.append({"device": device, "turn": turn})
        return SimpleNamespace(status=status, config={"work": len(orders) - 1})

    first, last, wide = trial("PENDING"), trial("PENDING"), trial("PENDING", "cuda")
    assert chosen(first, last, trial("RUNNING"), trial("TERMINATED")) is last
    assert chosen(trial("RUNNING"), trial("TERMINATED")) is None
    assert chosen(first, trial("PENDING", turn=16), trial("PENDING", turn=32)) is first, "its turn comes before"
    assert chosen(first, wide) is wide
    assert chosen(first, wide, trial("RUNNING", "cuda")) is first, "the GPU is taken, a CPU is free"
    assert chosen(first, wide, trial("RUNNING"), trial("RUNNING")) is wide, "the CPUs are taken"


def test_another_version_on_a_node_is_refused_with_both_named() -> None:
    from sweeps.execution.ray import PackTrainable

    pack = object.__new__(PackTrainable)
    work = {"version": "9.9.9", "threads": 1, "folder": "/nowhere", "pack": {}, "engine": "auto", "device": "cpu"}
    pack.setup({"work": 0}, orders=[work])
    result = pack.step()
    assert result["done"]
    assert result["kind"] == "refused"
    assert "the driver 9.9.9" in result["error"]


@pytest.mark.parametrize("ray", [pytest.param("always", marks=pytest.mark.long), "never"])
def test_a_poisoned_seed_is_found_named_and_stops_nothing(run, tmp_path: Path, ray: str) -> None:  # type: ignore[no-untyped-def]
    raises = 'def initial(self, draws):\n        if draws.seed == 5:\n            raise RuntimeError("seed 5 is poison")\n        return super().initial(draws)'
    (tmp_path / "own.py").write_text(f"from ltm.cells.rnn import RNN\nclass Poison(RNN):\n    {raises}\n")
    command = (
        "ltm.sweep",
        "model=rnn",
        "model.cell=own:Poison",
        "seeds=9",
        "training.max_epochs=3",
        "study=one",
        *SMALL[:-1],
        f"compute.ray={ray}",
    )
    done = run(*command, status=1)
    assert "1 x RuntimeError: seed 5 is poison (first: rnn / arfima, seed 5)" in done.stdout
    book = Ledger(tmp_path / "results" / "one")
    assert sorted(book.runs()["seed"]) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert list(book.failures()["seed"]) == [5]
    assert not (tmp_path / "results" / "one" / ".tune").exists()
    (tmp_path / "own.py").write_text("from ltm.cells.rnn import RNN\nclass Poison(RNN):\n    pass\n")
    run(*command)
    assert len(book.runs()) == 9
    assert book.failures().empty


WAITS = """
import time
from pathlib import Path
from ltm.cells.rnn import RNN
here = Path(FOLDER)
class Waits(RNN):
    def initial(self, draws):
        import ray
        if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
            while not ((here / "rest").exists() or (here / "first").exists() and not (here / "results" / "one" / "runs").exists()):
                time.sleep(0.05)
        return super().initial(draws)
"""
"""A cell of which one pack trains when a file is there, and the others when another is."""


@pytest.mark.long
def test_a_second_driver_leaves_the_work_to_the_first_and_takes_over_when_it_dies(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(WAITS.replace("FOLDER", repr(str(tmp_path))))
    cell = ("model=rnn", "model.cell=own:Waits", "seeds=8", "compute.pack_size=2", "training.max_epochs=20", "study=one")
    command = [sys.executable, "-m", "ltm.sweep", *cell, *SMALL, "tracking=off", "compute.ray=always"]
    book = Ledger(tmp_path / "results" / "one")
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    waiting.until(lambda: book.files("drivers", "json"), first)
    log = tmp_path / "second.log"
    with log.open("w") as out:
        second = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT, text=True)
    waiting.until(lambda: "are trained here" in log.read_text(), second, log.read_text)
    assert f"another driver is at work on this study: {socket.gethostname()} (pid {first.pid}" in log.read_text()
    assert "8 seed runs are left to it, 0 are trained here" in log.read_text()
    (tmp_path / "first").touch()
    waiting.until(lambda: book.files("runs"), first)
    waiting.killed(first)
    (tmp_path / "rest").touch()
    assert second.wait(timeout=waiting.LONG) == 0, log.read_text()
    assert len(book.runs()) == 8
    assert len(book.runs(["run_id"])) == 8
    assert claims.living(book) == []


def test_storage_that_fails_midway_is_told_and_blamed_on_no_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WRITE_RETRIES", (0.0,))
    study = config.compose(["model=rnn", "seeds=2", "training.max_epochs=2", *SMALL])
    whole = plan.make(study)
    whole = dataclasses.replace(whole, places=dict.fromkeys(whole.labels, worker.CPU))
    pack = plan.Pack(tuple(whole.runs))
    book = Ledger(tmp_path / "study")
    book.put("config.yaml", b"study: one")
    (tmp_path / "study" / "curves").write_text("in the way")
    (order,) = worker.orders(study.config, book, whole, [pack])
    one = worker.Worker(order)
    while not (said := one.step()).done:
        pass
    assert said.failure.kind is worker.Kind.STORAGE
    assert "cannot be written" in said.failure.error
    assert not (tmp_path / "study" / "runs").exists()
    (tmp_path / "study" / "curves").unlink()
    one.failure = None
    assert one.step().failure is None
    assert len(book.runs()) == 2


def checkpointed(folder: Path, epochs: int) -> subprocess.Popen[str]:
    """A sweep of one pack, checkpointed every 100 epochs, that has written its first checkpoint."""
    command = [sys.executable, "-m", "ltm.sweep", "model=mlstm", "seeds=32", f"training.max_epochs={epochs}", f"training.patience={epochs}", "study=one",
               "tracking=off", "compute.cpus=1", "compute.ray=always", "compute.checkpoint_epochs=100", "compute.checkpoint_seconds=600"]  # fmt: skip
    driver = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    waiting.until(lambda: list(folder.glob("results/one/checkpoints/*.npz")), driver, pause=0.02)
    return driver


@pytest.mark.long
def test_storage_that_vanishes_under_a_sweep_stops_it_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    driver = checkpointed(tmp_path, epochs=50000)
    folder.rename(tmp_path / "gone")
    folder.write_text("in the way")
    printed, _ = driver.communicate(timeout=waiting.LONG)
    assert driver.returncode == 2, printed
    assert "Traceback" not in printed
    assert sum(line.startswith(("stopped: ", "error: ")) for line in printed.splitlines()) == 1
    assert f"results folder '{folder / 'one'}' is gone" in printed


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their command lines."""
    lines = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    table = [(int(fields[0]), int(fields[1]), fields[2]) for fields in (line.split(None, 2) for line in lines)]
    found, below = {}, {pid}
    while below:
        children = {child: args for child, parent, args in table if parent in below}
        found |= children
        below = set(children)
    return found


@pytest.mark.long
def test_a_pack_whose_worker_dies_goes_on_from_its_checkpoint_and_the_log_says_from_where(tmp_path: Path) -> None:
    driver = checkpointed(tmp_path, epochs=5000)
    worker = next(pid for pid, args in descendants(driver.pid).items() if "Trainable" in args)
    os.kill(worker, signal.SIGKILL)
    printed, _ = driver.communicate(timeout=waiting.LONG)
    assert driver.returncode == 0, printed
    (line,) = [line for line in printed.splitlines() if "was interrupted" in line]
    before, start = (int(line.split(words)[1].split()[0].strip(",:")) for words in ("after epoch ", "from epoch "))
    assert start > 0
    assert start % 100 == 0
    assert 0 <= before - start <= 100
    assert line.endswith("at most 100 epochs lost")
    assert set(Ledger(tmp_path / "results" / "one").runs()["epochs"]) == {5000}
