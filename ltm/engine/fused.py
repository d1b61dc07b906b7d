"""The fused engines: a kernel derived from the network's steps, compiled by numba, trains groups of lanes for many updates a call."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ltm.cells import Network
from ltm.data.base import Sequences, Task
from ltm.engine.base import TEST, TRAIN, VALIDATION, Engine, PackState, Prediction, Protocol
from ltm.engine.check import not_repeatable
from ltm.engine.compiler import Layout, Program, Unsupported, blocks, kernel, stages_of, trace
from ltm.engine.compiler.decays import Decay
from ltm.engine.compiler.target import vector
from ltm.engine.inputs import Pool, aligned, flatten, pooled
from ltm.engine.modules import Compiled, load
from ltm.errors import UserError
from ltm.machine import memory_available
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.schedules import factor
from ltm.training.state import Lane
from ltm.training.stopping import WATCHED

log = logging.getLogger(__name__)

UNITS_FROM = 16
"""From this hidden size on a vector is units of one seed: weights of many seeds side by side would fall out of the caches."""

ENTRIES_FROM = 16
"""From this batch size on a vector is entries of a batch, whatever the hidden size."""


GATHERED = 16
"""Sequences that are gathered at once, a lane each."""


WIDE, VERY_WIDE = 800, 64
"""Steps of at most so many floating-point operations run two, or four, vectors side by side: alone they would wait for one another."""


PROGRAM = 20 * 2.0**20
"""Bytes of what a step is derived to, graphs and text, about (28 MB of two layers of 128 units)."""


class Fused(Engine):
    """Groups of lanes, each taken through all updates of a call before the next; threads share the groups.

    Args:
        layout: what a vector is, ``seeds``, ``entries`` or ``units``; by cell and batch size where it is not given.
        width: lanes of a vector; by the step's cost where it is not given. It changes no bit of a lane of ``seeds`` or ``entries``.
        free: bytes that it may take; what is free on this machine where it is not given.

    Raises (on construction):
        Unsupported: a step has something that cannot be derived.
        UserError: a step is another program when it is traced again.
    """

    name = "cpu"
    copies = 4  # one of them as the kernel reads it

    def __init__(
        self,
        network: Network,
        task: Task,
        protocol: Protocol,
        seeds: Sequence[int] = (),
        threads: int = 1,
        dtype: str = "float32",
        layout: str | None = None,
        width: int | None = None,
        free: float | None = None,
    ) -> None:
        super().__init__(network, task, protocol, seeds)
        self.dtype, self.threads = np.dtype(dtype), threads
        processor = self._processor()
        if processor is None:
            raise Unsupported("this processor has no vectors with fused multiply-add (AVX2 or NEON)")
        if any(state.children for part in network.parts for state in part.cell.state().values()):
            raise Unsupported("it reads the states of a node's children, and a kernel those of the last steps")
        self.series = task.split is not None
        one = 64 // self.dtype.itemsize  # on every processor, as sums over units depend on it; narrower registers take two or four
        self.vectors = layout or layout_of(network, 1 if self.series else self.feed.batch)
        if self.vectors == "entries":
            one = entries_of(self.feed.batch, processor.comfortable)
        elif self.vectors == "seeds" and not self.series:
            one = GATHERED  # of float64 too
        vectors = processor.comfortable if self.vectors == "entries" else width or one
        self.layout = Layout(self.vectors, vectors, processor, width or one, gathered=not self.series and self.vectors != "units")
        states = [q for part in network.parts for q in part.cell.state().values()]
        K = max((q.lags for q in states), default=1)
        self.inputs, shapes = (flatten if self.series else pooled)(network, task, self.dtype)
        stages = stages_of(network, shapes, inside=not task.labelled, held=self.inputs.padded)
        self.traced, again = (tuple(trace(network, stage, self.loss, self.layout) for stage in stages) for _ in range(2))
        if not all(map(type(self.traced[0]).same, self.traced, again)):
            raise not_repeatable(network)
        loops = [n.data for part in self.traced for n in part.graph.nodes.values() if n.op == "block"]
        filters = {block.K for block in loops if isinstance(block, blocks.Filter)}
        others = [block.K for block in loops if isinstance(block, Decay)]
        # one table of rates: only filters over the longest window may share it
        self.exponential = dtype == "float32" and filters == {K} and not others and blocks.EXPONENTIAL_FROM <= K
        table = blocks.filter_table(K, self.exponential, max(others, default=0))
        self.table = aligned(table.shape, self.dtype, table)
        self.program = Program(
            network,
            stages,
            self.loss,
            OPTIMIZERS[protocol.optimizer],
            self.inputs.layout,
            task.labelled,
            self.series,
            self.exponential,
            self.dtype.name,
            self.name,
        )
        self._compiled: dict[int, Compiled] = {}
        self._pools: dict[int, Pool] = {}
        """By part."""
        k = self.compiled(self.layout.row).kernel
        self.flops = k.flops
        self.lead = max(k.lead, K + 1 if self.exponential else 0)
        self.widths = [self.layout.row]
        if width is None and self.layout.kind != "units":
            self.widths = [one * n for n, most in ((1, math.inf), (2, WIDE), (4, VERY_WIDE)) if sum(k.flops) <= most]
        if self.layout.kind == "entries":
            self.widths = [w for w in self.widths if w == one or w <= processor.registers // 8 * self.layout.width]
        self._fit(memory_available() if free is None else free)

    @property
    def steps(self) -> int:
        """Of the longest sequence."""
        return self.task.steps

    def _fit(self, free: float) -> None:
        """Take as many threads, and as wide groups, as trajectories fit into so many bytes.

        Raises:
            UserError: not even one fits.
        """
        one = self.compiled(self.widths[0])
        need = sum(one.sizes(self.steps, self.lead)) * self.dtype.itemsize
        if need > free:
            raise UserError(
                f"the trajectory of {one.lanes} seeds over {self.steps:,} steps takes {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB"
                " are free; expected a shorter series, a smaller hidden size, or more memory."
            )
        wanted = self.threads, self.widths[-1]
        while len(self.widths) > 1 and need * self.widths[-1] / self.widths[0] > free:
            self.widths.pop()
        self.threads = max(1, int(min(self.threads, free / (need * self.widths[-1] / self.widths[0]))))
        if (self.threads, self.widths[-1]) != wanted:
            lanes = self.compiled(self.widths[-1]).lanes
            log.warning("memory is short: groups of %d seeds on %d threads (%.1f GiB are free)", lanes, self.threads, free / 2**30)

    def block(self, lanes: int) -> float:
        compiled = self.compiled_for(lanes)
        return PROGRAM + min(self.threads, -(-lanes // compiled.lanes)) * self._of_a_group(compiled)

    def _of_a_group(self, compiled: Compiled) -> float:
        """Bytes that a kernel works with, those of the sequences that it gathers among them."""
        room = 4 * 32  # behind each of a pool's arrays
        gathered = (self._columns() * self.steps + room) * compiled.kernel.layout.row if self.layout.gathered else 0
        return float((sum(compiled.sizes(self.steps, self.lead)) + gathered) * self.dtype.itemsize)

    def _columns(self) -> float:
        """Numbers of a step of a sequence, as a kernel reads it: features, padded inputs, targets and the weight."""
        windows = sum((K - 1 + self.steps) * I for _, K, I in self.inputs.layout.windows.values()) / self.steps
        targets = 0 if self.series else self.network.output_size / (self.steps if self.task.labelled else 1)
        return self.inputs.layout.width + windows + targets + 1

    def read(self, part: Sequences) -> float:
        return len(part) * self.steps * self._columns() * self.dtype.itemsize

    def _processor(self) -> vector.Processor | None:
        return vector.processor()

    def compiled(self, width: int) -> Compiled:
        """The kernel of this width; numba compiles it when it is first called."""
        if width not in self._compiled:
            if self.layout.kind == "entries":
                layout = replace(self.layout, row=width, side=width // self.layout.row)
            else:
                layout = replace(self.layout, row=width, width=width)
            k = kernel(self.program, self.traced, layout)
            self._compiled[width] = Compiled(k, load(k.source), self.dtype, self.network.size)
        return self._compiled[width]

    def compiled_for(self, S: int) -> Compiled:
        """The kernel that takes S lanes: the narrowest that holds them all in one group, else the widest."""
        lanes = [width // (self.layout.row if self.layout.kind == "entries" else 1) for width in self.widths]
        return self.compiled(next((width for width, n in zip(self.widths, lanes, strict=True) if n >= S), self.widths[-1]))

    def advance(self, state: PackState, updates: int) -> tuple[np.ndarray, np.ndarray]:
        if not self.series:
            return super().advance(state, updates)
        curves = np.full((2, len(state.status), updates), np.nan, np.float32)
        lanes = state.running  # only these are computed
        if not len(lanes):
            return curves[0], curves[1]
        compiled, running = self.compiled_for(len(state.status)), state.take(lanes)
        packed = self._packed(compiled, running)
        best, reals, counts = compiled.pack(running.best_params), compiled.grouped(running.reals), compiled.grouped(running.counts)
        new = np.full((len(best), compiled.lanes, 2, updates), np.nan, self.dtype)
        first, p = int(running.epoch[0]), self.protocol
        rates = np.array([factor(p, first + e) for e in range(updates)])
        rules = p.max_epochs, p.patience, self.dtype.type(p.min_delta), WATCHED.index(p.watch)
        train, validation = self.split
        arrays = *packed[:2], best, reals, counts, packed[2], new
        self._call(compiled, "advance", arrays, train + validation, updates, rates, rules, self.constants, train, train + validation)
        n = len(lanes)
        self._unpack(compiled, running, packed)
        running.best_params[:] = compiled.unpack(best)[:n]
        running.reals[:], running.counts[:] = (a.reshape(-1, a.shape[-1])[:n] for a in (reals, counts))
        state.put(lanes, running)
        curves[:, lanes] = new.reshape(-1, 2, updates)[:n].transpose(1, 0, 2)
        return curves[0], curves[1]

    def _packed(self, compiled: Compiled, state: PackState) -> tuple[np.ndarray, ...]:
        """Parameters, slots and settings of lanes, as a kernel reads them."""
        return compiled.pack(state.params), compiled.slots(state.slots), compiled.grouped(state.settings)

    def _unpack(self, compiled: Compiled, state: PackState, packed: tuple[np.ndarray, ...]) -> None:
        n, k = state.slots.shape[:2]
        state.params[:] = compiled.unpack(packed[0])[:n]
        state.slots[:] = compiled.unslot(packed[1], k)[:n]

    @property
    def constants(self) -> tuple[Any, ...]:
        return tuple(map(self.dtype.type, self.protocol.constants))

    @property
    def split(self) -> tuple[int, int]:
        assert self.task.split is not None
        return self.task.split

    def train(self, state: PackState, lanes: np.ndarray, epoch: int, count: int, rate: float) -> None:
        compiled = self.compiled_for(len(self.feed.seeds))
        packed, seen = self._packed(compiled, state), compiled.grouped(state.seen)
        self._updates(compiled, (*packed, seen), lanes, epoch, state.update, count, rate)
        self._unpack(compiled, state, packed)
        state.seen[:] = seen.reshape(-1, 2)[: len(lanes)]

    def _updates(
        self, compiled: Compiled, arrays: tuple[np.ndarray, ...], lanes: np.ndarray, epoch: int, first: int, count: int, rate: float
    ) -> np.ndarray:
        """Run updates of an epoch; without one (``rate`` < 0), the gradients."""
        sequences, order = self.feed.train(epoch, lanes)
        pool = self.pool(TRAIN, sequences)
        grads = np.zeros((len(arrays[0]), compiled.kernel.parameters if rate < 0 else 0), self.dtype)
        keys = compiled.grouped(np.array([self.feed.seeds[lane] for lane in lanes], np.int64))
        places = compiled.grouped(order.astype(np.int64))
        self._call(
            compiled, "train", (*arrays, grads, places, keys), pool.steps, pool.arrays, pool.strides, (self.table, *pool.tables), self.constants,
            float(rate), first, count, self.feed.batch, epoch * self.feed.updates, pool=pool,
        )  # fmt: skip
        return grads

    def gradient_of(self, params: np.ndarray, lanes: np.ndarray, epoch: int = 0, update: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Loss ``(S,)`` and gradient ``(S, N)`` of one update's batch; nothing is changed."""
        compiled = self.compiled_for(len(lanes))
        state = PackState.start(params, [Lane(0)] * len(params), self.protocol.optimizer)
        seen = compiled.grouped(state.seen)
        grads = self._updates(compiled, (*self._packed(compiled, state), seen), lanes, epoch, update, 1, -1.0)
        total = seen.reshape(-1, 2)[: len(params)]
        return total[:, 0] / total[:, 1], compiled.unpack(grads)[: len(params)] / total[:, 1:]

    def validate(self, params: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        seen, _ = self._evaluated(params, lanes, VALIDATION, False)
        return (seen[:, 0] / seen[:, 1]).astype(self.dtype)

    def _evaluated(self, params: np.ndarray, lanes: np.ndarray, part: int, kept: bool) -> tuple[np.ndarray, np.ndarray]:
        """Sums of losses and weights ``(S, 2)``, and what is kept at counted steps ``(S, n, columns)``."""
        compiled, (sequences, index) = self.compiled_for(len(self.feed.seeds)), self.feed.part(part, lanes)
        pool, k, packed = self.pool(part, sequences), compiled.kernel, compiled.pack(params)
        slots = np.array([*k.outputs, *k.d], np.int64)
        places, n = pool.places(index) if kept else (np.zeros(len(sequences) + 1, np.int64), 0)
        seen, order = np.zeros((len(packed), compiled.lanes, 2)), compiled.grouped(index.astype(np.int64))
        out = np.full((len(packed), n, len(slots), compiled.lanes), np.nan, self.dtype)
        self._call(
            compiled, "evaluate", (packed, seen, out, order), pool.steps, pool.arrays, pool.strides, (self.table, *pool.tables), slots, places,
            self.lead, pool=pool,
        )  # fmt: skip
        return seen.reshape(-1, 2)[: len(params)], out.transpose(0, 3, 1, 2).reshape(len(packed) * compiled.lanes, n, len(slots))[
            : len(params)
        ]

    def pool(self, part: int, sequences: Sequences) -> Pool:
        """The sequences of a part as a kernel reads them, prepared once."""
        if part not in self._pools or self._pools[part].sequences() is not sequences:
            self._pools.pop(part, None)
            self._pools[part] = Pool.of(self.network, sequences, self.task, self.dtype, self.inputs)
        return self._pools[part]

    def gradient(self, params: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a series: training loss ``(S,)``, validation loss ``(S,)`` and the gradient of the first ``(S, N)``."""
        S, compiled = len(params), self.compiled_for(len(params))
        packed = compiled.pack(params)
        gradient = aligned(packed.shape, self.dtype)
        losses = np.empty((len(packed), 2, compiled.lanes), self.dtype)
        train, end = self.split[0], sum(self.split)
        self._call(compiled, "gradients", (packed, gradient, losses), end, train, end)
        train_loss, validation_loss = losses.transpose(1, 0, 2).reshape(2, -1)[:, :S]
        return train_loss, validation_loss, compiled.unpack(gradient)[:S]

    def predict(self, params: np.ndarray, lanes: np.ndarray | None = None, part: int = TEST) -> Prediction:
        S = len(params)
        if not self.series:
            _, out = self._evaluated(params, np.arange(S) if lanes is None else lanes, part, True)
        else:
            T, compiled = self.steps, self.compiled_for(S)
            k, packed = compiled.kernel, compiled.pack(params)
            slots = np.array([*k.outputs, *k.d], np.int64)
            whole = np.empty((len(packed), T, len(slots), compiled.lanes), self.dtype)
            self._call(compiled, "predict", (packed, whole), T, slots, self.lead, T)
            counted = self.task.part(part, 0).weight[0] > 0
            out = whole[:, counted].transpose(0, 3, 1, 2).reshape(-1, int(counted.sum()), len(slots))[:S]
        n = self.network.output_size
        return Prediction(out[..., :n], out[..., n:] if out.shape[2] > n else None)

    def _call(
        self, compiled: Compiled, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *rest: Any, pool: Pool | None = None
    ) -> None:
        """Run an entry of the kernel over all groups of ``arrays``, in place; threads share them."""

        def work(thread: int, share: slice) -> None:
            if pool is None:
                memory: tuple[Any, ...] = compiled.take(steps, self.lead, thread)
                f, px, y, v = self.inputs.arrays
                inputs: tuple[Any, ...] = ((f, px, self.table, y, v),)
            else:
                layout = compiled.kernel.layout
                memory = compiled.take(steps, self.lead, thread, pool.gathered if layout.gathered else (1,) * 4)
                memory += (np.zeros(layout.lanes * layout.entries, np.int64), np.zeros(16, np.int64))
                inputs = ()
            getattr(compiled.module, entry)(*(a[share] for a in arrays), memory, *inputs, *rest)

        edges = np.linspace(0, len(arrays[0]), min(self.threads, len(arrays[0])) + 1).round().astype(int)
        shares = [slice(a, b) for a, b in itertools.pairwise(edges)]
        if len(shares) == 1:
            work(0, shares[0])
            return
        with ThreadPoolExecutor(len(shares)) as workers:
            list(workers.map(work, range(len(shares)), shares))


def layout_of(network: Network, batch: int) -> str:
    """What a vector is, by the cell's size and that of a batch alone: never by the pack."""
    if batch >= ENTRIES_FROM:
        return "entries"
    return "units" if network.hidden_size >= UNITS_FROM else "seeds"


def entries_of(batch: int, width: int) -> int:
    """Sequences of a batch that run side by side: two vectors, which read the same weights, unless fewer leave fewer lanes empty. With more, the
    trajectory of wide layers leaves the caches (64 sequences of two LSTM(128): a fifth slower)."""
    return min((2 * width, 16), key=lambda n: -(-batch // n) * n)
