"""W&B: what is written offline, what reaches a server (one on loopback), and servers that fail."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wandb

from ltm.training.pack import Training
from sweeps import config, plan
from sweeps.execution import worker
from sweeps.store.ledger import Ledger
from sweeps.tracking import uploader
from sweeps.tracking.logger import POINTS, Follower, by_epoch, folder_of
from sweeps.tracking.marks import LOGGED, is_sent
from sweeps.tracking.uploader import Sender, refusal
from tests import waiting
from tests.wandb_server import ENTITY, KEY, Run, Server, read

SMALL = (
    "model=rnn", "seeds=3", "training.max_epochs=6", "study=one", "dataset.length=301", "dataset.train=150", "dataset.validation=75", "compute.cpus=1",
)  # fmt: skip


def offline(folder: Path) -> dict[str, Run]:
    """The runs in a study's W&B folder, by name."""
    return {run.name: run for run in map(read, folder.glob("wandb/offline-run-*/*.wandb"))}


def trained_here(*overrides: str) -> tuple[pd.DataFrame, Training]:
    """One condition, trained in this process: its rows of the ledger, and the training."""
    whole = plan.make(config.compose(list(overrides)))
    pack = plan.Pack(tuple(whole.runs))
    training = worker.training_of(pack)
    while not training.done:
        training.advance(10)
    return worker.rows_of(pack, training, whole.labels).assign(provenance=None), training


def has_the_condition(run: Run, book: Ledger) -> None:
    curves = book.curves()
    medians = [sorted(losses)[1] for losses in zip(*curves["train_loss"], strict=True)]
    assert [row["train_loss/median"] for row in run.rows if "train_loss/median" in row] == pytest.approx(medians)
    assert run.summary["n"] == 3
    assert (run.name, run.group) == ("rnn / arfima", "one")


def test_offline_tracking_leaves_files_with_the_logged_values(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("ltm.sweep", *SMALL)
    assert "W&B files of 2 runs are offline; send them with: wandb sync" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("report: ")
    runs, book = offline(tmp_path / "results" / "one"), Ledger(tmp_path / "results" / "one")
    assert set(runs) == {"rnn / arfima", "study one"}
    has_the_condition(runs["rnn / arfima"], book)
    assert runs["rnn / arfima"].summary["test_rmse/mean"] == pytest.approx(book.runs()["test_rmse"].mean())
    study = runs["study one"]
    assert study.group == "one"
    assert [row["seed_runs_finished"] for row in study.rows if "seed_runs_finished" in row] == [3]
    assert "conditions" in {key.split("/")[0] for key in study.summary}


@pytest.mark.long
def test_online_tracking_shows_the_study_its_conditions_in_one_group_the_table_and_the_report(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with Server() as server:
        done = run("ltm.sweep", *SMALL, "tracking=online", "grid.K=[2,3]", "model=mrnn", **server.environment)
    assert re.search(r"W&B: http://127.0.0.1:\d+/tester/ltm/runs/one-study-\d+", done.stdout)
    assert "offline" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert {run.name for run in server.runs.values()} == {"study one", "mrnn K=2 / arfima", "mrnn K=3 / arfima"}
    assert {run.group for run in server.runs.values()} == {"one"}
    assert all(run.finished for run in server.runs.values())
    book = Ledger(tmp_path / "results" / "one")
    for name, rows in book.runs().groupby("condition"):
        sent = next(run for run in server.runs.values() if run.name == name)
        curves = book.curves(rows)
        medians = [sorted(losses)[1] for losses in zip(*curves["validation_loss"], strict=True)]
        assert [row["validation_loss/median"] for row in sent.rows if "train_loss/median" in row] == pytest.approx(medians)
        assert sent.config["seeds"] == [0, 1, 2]
    study = next(run for run in server.runs.values() if run.name == "study one")
    assert "conditions" in study.rows[-1]
    assert any(name.startswith("media/table/conditions") for name in study.files)
    assert server.artifacts["one-report"]["type"] == "report"
    assert server.others.files["index.html"] == (tmp_path / "results" / "one" / "report" / "index.html").read_bytes()
    kept = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not any(KEY.encode() in path.read_bytes() for path in kept)


@pytest.mark.long
def test_what_was_trained_without_tracking_and_what_was_kept_offline_is_sent_by_the_same_command(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = ("ltm.sweep", *SMALL, "model=mrnn", "grid.K=[2,3]")
    rows, training = trained_here(*SMALL, "model=mrnn", "model.K=2")
    Ledger(tmp_path / "results" / "one").write(rows, training.curves(), training.state.best_params)
    done = run(*command)
    assert "3 finished before, 3 to train" in done.stdout
    assert "W&B files of 3 runs are offline" in done.stdout  # K=3, K=2 that was caught up with, and the study
    with Server() as server:
        done = run(*command, "tracking=online", **server.environment)
    assert "0 to train" in done.stdout
    assert "offline" not in done.stdout
    assert {run.name for run in server.runs.values()} == {"study one", "mrnn K=2 / arfima", "mrnn K=3 / arfima"}
    assert sum(run.name != "study one" for run in server.runs.values()) == 2


@pytest.mark.long
def test_a_wandb_agent_runs_the_example_sweep(run_process, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    example = (Path(__file__).parents[3] / "docs" / "wandb-sweep.yaml").read_text()
    example = example.replace("seeds=100", ", ".join(SMALL[1:3] + SMALL[4:])).replace("python,", f"{sys.executable},")
    with Server() as server:
        server.sweep, server.trials = example, [{"training.lr": {"value": lr}, "model.K": {"value": 5}} for lr in (0.01, 0.02)]
        run_process("wandb", "agent", "--count", "2", f"{ENTITY}/ltm/abc", **server.environment)
    trials = {key: run for key, run in server.runs.items() if run.sweep}
    assert set(trials) == {"trial1", "trial2"}
    assert {run.sweep for run in trials.values()} == {"abc"}
    assert len(server.runs) == 4
    for key, lr in (("trial1", 0.01), ("trial2", 0.02)):
        rows = Ledger(tmp_path / "results" / f"agent_{key}").runs()
        assert set(rows["lr"]) == {lr}
        assert trials[key].summary["validation_loss"] == pytest.approx(rows["validation_loss"].median())


@pytest.mark.long
def test_a_server_that_fails_changes_no_bit_and_loses_no_metric(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with Server(fails=lambda path: 500) as server:
        done = run("ltm.sweep", *SMALL, "tracking=online", **server.environment)
    assert not server.runs
    assert f"W&B: {server.url} does not answer" in done.stdout
    assert "W&B files of 2 runs are offline; send them with: wandb sync" in done.stdout
    book = Ledger(tmp_path / "results" / "one")
    same = ["run_id", "epochs", "validation_loss", "test_rmse"]
    pd.testing.assert_frame_equal(book.runs(same), trained_here(*SMALL)[0][same], check_exact=True, check_dtype=False)
    runs = offline(tmp_path / "results" / "one")
    has_the_condition(runs["rnn / arfima"], book)
    assert "conditions" in {key.split("/")[0] for key in runs["study one"].summary}


def written(folder: Path, entity: str | None = None) -> Path:
    """The folder of a finished offline W&B run."""
    follower = Follower({"project": "ltm", "entity": entity}, "study", Ledger(folder), {}, 0.0)
    run = follower._init("one", "one", {"lr": 0.1})
    run.log({"loss": 0.5}, step=1)
    run.finish()
    (folder_of(run) / LOGGED).touch()
    return folder_of(run)


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    return written(tmp_path)


def sent(folder: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: int, stall: float) -> list[str]:
    """Send one run to a server that may take so many seconds; what was said of it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wandb.setup().settings.base_url = environment["WANDB_BASE_URL"]
    monkeypatch.setattr(uploader, "ANSWER_SECONDS", answer)
    monkeypatch.setattr(uploader, "STALL_SECONDS", stall)
    said: list[str] = []
    Sender(folder.parents[1] / "wandb.log", said.append).close()
    return said


@pytest.mark.parametrize(
    ("server", "environment", "says"),
    [
        ({"fails": lambda path: 500}, {}, r"http://\S+ does not answer \(no network, rate limit, or a proxy that hangs\)"),
        ({"fails": lambda path: 429 if path.endswith("file_stream") else 0}, {}, r"http://\S+ took in nothing for 2 s"),
        ({"hang": 60.0}, {}, "does not answer"),
        ({"key": "z" * 40}, {}, "user is not logged in"),
        ({}, {"WANDB_BASE_URL": "http://127.0.0.1:9"}, "does not answer"),
        ({}, {"WANDB_API_KEY": "short"}, "API key must have 40"),
        ({}, {"entity": "nobody"}, "entity nobody not found"),
    ],
)
def test_what_cannot_be_sent_is_kept_and_the_reason_said_once(server, environment, says, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    finished_run = written(tmp_path, environment.get("entity"))
    with Server(**server) as at:
        said = sent(
            finished_run, at.environment | environment, monkeypatch,
            answer=1 if "does not answer" in says else 30, stall=2.0 if "took in nothing" in says else 120.0,
        )  # fmt: skip
    assert len(said) == 1, said
    assert re.search(rf"^W&B: .*{says}.*; the sweep goes on, and its W&B files are kept here\.$", said[0])
    assert not is_sent(finished_run)
    assert read(next(finished_run.glob("*.wandb"))).rows[0]["loss"] == 0.5


def test_a_server_that_recovers_gets_the_runs_that_were_kept(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(uploader, "ANSWER_SECONDS", 3)
    monkeypatch.setattr(uploader, "STALL_SECONDS", 120.0)
    down = True
    with Server(fails=lambda path: 503 if down else 0) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        said: list[str] = []
        sender = Sender(finished_run.parents[1] / "wandb.log", said.append)
        waiting.until(lambda: said)
        down = False
        waiting.until(lambda: is_sent(finished_run), told=lambda: "\n".join(said))
        sender.close()
    assert [run.rows[0]["loss"] for run in server.runs.values()] == [0.5]
    assert [run.name for run in server.runs.values()] == ["one"]


def test_a_process_that_sends_ends_with_the_sweep_that_started_it(finished_run: Path) -> None:
    with Server(hang=60.0) as server:
        command = [sys.executable, "-m", "sweeps.tracking.uploader"]
        arguments = ["sync", str(finished_run)]
        start = f"import os, subprocess; print(subprocess.Popen([*{command!r}, str(os.getpid()), *{arguments!r}], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
        parent = subprocess.run(
            [sys.executable, "-c", start], env=os.environ | server.environment, capture_output=True, text=True, check=True
        )
        child = Path("/proc") / parent.stdout.strip() / "stat"

        def ended() -> bool:
            with contextlib.suppress(OSError):
                return child.read_text().rpartition(")")[2].split()[0] == "Z"  # where nobody has waited for it yet
            return True

        waiting.until(ended)


def following(folder: Path) -> list[str]:
    """The command that follows a study in a folder."""
    config = '{"project": "ltm", "entity": null, "per_seed": false, "mode": "offline"}'
    return [sys.executable, "-m", "sweeps.tracking.logger", str(folder), "study", config, "0"]


def test_the_process_that_follows_ends_with_the_sweep_that_told_it(tmp_path: Path) -> None:
    follower = subprocess.Popen(following(tmp_path), stdin=subprocess.PIPE, text=True)
    assert follower.stdin
    follower.stdin.write('{"what": "expect", "missing": {"a": 3}}\n')
    follower.stdin.close()  # as the system does for a driver that was killed
    assert follower.wait(timeout=waiting.LONG) == 0


def test_what_cannot_be_logged_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    told = '{"what": "expect", "missing": {"a": 3}}\n{"what": "finished", "runs": {"a": 3}, "pack": "gone"}\n{"what": "trained"}\n{"what": "close"}\n'
    done = subprocess.run(following(tmp_path), input=told, capture_output=True, text=True, timeout=waiting.LONG, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("W&B could not log all of the study (finished): ")


def test_no_key_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    reason, final = refusal()
    assert reason == "No API key configured. Use `wandb login` to log in"
    assert final


def test_long_training_is_logged_at_few_epochs_and_faithfully() -> None:
    lanes = np.random.default_rng(0).random((5, 3000)).astype(np.float32)
    curves = pd.DataFrame({"train_loss": list(lanes), "validation_loss": [lanes[0][:1000], *lanes[1:]]})
    points = by_epoch(curves)
    assert min(points) == 1
    assert max(points) == 3000
    assert len(points) < 2 * POINTS
    for epoch in points:
        assert points[epoch]["train_loss/median"] == pytest.approx(np.median(lanes[:, epoch - 1]))
        still = lanes[:, epoch - 1] if epoch <= 1000 else lanes[1:, epoch - 1]
        assert points[epoch]["validation_loss/q25"] == pytest.approx(np.quantile(still, 0.25))
        assert points[epoch]["seeds_training"] == len(still)
