"""The public surface and the command ``ltm``: light to import, one line for every mistake, and never hidden by what lies in the user's folder."""

import subprocess
import sys
from pathlib import Path

import pytest

import ltm
from ltm import __main__ as command
from ltm import door, sweep
from ltm.errors import UnfinishedError, UserError
from sweeps import study
from sweeps.store.ledger import Ledger
from sweeps.study import Outcome
from tests import waiting

CELL = """
from dataclasses import dataclass
import torch
from ltm import Cell, State, bias, linear

@dataclass(frozen=True)
class MyCell(Cell):
    gain: float = 1.0

    def parameters(self):
        H, I = self.hidden_size, self.input_size
        return {"W": linear(2 * H, I + 2 * H), "b": bias(2 * H, I + 2 * H)}

    def state(self):
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p, s, x):
        f, g = torch.chunk(p.W @ torch.cat([x.now, s.h, s.c]) + p.b, 2)
        c = torch.sigmoid(f) * s.c + self.gain * torch.tanh(g)
        return {"h": torch.tanh(c), "c": c}
"""

CONSOLE = "import sys\nfrom ltm.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
"""What pip writes for an entry of ``[project.scripts]``."""


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=waiting.LONG, check=False)


@pytest.mark.parametrize("code", ["", "main(['--help'])", "main(['sweep', '--help'])", "main(['sweep', '--info'])", "main(['swep'])"])
def test_what_is_light_imports_neither_torch_nor_pandas_nor_ray(code: str) -> None:
    done = python(
        "-c", f"import sys, ltm\nfrom ltm.__main__ import main\n{code}\nassert not {{'torch', 'pandas', 'ray'}} & sys.modules.keys()"
    )
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_those_of_their_modules() -> None:
    from ltm import Cell, Parameter, State, bias, filters, linear, run
    from ltm.cells import base

    assert (Cell, Parameter, State, bias, linear) == (base.Cell, base.Parameter, base.State, base.bias, base.linear)
    assert filters.__name__ == "ltm.filters"
    assert run is sweep.run
    assert set(ltm.__all__) <= set(dir(ltm))
    with pytest.raises(AttributeError, match="no attribute 'Cel'"):
        _ = ltm.Cel


@pytest.mark.parametrize("name", [name for name in command.COMMANDS if name != "sweep"])
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):  # as argparse ends
        sys.exit(command.main([name, "--help"]))
    assert name in capsys.readouterr().out


def test_a_command_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["swep"]) == 2
    assert "unknown command 'swep'. Did you mean 'sweep'?" in capsys.readouterr().err
    assert command.main(["model=lstm"]) == 2
    assert "write ltm sweep model=lstm" in capsys.readouterr().err


def test_export_to_a_file_is_that_of_the_seed_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for to, said in (("all.csv", "holds no study"), ("figures", "has no finished seed run")):
        assert command.main(["export", str(tmp_path), "--to", to]) == 2
        assert said in capsys.readouterr().err


def test_modules_of_the_users_folder_hide_nothing_from_the_command(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ltm").write_text(CONSOLE)
    user = tmp_path / "user"
    (user / "sweeps").mkdir(parents=True)
    (user / "sweeps" / "__init__.py").write_text("")
    (user / "analysis.py").write_text("raise RuntimeError\n")
    (user / "mycell.py").write_text(CELL)
    for program in ([str(tmp_path / "bin" / "ltm")], ["-m", "ltm"]):
        done = python(*program, "sweep", "--cfg", "model=mycell:MyCell", "model.gain=1,2", cwd=user)
        assert done.stdout.endswith("#   mycell gain=1.0 / arfima\n#   mycell gain=2.0 / arfima\n"), done.stderr
    assert "UserError" in python("-c", "import ltm; ltm.run('model=rnn')", cwd=user).stderr
    done = python("-m", "ltm.sweep", "--cfg", cwd=user)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {user}/sweeps/__init__.py hides ltm's own package 'sweeps'; use the command ltm")
    assert len(done.stderr.splitlines()) == 1


def test_workers_are_started_where_nothing_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with door.workers_too():
        assert Path.cwd() == tmp_path
    (tmp_path / "analysis.py").write_text("")
    with door.workers_too():
        assert str(Path.cwd()) == door.home()
    assert Path.cwd() == tmp_path


SMALL = (
    "dataset.length=301",
    "dataset.train=150",
    "dataset.validation=75",
    "seeds=3",
    "training.max_epochs=3",
    "tracking=off",
    "study=own",
)


@pytest.mark.long
def test_rays_workers_find_an_own_cell_where_the_folder_hides_packages_and_modules(run_process, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mycell.py").write_text(CELL)
    (tmp_path / "sweeps").mkdir()
    for hiding in ("sweeps/__init__.py", "analysis.py", "queue.py"):
        (tmp_path / hiding).write_text("raise RuntimeError('hidden')")
    run_process("ltm", "sweep", "model=mycell:MyCell", "compute.ray=always", *SMALL, cwd=tmp_path, PYTHONSAFEPATH="1")
    assert len(Ledger(tmp_path / "results" / "own").runs()) == 3


def test_an_own_cell_is_swept_edited_and_swept_again_in_one_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mycell.py").write_text(CELL)
    line = ("ltm", "sweep", "model=lstm,mycell:MyCell", *SMALL)
    ledger = Ledger(tmp_path / "results" / "own")
    assert "0 finished before, 6 to train" in run(*line).stdout
    first = ledger.runs()
    assert first.groupby("model").size().to_dict() == {"lstm": 3, "mycell": 3}
    (tmp_path / "mycell.py").write_text(CELL.replace("sigmoid(f)", "sigmoid(2 * f)"))
    (tmp_path / "notebook.py").write_text(
        "import ltm\nfor _ in range(2):\n"
        f"    ledger = ltm.run('model=lstm,mycell:MyCell', *{SMALL})\n    print('rows', len(ledger.runs()), ledger.uri)\n"
    )
    printed = run("notebook").stdout
    assert "3 finished before, 3 to train" in printed
    assert "the step of MyCell has changed: 3 seed runs to train; 3 of its former step are kept and not used" in printed
    assert "6 finished before, 0 to train" in printed
    assert printed.count(f"rows 6 {ledger.uri}") == 2
    assert "6 finished before, 0 to train" in run(*line).stdout
    assert set(ledger.runs()["run_id"]) & set(first["run_id"]) == set(first[first["model"] == "lstm"]["run_id"])


def test_run_raises_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="unknown model 'lst'"):
        ltm.run("model=lst")
    assert not list(tmp_path.iterdir())
    outcomes = iter((Outcome.DONE, Outcome.FAILED, Outcome.STOPPED, Outcome.INTERRUPTED))
    monkeypatch.setattr(study, "run", lambda *given: next(outcomes))
    assert ltm.run("model=lstm", "study=one").uri == str(tmp_path / "results" / "one")
    for _ in (Outcome.FAILED, Outcome.STOPPED):
        with pytest.raises(UnfinishedError, match="results/one keeps what is finished") as error:
            ltm.run("model=lstm", "study=one")
        assert error.value.ledger.uri.endswith("one")
    with pytest.raises(KeyboardInterrupt):
        ltm.run("model=lstm")
