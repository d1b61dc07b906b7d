"""Where conditions train: decided once, kept in the record; and packs that fit into the memory there."""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml

from ltm import sweep
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
    lane = [placing.memory(*c.built(), c.protocol) for c in whole.conditions]
    assert lane[0] < 1e6 < lane[1]

    def lanes(slots: Slots, **compute: float) -> dict[str, list[int]]:
        packs = placing.packs_of(whole.runs, found, slots, dataclasses.replace(study.config.compute, **compute))  # type: ignore[arg-type]
        assert sorted(run.run_id for pack in packs for run in pack.runs) == sorted(run.run_id for run in whole.runs)
        return {key: [len(pack.runs) for pack in packs if pack.runs[0].condition.id == key] for key in ids}

    assert lanes(GPU) == {ids[0]: [32, 32], ids[1]: [64]}
    assert lanes(Slots(2, 1, gpu_memory=20.5 * lane[1])) == {ids[0]: [32, 32], ids[1]: [20, 20, 20, 4]}
    assert lanes(GPU, memory=0.5 * lane[1] / placing.GIB)[ids[1]] == [1] * 64
    assert lanes(GPU, pack_size=24) == {ids[0]: [24, 24, 16], ids[1]: [24, 24, 16]}


TOLD = """
import os
from pathlib import Path
from ltm.cells.rnn import RNN
class Told(RNN):
    def initial(self, draws):
        Path(FOLDER, f"{self.hidden_size} {os.environ.get('CUDA_VISIBLE_DEVICES', '')} {os.getpid()}").touch()
        return super().initial(draws)
"""


@pytest.mark.long
def test_wide_packs_hold_gpus_while_narrow_ones_train_on_cpus_in_one_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "told").mkdir()
    (tmp_path / "told_cell.py").write_text(TOLD.replace("FOLDER", repr(str(tmp_path / "told"))))
    rule = placing.place_of
    # the GPUs are not there: what would train on one trains on a processor, in its slot
    instead = {NARROW: Place("torch", "cpu"), WIDE: Place("cpu", "cuda")}
    monkeypatch.setattr(placing, "place_of", lambda *given: instead[rule(*given)])
    cluster.quiet(verbose=False)
    ray.init(address="local", num_cpus=3, num_gpus=2, include_dashboard=False, log_to_driver=False)
    cell = (
        "model=rnn",
        "model.cell=told_cell:Told",
        "model.hidden_size=2,48",
        "dataset=latching",
        "dataset.sequences=200",
        "dataset.length=10",
    )
    training = ("training=batches", "training.batch=null", "training.max_epochs=2", "seeds=6", "compute.pack_size=2")
    assert sweep.main([*cell, *training, "study=one", "tracking=off", "compute.ray=always"]) == 0
    rows = Ledger(tmp_path / "results" / "one").runs()
    assert rows.groupby("hidden_size").size().to_dict() == {2: 6, 48: 6}
    told = [path.name.split(" ") for path in (tmp_path / "told").iterdir() if not path.name.endswith(f" {os.getpid()}")]
    assert {gpu for size, gpu, _ in told if size == "48"} <= {"0", "1"}
    assert {gpu for size, gpu, _ in told if size == "2"} == {""}
    assert {size for size, _, _ in told} == {"2", "48"}
