"""Where packs train: a Ray of this machine, or a running cluster; and how many packs it holds at once, on CPUs and on GPUs."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import ltm
from ltm import door
from ltm.errors import UserError
from ltm.machine import memory_available
from sweeps.config import ComputeConfig

ANSWER_SECONDS = 5.0

CLOUD_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")


SHARE = 0.6
"""Of the memory that is free, what packs may take: they are estimated, and others need some too."""

WORKER = 768 * 2.0**20
"""Bytes of a worker's process beside its pack: the interpreter with torch, and numba, whose first kernels take most where they are compiled anew (measured: up
to 604 MiB). No estimate of a pack holds them."""


@dataclass(frozen=True)
class Slots:
    """How many packs train at once on CPUs, and beside them on GPUs; and bytes that one may take there."""

    cpu: int
    cuda: int = 0
    memory: float = math.inf
    gpu_memory: float = math.inf

    def on(self, device: str) -> tuple[int, float]:
        """Packs at once on a device, and bytes of each."""
        return (self.cuda, self.gpu_memory) if device == "cuda" else (self.cpu, self.memory)


def connect(compute: ComputeConfig, verbose: bool = False) -> Slots:
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


def connect_local(compute: ComputeConfig, verbose: bool) -> Slots:
    """``compute=auto`` without a cluster."""
    check(local := replace(compute, where="local"))
    return connect(local, verbose)


def check(compute: ComputeConfig) -> None:
    """That this machine has the cores and the GPU that packs are to have, where they train here; a cluster's nodes are asked by :func:`connect`.

    Raises:
        UserError: more than there is.
    """
    if compute.where != "local":
        return
    if compute.device == "cuda" and torch.cuda.device_count() < compute.gpus_per_pack:
        raise no_gpu("compute.device=cuda", compute)
    here = len(os.sched_getaffinity(0))
    for key, asked, most in (("cpus", compute.cpus or 1, here), ("cpus_per_pack", compute.cpus_per_pack, compute.cpus or here)):
        if asked > most:
            raise UserError(
                f"compute.{key} is {asked:,}; expected at most {most}, as many as there are here. Ask for less, or use compute=cluster."
            )


def no_gpu(asked: str, compute: ComputeConfig) -> UserError:
    """The error for a GPU that is named and not there."""
    return UserError(
        f"{asked} finds no GPU that a pack could have (compute.gpus_per_pack={compute.gpus_per_pack:g}); leave it out, or where a cluster grows on"
        " demand, say to how many packs at once: compute.device=cuda compute.slots=N."
    )


def local_slots(compute: ComputeConfig) -> int:
    """How many packs this machine trains at once, by its cores."""
    return max((compute.cpus or len(os.sched_getaffinity(0))) // compute.cpus_per_pack, 1)


def here(compute: ComputeConfig) -> Slots:
    """How many packs this process trains at once in threads; on a GPU as many as it is shared by, the first one where there are several."""
    cpu = compute.slots or local_slots(compute)
    cuda = max(int(1 / compute.gpus_per_pack + 1e-9), 1) if torch.cuda.device_count() else 0
    return Slots(cpu, cuda, memory_available() * SHARE / cpu, gpu_memory() * SHARE / max(cuda, 1))


def gpu_memory() -> float:
    """Bytes of this machine's first GPU; infinite where there is none to ask."""
    return float(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.device_count() else math.inf


def slots(compute: ComputeConfig, nodes: list[dict[str, float]]) -> Slots:
    """How many packs these nodes hold at once; ``compute.slots`` where a cluster grows on demand.

    Args:
        nodes: the resources of every node, such as ``{"CPU": 8, "GPU": 1, "memory": 3e10}``.

    Raises:
        UserError: a pack asks for more than any node has.
    """
    held = [int(node.get("CPU", 0) // compute.cpus_per_pack) for node in nodes]
    on_gpus = [math.floor(node.get("GPU", 0) / compute.gpus_per_pack + 1e-9) for node in nodes]
    cpu, cuda = compute.slots or sum(held), sum(on_gpus)
    if compute.slots and compute.device == "cuda":
        cuda = compute.slots
    if not cpu:
        most = max((node.get("CPU", 0) for node in nodes), default=0)
        raise UserError(
            f"a pack asks for {compute.cpus_per_pack} CPUs; the largest of {len(nodes)} nodes has {most:g}. Ask for less (compute.cpus_per_pack);"
            " where the cluster grows on demand, say to how many packs at once with compute.slots=N."
        )
    shares = [node.get("memory", math.inf) / count for count, node in zip(held, nodes, strict=True) if count]
    memory = max(min(shares, default=math.inf) - WORKER, 0.0)
    return Slots(cpu, cuda, SHARE * memory, SHARE * gpu_memory() * min(compute.gpus_per_pack, 1.0))


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
