"""Settings for every test: no tracking service, kernels compiled once a run, real data only where it is at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sweeps.store.ledger import Ledger
from tests import waiting, warm

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the torch engine's tensors are small: threads only get in their way

settings.register_profile("ltm", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# machines are busy: no test asserts a time, and none fails on one of them alone
settings.load_profile("ltm")

FIRST = ("analysis", "sweeps")
"""Folders whose tests start first: the longest are there, and a worker that begins one last is waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, folder in enumerate(FIRST) if folder in item.path.parts), len(FIRST)))
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(1800))


Run = Callable[..., subprocess.CompletedProcess[str]]


def checked(done: subprocess.CompletedProcess[str], status: int) -> subprocess.CompletedProcess[str]:
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``python -m ...`` in an empty folder, as a user would; asserts the exit status and returns what was printed. Forked from a process that has
    the imports behind it: see :mod:`tests.warm`.
    """

    def call(*arguments: str, status: int = 0, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        return checked(warm.run(arguments, cwd, os.environ | environment), status)

    return call


@pytest.fixture
def run_process(tmp_path: Path) -> Run:
    """Like ``run``, as a process of its own: for what depends on how Python starts, and as proof that the other does the same."""

    def call(*arguments: str, status: int = 0, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
            start_new_session=True,  # as in tests.warm
        )
        return checked(done, status)

    return call


@pytest.fixture
def run_and_kill(tmp_path: Path) -> Callable[[Sequence[str], Ledger, int], set[str]]:
    """Kill the driver of a sweep (SIGKILL) once the ledger has this many packs; returns the seed runs that were kept."""

    def call(command: Sequence[str], ledger: Ledger, packs: int) -> set[str]:
        driver = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        waiting.until(lambda: len(ledger.files("runs")) >= packs, driver)
        waiting.killed(driver)
        time.sleep(4)  # Ray's workers notice that their driver is gone, and may finish a pack before
        return ledger.done()

    return call


@pytest.fixture
def real_data() -> Path:
    """The folder of the published files; skips where LTM_DATA_DIR does not name it."""
    folder = os.environ.get("LTM_DATA_DIR")
    if not folder or not (Path(folder) / "tree7.csv").is_file():
        pytest.skip("LTM_DATA_DIR does not name a folder with the published data files (python -m ltm.data fetch)")
    return Path(folder).absolute()


@pytest.fixture
def made_up_reviews(tmp_path: Path) -> Path:
    """A file like ``reviews.json``: 20 reviews with text, four of every evaluation, one without text and one in English. 6 to 14 words, some of which tell the evaluation."""
    reviews = [
        {
            "lan": "es",
            "evaluation": str(i % 5 - 2),
            "text": f"El tema {i % 5}, " + "es muy " * (i // 4) + f"(claro-{i})? Palabra{i % 5}. Fin.",
        }
        for i in range(20)
    ]
    reviews[3:3] = [{"lan": "es", "evaluation": "0", "text": " "}, {"lan": "en", "evaluation": "7", "text": "Not read"}]
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps({"paper": [{"review": reviews[:9]}, {"review": reviews[9:]}]}), "utf-8")
    return path


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 endpoint on loopback; yields the URI of a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    boto3.client("s3").create_bucket(Bucket="studies")
    yield "s3://studies"
    server.stop()
    for key in (*keys, "AWS_ENDPOINT_URL"):
        del os.environ[key]
