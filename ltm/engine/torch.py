"""The torch engine: a network's step under ``torch.vmap`` and autograd, for all lanes and sequences at once. Short, readable, any device, any size.

It is what the fused kernels are held to, and what trains wide networks on a GPU. Layers run one after another over whole sequences.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import pad

from ltm.cells import Network
from ltm.data.base import Sequences, Task
from ltm.engine.base import TEST, TRAIN, VALIDATION, Engine, PackState, Prediction
from ltm.engine.devices import device_of, kept_for_the_gradient, memory_of, one_thread, sizes_of
from ltm.engine.unroll import Given, at_end, everywhere, features_of, kind_of_mask, leaves, taken, tops, unroll
from ltm.training import masks
from ltm.training.losses import roughness_gradient, smooth_filters
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.schedules import factor
from ltm.training.state import SETTINGS, Protocol

os.environ.setdefault("MKL_CBWR", "AUTO")
"""Read by MKL at its first product: else the last bits of one depend on its matrices' addresses, and so on a lane's place in a block."""

WORKED = 8
"""Copies of a block's parameters, beside its optimiser's slots twice, that an update works with: gradients, their squares in float64, new values."""

NODE = 2_300.0
"""Bytes of a kept tensor beside its numbers: its node of autograd's graph, its views, the least that is allocated (measured, series of 4,000 steps)."""

MATRICES = 6
"""Gradients of the largest parameter for every sequence of a block apart, of which so many are there at once on the way back (measured: 5 to 7, by the cell)."""

FREED = 14 * 2**20
"""Bytes of freed blocks that the allocator of a CPU keeps for the next (measured: 0 to 30 MiB, from run to run)."""


class Torch(Engine):
    """Autograd through :func:`unroll`, in blocks of lanes of one shape, so that a lane meets the same instructions in any company.

    Args:
        dtype: numbers that it computes with.
        device: as torch calls it: ``cpu``, ``cuda``, ``cuda:1``.
        memory: bytes that autograd may keep of a block of lanes, about. It decides how many lanes and sequences run side by side, and so the last
            bits: the same everywhere, but for a GPU's, which is half of its memory.

    Raises:
        UserError: a GPU where there is none.
    """

    name = "torch"
    copies = 2  # written when a block's graph is gone

    def __init__(
        self,
        network: Network,
        task: Task,
        protocol: Protocol,
        seeds: Sequence[int] = (),
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        memory: float | None = None,
    ) -> None:
        super().__init__(network, task, protocol, seeds)
        self.dtype, self.device = dtype, device_of(device)
        self.limit = memory or memory_of(self.device)
        self._prepared: dict[int, tuple[Sequences, Given]] = {}

    # ---- how much runs side by side ------------------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """Lanes of a block, and sequences of a batch that run at once when something is trained: by task, network and memory alone."""
        return sizes_of(self.network, self.feed.batch, self.kept, self.limit, self.device)

    @cached_property
    def kept(self) -> float:
        """Bytes that autograd keeps of one lane's batch."""
        return self._kept_a_step[0] * self.task.train.steps

    def sized_for(self, device: str, memory: float) -> Torch:
        """This engine, to be asked what a pack takes on a device; on a GPU of so many bytes, where none is here."""
        where = torch.device(device)
        self.limit = memory / 2 if where.type == "cuda" and not torch.cuda.device_count() else memory_of(where)
        self.sizes = sizes_of(self.network, self.feed.batch, self.kept, self.limit, where)
        return self

    def block(self, lanes: int) -> float:
        side_by_side, sequences = self.sizes  # a block is filled up, however few the lanes are
        updated = self.network.size * (WORKED + 2 * len(OPTIMIZERS[self.protocol.optimizer].slots))
        largest = max(math.prod(parameter.shape) for parameter in self.network.parameters().values())
        numbers = updated + MATRICES * sequences * largest
        graph = NODE * self._kept_a_step[1] * self.task.train.steps  # that of torch, whatever its tensors hold
        return FREED + graph + side_by_side * (self.kept * sequences / self.feed.batch + self.dtype.itemsize * numbers)

    def _data(self, lanes: int) -> float:
        later = 0.0 if self.task.split or self.task.draws != "dataset" else self.read(self.task.test)
        return super()._data(lanes) - later  # test sequences are read when training is over, and its block gone

    def read(self, part: Sequences) -> float:
        one = features_of(self.network, self.task, part.take(slice(0, 1)), self._tensor)
        return float(len(part) * sum(value.nbytes for value in leaves(one)))

    @property
    def evaluated(self) -> int:
        """Sequences that run at once when nothing is trained."""
        lanes, width, more = self.sizes[0], max(self.network.hidden_size, 1), 16 if self.device.type == "cuda" else 1
        return max(1, min(2**16 * more // (lanes * width), 2**24 * more // (lanes * width * self.task.steps)))

    @cached_property
    def _kept_a_step(self) -> tuple[float, float]:
        """Bytes that autograd keeps of one lane's batch, a step, and the tensors that it notes: half of what four steps take more than two."""
        sums, counts = [], []  # a tensor's memory counts once, its node each time
        for steps in (2, 4):
            engine = self._short(steps)
            with kept_for_the_gradient() as kept:
                engine.gradient_of(np.stack([self.network.initial(0)]))
            sums.append(sum(dict(kept).values()))
            counts.append(len(kept))
        return max((sums[1] - sums[0]) / 2.0, 1.0), (counts[1] - counts[0]) / 2.0

    def _short(self, steps: int) -> Torch:
        """The same engine for one lane on the beginning of one batch."""
        train = self.task.train.take(slice(0, self.feed.batch))
        weight = np.ones_like(train.weight[:, :steps])
        weight[:, : -1 if self.task.labelled else 0] = 0.0
        part = Sequences(**{name: array[:, :steps] for name, array in train.arrays.items()} | {"weight": weight})
        task = replace(self.task, train=part, validation=part, test=part, split=None, draws="dataset", source=None)
        engine = Torch(self.network, task, replace(self.protocol, batch=0, order="fixed"), (0,), self.dtype, str(self.device), self.limit)
        engine.sizes = 1, len(train)
        return engine

    def seconds(self, steps: int = 40) -> float:
        """About how long an epoch of one block of lanes takes, from that of a short batch."""
        short, params = self._short(steps), np.stack([self.network.initial(0)])
        short.sizes = self.sizes
        short.gradient_of(params)
        started = time.perf_counter()
        short.gradient_of(params)
        took = time.perf_counter() - started
        trained, validated = self.task.split or (self.task.train.weight.size, self.task.validation.weight.size)
        return took * (trained + 0.4 * validated) / short.task.train.weight.size  # validation has no backward pass

    def _threads(self) -> AbstractContextManager[None]:
        """One thread where lanes run side by side on a CPU."""
        return one_thread(self.sizes[0] > 1 and self.device.type == "cpu")

    def _blocks(self, S: int) -> Iterator[tuple[np.ndarray, int]]:
        """Which of S lanes a block holds, filled up with the last one, and how many of them count."""
        lanes = self.sizes[0]
        for first in range(0, S, lanes):
            yield np.minimum(np.arange(first, first + lanes), S - 1), min(lanes, S - first)

    # ---- data ----------------------------------------------------------------------------------------------------------

    def _tensor(self, array: np.ndarray, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.as_tensor(np.array(array), dtype=dtype or self.dtype, device=self.device)

    def _pool(self, part: int, pool: Sequences) -> Given:
        """What the cells read of all sequences of a pool, on the device; kept until the part has another pool."""
        if part not in self._prepared or self._prepared[part][0] is not pool:
            self._prepared.pop(part, None)
            self._prepared[part] = pool, features_of(self.network, self.task, pool, self._tensor)
        return self._prepared[part][1]

    def _given(self, part: int, pool: Sequences, index: np.ndarray) -> tuple[Given, list[int] | None]:
        """What lanes read of the sequences ``index`` (lanes, B), and the steps whose loss counts (``None``: one a sequence)."""
        lengths, weight = pool.lengths[index], pool.weight[index]
        read = None if self.task.labelled else [int(t) for t in np.flatnonzero((weight > 0).any((0, 1)))]
        where = self._tensor(index[:1] if self._shared(part) else index, torch.int64)
        given = taken(self._pool(part, pool), where, max(int(lengths.max()), 1), len(index))
        if self.task.split is None and (pool.lengths < pool.steps).any():
            given["length"] = self._tensor(lengths, torch.int64)
        return given, read

    def _shared(self, part: int) -> bool:
        """Whether all lanes read the same sequences in the same order, by task and protocol."""
        return self.task.draws == "dataset" and (part != TRAIN or self.protocol.order == "fixed" or self.task.split is not None)

    # ---- runs ----------------------------------------------------------------------------------------------------------

    def _output(self, p: Mapping[str, torch.Tensor], top: torch.Tensor) -> torch.Tensor:
        return self.network.read(p, top).reshape(self.network.output_size)

    def _loss(self, p: Mapping[str, torch.Tensor], top: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Of one step; losses read a class as 1 at its place."""
        if self.task.classes:
            target = (torch.arange(self.network.output_size, device=self.device) == target).to(self.dtype)
        return self.loss.step(self._output(p, top), target)

    def _losses(self, params: torch.Tensor, given: Given, read: list[int] | None) -> torch.Tensor:
        """The loss of every step that is read, ``(lanes, B, steps)``."""

        def lane(flat: torch.Tensor, given: Given) -> torch.Tensor:
            p = self.network.unflatten(flat)
            found = tops(self.network, unroll(self.network, p, given), given, read)
            targets = [given["label"]] if read is None else [given["target"][t] for t in read]
            return torch.stack([self._loss(p, top, target) for top, target in zip(found, targets, strict=True)])

        return everywhere(lane, params, given)

    def _weighted(
        self, pool: Sequences, index: np.ndarray, read: list[int] | None, losses: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights of the losses of sequences ``index`` (lanes, B), and each lane's sum of weighted losses, both float64."""
        weight = pool.weight[index]
        weights = self._tensor(weight.max(2, keepdims=True) if read is None else weight[..., read], torch.float64)
        rest = 0 if read is None else pool.steps - len(read)  # one length, whatever the company, is one order of additions
        return weights, pad(weights * losses.detach(), (0, rest)).sum((1, 2))

    def _mask(self, lanes: np.ndarray, n: int, rates: np.ndarray, places: np.ndarray, steps: int) -> dict[int, torch.Tensor]:
        """What is dropped out in an update, by layer: ``(lanes, B, steps, units)``."""
        found = {}
        for part in self.network.parts:
            if kind := kind_of_mask(part.cell):
                at, units = np.arange(steps if kind == "nonrecurrent" else 1), part.cell.input_size
                own = zip(lanes, rates, strict=True)
                drawn = [masks.masks(self.feed.seeds[lane], n, part.layer, places, at, units, rate) for lane, rate in own]
                found[part.layer] = self._tensor(np.stack(drawn))
        return found

    def _gradient(
        self, params: torch.Tensor, lanes: np.ndarray, pool: Sequences, index: np.ndarray, n: int, rates: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of weighted losses and of weights of a batch, ``(lanes, 2)``, float64, and the gradient of their ratio ``(lanes, N)``."""
        whole = self._tensor(pool.weight[index].sum((1, 2)), torch.float64)
        leaf, gradient, sums = params.detach().requires_grad_(), torch.zeros_like(params), torch.zeros_like(whole)
        for first in range(0, index.shape[1], self.sizes[1]):
            some = index[:, first : first + self.sizes[1]]
            given, read = self._given(TRAIN, pool, some)
            given["mask"] = self._mask(lanes, n, rates, first + np.arange(some.shape[1]), int(pool.lengths[some].max()))
            losses = self._losses(leaf, given, read)
            weights, total = self._weighted(pool, some, read, losses)
            objective = (losses * (weights / whole[:, None, None]).to(self.dtype)).sum()
            gradient += torch.autograd.grad(objective, leaf)[0]
            sums += total
        return torch.stack([sums, whole], 1), gradient

    # ---- the engine ----------------------------------------------------------------------------------------------------

    def train(self, state: PackState, lanes: np.ndarray, epoch: int, count: int, rate: float) -> None:
        pool, order = self.feed.train(epoch, lanes)
        with self._threads():
            for block, n in self._blocks(len(lanes)):
                mine = state.take(block)
                params, slots, seen = (
                    self._tensor(mine.params),
                    list(self._tensor(mine.slots.swapaxes(0, 1))),
                    self._tensor(mine.seen, torch.float64),
                )
                for update in range(state.update, state.update + count):
                    number = epoch * self.feed.updates + update + 1
                    index = order[block, update * self.feed.batch : (update + 1) * self.feed.batch]
                    sums, gradient = self._gradient(params, lanes[block], pool, index, number, mine.setting("dropout"))
                    params, slots = self._updated(params, slots, gradient, mine.settings, number, rate)
                    seen += sums
                mine.seen[:] = seen.cpu().numpy()
                keep(mine, params, slots)
                state.put(block[:n], mine.take(np.arange(n)))

    def _updated(
        self, params: torch.Tensor, slots: list[torch.Tensor], gradient: torch.Tensor, settings: np.ndarray, n: int, rate: float
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Parameters and slots after one step of the optimiser; what a step needs of ``n`` is computed in float64."""
        optimizer, constants = OPTIMIZERS[self.protocol.optimizer], self.protocol.constants
        k = dict(zip(SETTINGS, settings.astype(np.float64).T, strict=True))
        k["lr"] = k["lr"] * rate
        if optimizer.numbers:
            found = np.array([optimizer.numbers(float(lr), n, constants) for lr in k["lr"]])
            k |= dict(zip(optimizer.named, found.T, strict=True))
        own = dict(zip(k, self._tensor(np.stack(list(k.values()))).unsqueeze(2), strict=True))
        if filters := smooth_filters(self.network.parameters()):
            gradient = gradient + own["smoothness"] * roughness_gradient(params, filters)
        norm, clip, most = gradient.double().square().sum(1, keepdim=True).sqrt().to(self.dtype), own["clip"], own["clip_value"]
        gradient = gradient * torch.where((clip > 0) & (norm > clip), clip / norm, 1.0)
        gradient = torch.where(most > 0, torch.clamp(gradient, -most, most), gradient)
        numbers = SimpleNamespace(**constants._asdict(), **own)
        params, new = optimizer.step(params, gradient, SimpleNamespace(**dict(zip(optimizer.slots, slots, strict=True))), numbers)
        return params, [new[name] for name in optimizer.slots]

    def validate(self, params: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        pool, index = self.feed.part(VALIDATION, lanes)
        sums = np.zeros(len(params))
        with self._threads(), torch.no_grad():
            for block, n in self._blocks(len(params)):
                flat = self._tensor(params[block])
                for first in range(0, index.shape[1], self.evaluated):
                    some = index[block, first : first + self.evaluated]
                    given, read = self._given(VALIDATION, pool, some)
                    _, total = self._weighted(pool, some, read, self._losses(flat, given, read))
                    sums[block[:n]] += total.cpu().numpy()[:n]
        return (sums / pool.weight.sum(1)[index].sum(1)).astype(params.dtype)

    def predict(self, params: np.ndarray, lanes: np.ndarray | None = None, part: int = TEST) -> Prediction:
        pool, index = self.feed.part(part, np.arange(len(params)) if lanes is None else lanes)
        outputs: list[np.ndarray] = []
        with self._threads(), torch.no_grad():
            for block, n in self._blocks(len(params)):
                flat, found = self._tensor(params[block]), []
                for first in range(0, index.shape[1], self.evaluated):
                    found.append(self._outputs(flat, part, pool, index[block, first : first + self.evaluated]))
                outputs += [np.concatenate([one[i] for one in found]) for i in range(n)]
        most, O = max(map(len, outputs)), self.network.output_size
        whole = np.stack([np.pad(own, ((0, most - len(own)), (0, 0)), constant_values=np.nan) for own in outputs])
        return Prediction(whole[..., :O], whole[..., O:] if whole.shape[-1] > O else None)

    def _outputs(self, params: torch.Tensor, part: int, pool: Sequences, index: np.ndarray) -> list[np.ndarray]:
        """Outputs and d of every lane at its counted steps, ``(n, O + k)``."""
        counted = pool.weight[index] > 0
        given, read = self._given(part, pool, index)

        def lane(flat: torch.Tensor, given: Given) -> torch.Tensor:
            p = self.network.unflatten(flat)
            states = unroll(self.network, p, given)
            y = [self._output(p, top) for top in tops(self.network, states, given, read)]
            parts = zip(self.network.parts, states, strict=True)
            memory = [steps for part, steps in parts if "d" in part.cell.state() and not part.reverse]
            d = [[at_end(steps, "d", given.get("length"))] if read is None else [steps[t]["d"] for t in read] for steps in memory]
            return torch.stack([torch.cat(together) for together in zip(y, *d, strict=True)])

        found = everywhere(lane, params, given).cpu().numpy()
        chosen = counted.any(2)[..., None] if read is None else counted[..., read]
        return [mine[which] for mine, which in zip(found, chosen, strict=True)]

    def gradient_of(
        self, params: np.ndarray, lanes: np.ndarray | None = None, epoch: int = 0, update: int = 0, dropout: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Loss ``(S,)`` of one update's batch, and its gradient ``(S, N)``, by parameters ``(S, N)`` and, where units are dropped out, rates ``(S,)``."""
        lanes = np.arange(len(params)) if lanes is None else lanes
        rates = np.zeros(len(params)) if dropout is None else dropout
        pool, order = self.feed.train(epoch, lanes)
        index = order[:, update * self.feed.batch : (update + 1) * self.feed.batch]
        losses, gradients, number = [], [], epoch * self.feed.updates + update + 1
        with self._threads():
            for block, n in self._blocks(len(params)):
                seen, gradient = self._gradient(self._tensor(params[block]), lanes[block], pool, index[block], number, rates[block])
                losses.append((seen[:n, 0] / seen[:n, 1]).cpu().numpy())
                gradients.append(gradient[:n].cpu().numpy())
        return np.concatenate(losses).astype(params.dtype), np.concatenate(gradients)

    # ---- a series ------------------------------------------------------------------------------------------------------

    def gradient(self, params: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a series: training loss ``(S,)``, validation loss ``(S,)`` and the gradient of the first ``(S, N)``."""
        assert self.task.split is not None
        trained, end = self.task.split[0], sum(self.task.split)
        given = taken(self._pool(TRAIN, self.task.train), self._tensor(np.zeros((1, 1)), torch.int64), end, self.sizes[0])
        results = []
        with self._threads():
            for block, n in self._blocks(len(params)):
                leaf = self._tensor(params[block]).requires_grad_()
                losses = self._losses(leaf, given, list(range(end)))[:, 0]
                train = losses[:, :trained].contiguous().mean(1)
                (gradient,) = torch.autograd.grad(train.sum(), leaf)
                values = train, losses[:, trained:].contiguous().mean(1), gradient
                results.append([value.detach().cpu().numpy()[:n] for value in values])
        train_loss, validation_loss, gradients = (np.concatenate(values) for values in zip(*results, strict=True))
        return train_loss, validation_loss, gradients

    def advance(self, state: PackState, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Engine.advance`. Of a series both losses are measured by the same parameters, before the update."""
        if self.task.split is None:
            return super().advance(state, updates)
        curves: list[np.ndarray] = []
        while len(curves) < updates and len(lanes := state.running):
            running = state.take(lanes)
            train, validation, gradient = self.gradient(running.params)
            curves.append(np.full((2, len(state.status)), np.nan, np.float32))
            curves[-1][:, lanes] = train, validation
            self.judge(running, np.where(np.isfinite(gradient).all(1), train, np.nan), validation)
            if len(on := running.running):
                left, epoch = running.take(on), int(running.epoch[on[0]])
                rate = factor(self.protocol, epoch - 1)
                params, slots = self._tensor(left.params), list(self._tensor(left.slots.swapaxes(0, 1)))
                keep(left, *self._updated(params, slots, self._tensor(gradient[on]), left.settings, epoch, rate))
                running.put(on, left)
            state.put(lanes, running)
        whole = np.stack(curves, -1) if curves else np.zeros((2, len(state.status), 0), np.float32)
        return whole[0], whole[1]


def keep(state: PackState, params: torch.Tensor, slots: list[torch.Tensor]) -> None:
    """Write parameters and slots back to a state."""
    state.params[:] = params.cpu().numpy()
    for i, slot in enumerate(slots):
        state.slots[:, i] = slot.cpu().numpy()
