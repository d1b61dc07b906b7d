"""Where conditions train: decided once, kept in the record; and packs that fit into the memory there."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from ltm import sweep
from ltm.engine import planned
from ltm.errors import UserError
from sweeps import config, plan, record
from sweeps.execution import cluster, placing
from sweeps.execution.cluster import Slots
from sweeps.plan import Place
from sweeps.store.ledger import Ledger

NARROW, WIDE = Place("auto", "cpu"), Place("torch", "cuda")
GPU, NO_GPU = Slots(2, 1), Slots(2)
STUDY = ("dataset=latching", "model=lstm", "training=batches", "model.hidden_size=2,256", "seeds=3")


def places(folder: Path, slots: Slots, *overrides: str) -> list[Place]:
    """What is decided for a study of one narrow and one wide network, and written into its record."""
    study, ledger = config.compose([*STUDY, *overrides]), Ledger(folder)
    whole = record.claim(ledger, plan.make(study), study.config, "one", "command")
    found = placing.decided(whole, study.config, slots, ledger)
    placing.keep(ledger, found)
    return list(found.values())


def test_wide_networks_take_the_gpu_and_narrow_ones_the_cpus(tmp_path: Path) -> None:
    assert places(tmp_path / "a", GPU) == [NARROW, WIDE]
    assert places(tmp_path / "b", NO_GPU) == [NARROW, NARROW]


def test_a_resume_keeps_what_was_decided_and_what_is_named_wins(tmp_path: Path) -> None:
    assert places(tmp_path, NO_GPU) == [NARROW, NARROW]
    assert places(tmp_path, GPU) == [NARROW, NARROW], "a GPU that comes later changes nothing"
    assert places(tmp_path, GPU, "compute.device=cuda") == [WIDE, WIDE]
    assert places(tmp_path, GPU) == [WIDE, WIDE]
    assert set(yaml.safe_load(Ledger(tmp_path).text("config.yaml") or "")["places"]) == {"torch on cuda"}
    with pytest.raises(UserError, match="'lstm hidden_size=2 / latching' was begun on a GPU, and there is none here .*compute.device=cpu"):
        places(tmp_path, NO_GPU)
    assert places(tmp_path, NO_GPU, "compute.device=cpu", "engine=torch") == [Place("torch", "cpu")] * 2


def test_a_gpu_that_is_named_and_not_there_is_one_line(tmp_path: Path) -> None:
    for named in ("compute.device=cuda", "engine=cuda"):
        with pytest.raises(UserError, match=f"^{named} finds no GPU that a pack could have") as error:
            places(tmp_path, NO_GPU, named)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="engine=cpu trains on cpu and compute.device is cuda"):
        places(tmp_path, GPU, "engine=cpu", "compute.device=cuda")


def test_packs_are_cut_for_the_slots_of_their_place_and_its_memory(tmp_path: Path) -> None:
    study = config.compose([*STUDY, "seeds=64"])
    whole = plan.make(study)
    ids = list(whole.labels)
    found = dict(zip(ids, (NARROW, WIDE), strict=True))

    def lanes(slots: Slots, **compute: float) -> dict[str, list[int]]:
        packs = placing.packs_of(whole.runs, found, slots, dataclasses.replace(study.config.compute, **compute))  # type: ignore[arg-type]
        assert sorted(run.run_id for pack in packs for run in pack.runs) == sorted(run.run_id for run in whole.runs)
        return {key: [len(pack.runs) for pack in packs if pack.runs[0].condition.id == key] for key in ids}

    assert lanes(GPU) == {ids[0]: [32, 32], ids[1]: [64]}
    assert lanes(GPU, pack_size=24) == {ids[0]: [24, 24, 16], ids[1]: [24, 24, 16]}

    narrow, wide = whole.conditions
    small = planned("auto", *narrow.built(), narrow.protocol).memory(20)
    assert lanes(Slots(2, 1, memory=small))[ids[0]] == [20, 20, 20, 4], "of two hidden units"
    roomy = planned("torch", *wide.built(), wide.protocol, device="cuda", memory=2.0**60)
    gpu = roomy.memory(1) + 20 * (roomy.memory(2) - roomy.memory(1))
    most = lanes(Slots(2, 1, gpu_memory=gpu))[ids[1]][0]
    said = planned("torch", *wide.built(), wide.protocol, device="cuda", memory=gpu)
    assert said.memory(most) <= gpu < said.memory(most + 1)
    assert 1 < most < 64
    assert lanes(GPU, memory=0.5 * small / placing.GIB)[ids[1]] == [1] * 64, "a pack has a lane, whatever is free"


TOLD = """
import json, os, time
from pathlib import Path
from ltm.cells.rnn import RNN
class Told(RNN):
    def initial(self, draws):
        import ray
        if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
            began = time.time()
            here = ray.get_runtime_context().get_node_id(), os.environ.get("CUDA_VISIBLE_DEVICES", "")
            Path(FOLDER, f"at-{self.hidden_size}-{here[0]}").touch()
            while not (len(list(Path(FOLDER).glob("at-48-*"))) == 2 and list(Path(FOLDER).glob("at-2-*"))):
                time.sleep(0.05)
                assert time.time() < began + 300, "packs wait, and a GPU or every processor stands idle"
            with Path(FOLDER, str(os.getpid())).open("a") as file:
                print(json.dumps([self.hidden_size, *here]), file=file)
        return super().initial(draws)
"""
"""A cell that tells where it trains; nobody begins before a wide pack is on either GPU and a narrow one on a processor, at the same time."""


@pytest.mark.long
def test_wide_packs_hold_the_gpus_of_three_nodes_while_narrow_ones_train_on_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "told").mkdir()
    (tmp_path / "told_cell.py").write_text(TOLD.replace("FOLDER", repr(str(tmp_path / "told"))))
    rule = placing.place_of
    # the GPUs are not there: what would train on one trains on a processor, in its slot
    instead = {NARROW: Place("torch", "cpu"), WIDE: Place("cpu", "cuda")}
    monkeypatch.setattr(placing, "place_of", lambda *given: instead[rule(*given)])
    cluster.quiet(verbose=False)
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=1, num_gpus=1)
        cell = (
            "model=rnn",
            "model.cell=told_cell:Told",
            "model.hidden_size=2,48",
            "dataset=latching",
            "dataset.sequences=200",
            "dataset.length=10",
        )
        training = ("training=batches", "training.batch=null", "training.max_epochs=2", "seeds=8", "compute.pack_size=2")
        where = ("compute=cluster", f"compute.address={nodes.address}", "compute.carry_code=false", f"root={tmp_path}/results")
        assert sweep.main([*cell, *training, *where, "study=one", "tracking=off"]) == 0
    finally:
        cluster.leave()
        nodes.shutdown()
    rows = Ledger(tmp_path / "results" / "one").runs()
    assert rows.groupby("hidden_size").size().to_dict() == {2: 8, 48: 8}
    told = [json.loads(line) for file in (tmp_path / "told").iterdir() for line in file.read_text().splitlines()]
    narrow, wide = ([one for one in told if one[0] == size] for size in (2, 48))
    assert len({node for _, node, _ in wide}) == 2
    assert {gpu for *_, gpu in wide} == {"0"}
    assert {gpu for *_, gpu in narrow} == {""}
