"""Where packs train: a Ray of this machine, or a running cluster; and how many packs it holds at once."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ltm
from ltm import door
from ltm.errors import UserError
from sweeps.config import ComputeConfig

ANSWER_SECONDS = 5.0

CLOUD_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")


def connect(compute: ComputeConfig, verbose: bool = False) -> int:
    """Start or join Ray, unless that is done. Returns how many packs can train at once.

    Raises:
        UserError: no cluster answers, or no node can hold a pack.
    """
    quiet(verbose)
    import ray

    common: dict[str, Any] = {"log_to_driver": verbose, "logging_level": logging.INFO if verbose else logging.CRITICAL}
    address = compute.address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():  # a search trains one plan after another
        pass
    elif compute.where == "local":
        cpus = local_slots(compute) * compute.cpus_per_pack
        try:
            with door.workers_too():
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, **common)
        except Exception as error:  # whatever keeps its processes from starting
            raise UserError(
                f"Ray does not start on this machine ({first_line(error)}); train without it: compute.ray=never, and look into /tmp/ray for why."
            ) from None
    else:
        if address and address.startswith("ray://"):
            raise UserError(
                f"the address '{address}' is that of a Ray client; run the sweep on the cluster instead: ray submit or ray job submit (see README)."
            )
        try:
            if address and address not in ("auto", "local"):
                answers(address)
            ray.init(address=address or "auto", runtime_env=carried(compute), **common)
        except (ConnectionError, ValueError) as error:
            if compute.where == "auto" and not address:
                return connect_local(compute, verbose)
            raise UserError(
                f"no Ray cluster answers at '{address or 'auto'}' ({first_line(error)}); start one (ray up cluster.yaml, or ray start --head),"
                " name it with compute.address=HOST:PORT or RAY_ADDRESS, or run here with compute=local."
            ) from None
    return slots(compute, [node["Resources"] for node in ray.nodes() if node["Alive"]])


def leave() -> None:
    """Leave the cluster; a Ray of this machine ends with it."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def connect_local(compute: ComputeConfig, verbose: bool) -> int:
    """``compute=auto`` without a cluster."""
    from dataclasses import replace

    check(local := replace(compute, where="local"))
    return connect(local, verbose)


def check(compute: ComputeConfig) -> None:
    """That this machine has the cores that packs are to have, where they train here; a cluster's nodes are asked by :func:`connect`.

    Raises:
        UserError: more cores than there are.
    """
    if compute.where != "local":
        return
    here = len(os.sched_getaffinity(0))
    for key, asked, most in (("cpus", compute.cpus or 1, here), ("cpus_per_pack", compute.cpus_per_pack, compute.cpus or here)):
        if asked > most:
            raise UserError(
                f"compute.{key} is {asked:,}; expected at most {most}, as many as there are here. Ask for less, or use compute=cluster."
            )


def local_slots(compute: ComputeConfig) -> int:
    """How many packs this machine trains at once, by its cores."""
    return max((compute.cpus or len(os.sched_getaffinity(0))) // compute.cpus_per_pack, 1)


def slots(compute: ComputeConfig, nodes: list[dict[str, float]]) -> int:
    """How many packs these nodes hold at once; ``compute.slots`` where a cluster grows on demand.

    Args:
        nodes: the resources of every node, such as ``{"CPU": 8, "GPU": 1}``.

    Raises:
        UserError: a pack asks for more than any node has.
    """
    held = 0
    for node in nodes:
        by_gpu = math.floor(node.get("GPU", 0) / compute.gpus_per_pack + 1e-9) if compute.gpus_per_pack else math.inf
        held += int(min(node.get("CPU", 0) // compute.cpus_per_pack, by_gpu))
    if compute.slots:
        return compute.slots
    if not held:
        most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU")}
        raise UserError(
            f"a pack asks for {compute.cpus_per_pack} CPUs and {compute.gpus_per_pack:g} GPUs; the largest of {len(nodes)} nodes has {most['CPU']:g} and"
            f" {most['GPU']:g}. Ask for less (compute.cpus_per_pack, compute.gpus_per_pack); where the cluster grows on demand, say to how"
            " many packs at once with compute.slots=N."
        )
    return held


def answers(address: str) -> None:
    """Whether anything listens at ``HOST:PORT``.

    Raises:
        ConnectionError: nothing does, within a few seconds.
        ValueError: not an address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("expected HOST:PORT")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise ConnectionError(str(error)) from None


def carried(compute: ComputeConfig) -> dict[str, Any]:
    """The runtime environment of the workers: the code as the driver has it, and nothing else (no variables, no files)."""
    root = Path(ltm.__file__).parents[1]
    return {"py_modules": [str(root / name) for name in ("ltm", "sweeps", "analysis")]} if compute.carry_code else {}


@contextmanager
def keys_kept() -> Iterator[None]:
    """Keep cloud keys out of Python's view of the environment: Tune would put them into its workers' runtime environment, and Ray would log that.

    What pyarrow reads stays as it is, and what processes inherit that are given no environment of their own.
    """
    held = {name: os.environ.pop(name) for name in CLOUD_KEYS if name in os.environ}
    for name, value in held.items():
        os.putenv(name, value)
    try:
        yield
    finally:
        os.environ.update(held)


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def quiet(verbose: bool) -> None:
    """Settings that Ray reads from the environment, before it is imported."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not verbose:
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # a worker that dies is told in our own words
