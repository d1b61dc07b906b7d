"""Bad input to a whole sweep: one line that says what was given and what is expected, status 2, nothing written, nothing trained."""

import os
from pathlib import Path

import pytest

from ltm import sweep
from sweeps import study
from sweeps.execution import cluster
from sweeps.store.ledger import Ledger


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a sweep in this process that must be refused before Ray is started; returns its one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(cluster, "connect", lambda *given: pytest.fail("Ray was started"))

    def call(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*.*"))
        assert sweep.main(list(arguments)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1
        assert [path for path in sorted(tmp_path.rglob("*.*")) if path.suffix != ".pyc"] == before
        assert not (tmp_path / "results").exists()
        return said

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("study=../evil", "is no name for a folder; expected one plain name"),
        ("study=a/b", "is no name for a folder"),
        ("study=", "study='' is no name"),
        ("study=..", "is no name"),
        ("model.name=a/b", "study='a/b_arfima' is no name"),
        ("root=", "root is ''"),
        ("seeds=99999999999", "at most 1,000,000"),
        ("seeds=5-99999999999", "at most 1,000,000"),
        ("seeds=12345678901234567890", "at most 1,000,000"),
        ("seeds=[12345678901234567890]", "a seed above 9223372036854775807"),
        ("seeds=3.7", "seeds=3.7 is not understood; expected a number"),
        ("seeds=[1,2.5]", "is not understood"),
        ("seeds=true", "is not understood"),
        ("seeds=null", "is not understood"),
        ("seeds=1000000 grid.seed=[0,1,2,3,4,5,6,7,8,9,10]", "11 conditions x 1,000,000 seeds are too many"),
        ("training.lr=inf", "training.lr is inf; expected a finite number above 0"),
        ("training.lr=nan", "training.lr is nan"),
        ("training.min_delta=nan", "training.min_delta is nan"),
        ("training.weight_decay=inf", "training.weight_decay is inf"),
        ("training.clip=inf", "training.clip is inf"),
        ("training.max_epochs=1e10", "training.max_epochs"),
        ("training.max_epochs=10000000000", "at most 10,000,000"),
        ("dataset.sigma=-1", "dataset.sigma is -1; expected a number above 0"),
        ("dataset.sigma=0", "dataset.sigma is 0"),
        ("dataset.sigma=inf", "dataset.sigma is inf"),
        ("dataset.sigma=1e308", "is not finite"),
        ("dataset.d=nan", "dataset.d is nan"),
        ("dataset.length=10000000000000", "dataset.length is 10000000000000; expected a whole number of at most 1,000,000"),
        ("dataset.length=-5", "dataset.length is -5"),
        ("dataset.ar=[a]", "dataset.ar[0] is 'a'; expected a finite number"),
        ("dataset.ar=[nan]", "dataset.ar[0] is nan"),
        ("dataset.ar=5", "dataset.ar is 5; expected a list of numbers"),
        ("dataset.seed=-1", "dataset.seed is -1; expected a whole number of at least 0"),
        ("dataset.train=1e99", "dataset.train is 1e+99; expected a whole number"),
        ("dataset=random_rnn dataset.hidden=0", "dataset.hidden is 0"),
        ("search=random search.seed=-1", "search.seed is -1"),
        ("search.seed=-1", "the search that is chosen has no key 'seed'"),
        ("search.space.lr={choices:[a]}", "nothing is searched; add search=random"),
        ("search=random search.space.lr={choices:[a]}", "training.lr is 'a'"),
        ("search=optuna search.space.K={low:0,high:5}", "'K' is 0"),
        ("search=random search.rungs=1000000000", "at most 20"),
        ("compute.cpus_per_pack=5000", "compute.cpus_per_pack is 5,000; expected at most"),
        ("compute.cpus=1000000", "compute.cpus is 1000000"),
        ("compute.cpus=50000", "compute.cpus is 50,000; expected at most"),
        ("compute.gpus_per_pack=inf", "compute.gpus_per_pack is inf"),
        ("compute.gpus_per_pack=nan", "compute.gpus_per_pack is nan"),
        ("compute.slots=100000000000000000000", "at most 1,000,000"),
        ("published=nope", "unknown published table 'nope'. There are: zhao2020, zhao2020_table2"),
        ("model=null", "unknown model 'null'. There are: attention, "),
        ("dataset=null", "unknown dataset 'null'"),
        ("training=null", "unknown training 'null'"),
        ("compute=null", "unknown compute 'null'"),
        ("tracking=null", "unknown tracking 'null'"),
        ("search=null", "unknown search 'null'"),
        ("+experiment=null", "unknown experiment 'null'"),
        ("+experiment=5", "unknown experiment '5'"),
        ("model.cell=:", "expected package.module:Class"),
        ("model.cell=a:", "No module named 'a'"),
        ("model.cell=own:Cell", "cannot be imported (RuntimeError: no luck today)"),
        ("model.hidden_size=1000000000", "parameters; expected at most 10,000,000"),
        ("model.K=10000000000", "'K' is 10000000000; expected a whole number of at most"),
        ("model=mlstm model.K=20000000", "past values in its state; expected at most"),
        ("model=mist model.delays=1000000", "'delays' is 1000000; expected a whole number of at most 20"),
        ("grid.lr=[abc]", "training.lr is 'abc'"),
        ("grid.lr=[null]", "training.lr is null"),
        ("grid.model=5", "unknown model '5'"),
        ("grid=null", "grid is null"),
        ("grid.Q=[1]", "unknown grid key 'Q'"),
        ("grid.model.Q=[1]", "unknown grid key 'model.Q'"),
        ("grid.K=[5] grid.model.K=[6]", "grid.K and grid.model.K are one key"),
        ("model=[", "unknown model '['"),
        ("grid.K=[1,", "'grid.K=[1,' is not understood; expected KEY=VALUE"),
        ("x=${y}", "unknown key 'x'"),
        ("seeds=${nope}", "Interpolation key 'nope' not found"),
        ("study=ünïcode", "'study=ünïcode' is not understood; expected KEY=VALUE, with quotes"),
        ("--foo", "unknown option '--foo'; there are --help, --cfg"),
        ("-x", "unknown option '-x'"),
        ("~model", "a study needs one model"),
    ],
)
def test_what_makes_no_sense_is_one_line(refused, tmp_path: Path, arguments: str, message: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own.py").write_text("raise RuntimeError('no luck\\ntoday')\n")
    assert message in refused(*arguments.split(" "))


def test_an_empty_argument_and_a_line_end_are_one_line(refused) -> None:  # type: ignore[no-untyped-def]
    assert "'' is not an override" in refused("")
    assert "a line end or another control character" in refused("study=a\nb")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("arfima,rnn,,test_rmse,1.1,0,100", "line 3 (rnn on arfima): sd is 0"),
        ("arfima,rnn,,test_rmse,1.1,-2,100", "sd is -2"),
        ("arfima,rnn,,test_rmse,1.1,0.1,1", "n is 1; Welch's test needs at least 2"),
        ("arfima,rnn,,test_rmse,,0.1,100", "mean is empty; only K may be"),
        ("arfima,rnn,,test_rmse,1.1,,100", "sd is empty"),
        ("arfima,,,test_rmse,1.1,0.1,100", "model is empty"),
        ("arfima,rnn,,rmse,1.1,0.1,100", "metric is 'rmse'; expected one of test_rmse"),
        ("arfima,rnn,many,test_rmse,1.1,0.1,100", "K is 'many'"),
        ("arfima,rnn,,test_rmse,inf,0.1,100", "mean is inf"),
    ],
)
def test_a_published_table_is_checked_row_by_row_before_anything_is_trained(refused, tmp_path: Path, row: str, message: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own.csv").write_text(f"dataset,model,K,metric,mean,sd,n\narfima,lstm,5,test_rmse,1.0,0.1,100\n{row}\n")
    assert message in refused("model=rnn", "published=own.csv")


def test_a_published_table_that_is_none_is_one_line(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own.csv").write_text("dataset,model\narfima,rnn\n")
    assert "lacks the column K, metric, mean, sd, n" in refused("published=own.csv")
    (tmp_path / "own.csv").write_bytes(os.urandom(500))
    assert "own.csv" in refused("published=own.csv")


def test_a_gpu_that_is_not_there_is_told_before_anything_is_written(refused) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("numba")
    from numba import cuda

    if cuda.is_available():
        pytest.skip("there is a GPU")
    assert "finds no NVIDIA GPU" in refused("engine=cuda")
    assert "finds no NVIDIA GPU" in refused("engine=cuda", "search=random")


def test_an_engine_that_does_not_cover_the_cell_is_told_before_anything_is_written(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    step = 'def step(self, p, s, x):\n        return {"h": torch.lgamma(p.W_ih @ x.now + p.W_hh @ s.h)}'
    (tmp_path / "erf_cell.py").write_text(f"import torch\nfrom ltm.cells.rnn import RNN\nclass Erf(RNN):\n    {step}\n")
    assert "engine=cpu does not cover Erf" in refused("engine=cpu", "model=rnn", "model.cell=erf_cell:Erf")


def test_a_sweep_with_nothing_to_train_needs_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "connect", lambda *given: pytest.fail("Ray was started"))
    monkeypatch.setattr(study, "lacking", lambda runs, ledger: [])
    assert sweep.main(["compute=cluster", "study=done", "tracking=off"]) == 0
    assert Ledger(tmp_path / "results" / "done").text("config.yaml")
