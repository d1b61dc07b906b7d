"""Studies as SLURM jobs: the script, refusals in one line, and on a real SLURM jobs that are requeued and hit their time limit."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import ltm
from benchmarks.faults import content
from ltm.errors import UserError
from sweeps.config.schema import seconds_of
from sweeps.execution.slurm import jobs, script
from sweeps.store.ledger import Ledger
from tests import waiting, warm
from tests.conftest import Run

SMALL = ("model=rnn", "dataset.length=301", "dataset.train=150", "dataset.validation=75", "tracking=off", "baselines=none")
QUICK = (*SMALL, "seeds=4", "training.max_epochs=20", "study=one")

TOOL = """#!/bin/sh
cat >/dev/null
echo "$0 $*" >>"${0%/*}/calls"
"""
SAYS = {
    "sbatch": 'case "$*" in *--parsable*) echo $((40 + $(grep -c parsable "${0%/*}/calls")));; esac',
    "sinfo": "printf 'main\\ndebug\\n'",
    "squeue": "printf '42|RUNNING|0:12|2:00:00|4|n[1-4]|0\\n43|FAILED|0:45|1:00|2|(NonZeroExitCode)|33280\\n'",
    "sacct": "printf '41|COMPLETED|00:00:10|00:01:00|1|n1|0:0\\n44|FAILED|00:01:00|00:01:00|1|n1|2:0\\n'",
}
"""What stand-ins of SLURM's commands print, for what needs no SLURM."""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of stand-ins for SLURM's commands; ``calls`` in it lists how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, says in SAYS.items():
        tool(folder / name, says)
    return folder


def tool(path: Path, says: str) -> None:
    path.write_text(TOOL + says + "\n")
    path.chmod(0o755)


def path_with(folder: Path) -> str:
    return f"{folder}:{os.environ['PATH']}"


def test_a_study_becomes_jobs_one_after_another_and_status_tells_their_state(run: Run, tools: Path, tmp_path: Path) -> None:
    given = ("compute=slurm", "compute.nodes=4", "compute.time=2:00:00", "compute.partition=main", "compute.chain=4", "compute.memory=2")
    done = run("ltm.sweep", *QUICK, *given, PATH=path_with(tools), WANDB_API_KEY="secret-half")
    assert "4 to train, in 4 jobs of 4 nodes and at most 2:00:00, one after another: 41, 42, 43, 44" in done.stdout
    assert "end:    scancel 41 42 43 44" in done.stdout
    study = tmp_path / "results" / "one"
    text = (study / "slurm" / "job.sh").read_text()
    for line in ("--nodes=4", "--time=2:00:00", "--partition=main", "--signal=B:USR1@120", "--exclusive --mem=0", f"--chdir={tmp_path}"):
        assert f"\n#SBATCH {line}\n" in text
    assert f"python -m ltm sweep {' '.join(QUICK)} compute.memory=2 compute=cluster)\n" in text
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "secret-half" in path.read_text(errors="ignore")] == []
    said = run("sweeps", "status", "results/one", PATH=path_with(tools)).stdout
    assert "missing           4" in said
    assert "job 41: completed, 00:00:10 of 00:01:00, 1 node n1\n" in said
    assert "job 42: running, 0:12 of 2:00:00, 4 nodes n[1-4]\n" in said
    assert "job 43: failed, told to end before its time limit, 0:45 of 1:00, 2 nodes\n" in said
    assert "job 44: failed, exit status 2, 00:01:00 of 00:01:00, 1 node n1\n" in said
    assert "job 41: unknown to SLURM here; submitted 20" in run("sweeps", "status", "results/one", PATH="/nowhere").stdout


def test_a_job_that_is_only_printed_is_the_script_that_would_be_submitted(run: Run, tmp_path: Path) -> None:
    done = run("ltm.sweep", *QUICK, "compute=slurm", "compute.cpus=8", "compute.submit=false", PATH="/nowhere")
    assert done.stdout == (tmp_path / "results" / "one" / "slurm" / "job.sh").read_text()
    assert "--partition" not in done.stdout
    assert "#SBATCH --cpus-per-task=8\n" in done.stdout
    assert f"python -m ltm sweep {' '.join(QUICK)} compute.cpus=8 compute=local)\n" in done.stdout
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0


def test_names_with_spaces_and_quotes_reach_sbatch_and_bash_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = script.of("it's 100%", Ledger(tmp_path / "it's 100%"), ["study=it's 100%", "model=a b"], jobs.ComputeConfig())
    assert "#SBATCH --job-name=ltm-it_s_100_\n" in text
    assert "/it'\"'\"'s 100%%/slurm/%j.log'\n" in text
    line = next(line for line in text.splitlines() if line.startswith("sweep="))
    words = subprocess.run(["bash", "-c", f"{line}\nprintf '%s\\n' \"${{sweep[@]}}\""], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines()[4:] == ["python", "-m", "ltm", "sweep", "study=it's 100%", "model=a b", "compute=local"]


def test_a_template_of_ones_own_is_filled(tmp_path: Path) -> None:
    mine = tmp_path / "mine.sh"
    mine.write_text("#SBATCH --account=abc --nodes={{nodes}}\n#SBATCH -p {{partition}}\nmodule load python\n${PATH} {{command}}\n")
    text = script.of("one", Ledger(tmp_path), ["seeds=2"], jobs.ComputeConfig(template=str(mine), nodes=2))
    assert text == "#SBATCH --account=abc --nodes=2\nmodule load python\n${PATH} python -m ltm sweep seeds=2 compute=cluster\n"
    mine.write_text("{{command}} {{modules}}\n")
    with pytest.raises(UserError, match=r"^unknown placeholder of compute.template: 'modules'. .*There are: .*command"):
        script.of("one", Ledger(tmp_path), [], jobs.ComputeConfig(template=str(mine)))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("30", 1800), ("30:15", 1815), ("2:00:00", 7200), ("1-12", 129600), ("1-12:30", 131400), ("1-00:00:01", 86401)],
)
def test_times_are_read_as_slurm_reads_them(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["compute.nodes=0"], "compute.nodes is 0; expected a whole number of at least 1."),
        (["compute.chain=0"], "compute.chain is 0; expected a whole number of at least 1."),
        (["compute.time=soon"], "compute.time is 'soon'; expected a time limit such as 30 (minutes), 2:00:00 or 1-12:00:00."),
        (["compute.time=0:00:00"], "compute.time is '0:00:00'"),
        (["compute.time=0:20"], "compute.time=0:20 fits no pack: of 1 job 0:00 are left to train, beside 0:25 each to start and to end, and one seed"),
        (
            ["model=lstm", "model.hidden_size=200", "training.max_epochs=10000000", "compute.chain=2"],
            "compute.time=1:00:00 fits no pack: of 2 jobs 1:55:20 are left to train, beside 2:20 each to start and to end, and one seed run of 'lstm /",
        ),
        (["compute.partition=nope"], "unknown partition: compute.partition 'nope'. There are: debug, main."),
        (["compute.partition=full"], "SLURM refuses the job (Requested node configuration is not available); change compute.time, nodes,"),
        (["compute.template=nowhere.sh"], "compute.template=nowhere.sh cannot be read (FileNotFoundError"),
        (["compute.template=/dev/null"], "compute.template=/dev/null has no {{command}}, so that its job would train nothing"),
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_is_one_line_and_nothing_written(
    run: Run, tools: Path, tmp_path: Path, given: list[str], message: str
) -> None:
    refusal = "sbatch: error: more\nsbatch: error: Batch job submission failed: Requested node configuration is not available"
    tool(tools / "sbatch", f"echo '{refusal}' >&2; exit 1")
    if "compute.partition=full" in given:
        tool(tools / "sinfo", "exit 1")
    done = run("ltm.sweep", *QUICK, "compute=slurm", *given, status=2, PATH=path_with(tools))
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_machine_without_slurm_is_one_line_and_nothing_written(run: Run, tmp_path: Path) -> None:
    done = run("ltm.sweep", *QUICK, "compute=slurm", status=2, PATH="/nowhere")
    assert done.stderr.startswith("error: there is no SLURM on this machine (no sbatch); run the command on a login node,")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_python_says_that_a_job_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="compute=slurm submits a job and does not wait for it"):
        ltm.run(*QUICK, "compute=slurm")


def test_a_finished_study_is_not_submitted(run: Run, tools: Path, tmp_path: Path) -> None:
    run("ltm.sweep", *QUICK)
    done = run("ltm.sweep", *QUICK, "compute=slurm", PATH=path_with(tools))
    assert "study one: all seed runs are finished, and no job is submitted" in done.stdout
    assert not (tools / "calls").exists()


UNSHARE = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
NEEDED = ("slurmctld", "slurmd", "sbatch", "munged", "unshare", "nsenter", "ip", "hostname")

Command = Callable[..., str]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Run a command in a folder beside a SLURM of two nodes; skips where there is none, or none may be started. It ends with the test, all of it."""
    where = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [name for name in NEEDED if not shutil.which(name, path=where)]:
        pytest.skip(f"no SLURM here: {', '.join(missing)} not found (apt-get install slurm-wlm munge)")
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a SLURM of two nodes wants namespaces of its own, and this user may not make them (unshare)")
    folder = tmp_path_factory.mktemp("slurm")
    with (folder / "out").open("w") as out:
        outer = subprocess.Popen(
            [*UNSHARE, "bash", str(Path(__file__).with_name("cluster.sh")), str(folder)], stdout=out, stderr=out, text=True
        )
    try:
        try:
            waiting.until((folder / "ready").exists, outer, pause=0.2)
        except AssertionError:
            pytest.skip(f"a SLURM of two nodes does not start here: {(folder / 'out').read_text().strip()[-300:]}")
        (inner,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        enter = ("nsenter", "--net", "--mount", "--uts", "--pid", "--target", inner, "env")
        bin = Path(sys.executable).parent

        def command(*words: str, cwd: Path, **environment: str) -> str:
            known = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{bin}:{where}"} | environment
            done = subprocess.run(
                [*enter, f"--chdir={cwd}", *words], env=known, capture_output=True, text=True, timeout=waiting.LONG, check=False
            )
            assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        yield command
    finally:
        outer.kill()
        outer.wait()


@dataclass(frozen=True)
class Job:
    """A study in a folder, submitted with the cell that waits for a file (``WAITING``), and its jobs by their ids."""

    slurm: Command
    folder: Path
    said: str

    @property
    def book(self) -> Ledger:
        return Ledger(self.folder / "results" / "one")

    @property
    def ids(self) -> list[str]:
        return sorted((Path(path).stem for path in self.book.files("slurm", "json")), key=int)

    def state(self, job: str, field: str = "%T") -> str:
        return self.slurm("squeue", "--noheader", "--states=all", f"--jobs={job}", f"--format={field}", cwd=self.folder).strip()

    def control(self, *words: str) -> None:
        self.slurm("scontrol", *words, cwd=self.folder)

    def log(self, job: str = "*") -> str:
        return "\n".join(path.read_text() for path in sorted((self.folder / "results" / "one" / "slurm").glob(f"{job}.log")))

    def until(self, condition: Callable[[], bool]) -> None:
        waiting.until(condition, told=self.log, pause=0.2)

    def go(self) -> None:
        (self.folder / "go").touch()

    def ends_like(self, alone: Ledger) -> None:
        """That the last job completes, and the ledger is that of the study left alone, bit for bit."""
        self.go()
        self.until(lambda: self.state(self.ids[-1]) == "COMPLETED")
        pd.testing.assert_frame_equal(content(self.book), content(alone), check_exact=True)
        assert len(self.book.done()) == 40


WAITING = """import pathlib, time
from ltm.cells.rnn import RNN
class Slow(RNN):
    def initial(self, draws):
        end = time.time() + 8
        while draws.seed >= 4 and time.time() < end and not pathlib.Path({go!r}).exists():
            time.sleep(0.1)
        return super().initial(draws)
"""
"""A cell whose seed runs wait until a file is there: so a job ends in the middle on a machine of any speed."""


STUDY = (*SMALL, "model.cell=own:Slow", "seeds=40", "training.max_epochs=100", "compute.pack_size=2")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """The ledger of the study in one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "own.py").write_text(WAITING.format(go="/"))
    done = warm.run(("ltm.sweep", *STUDY, "study=alone", "compute.ray=never"), folder, os.environ)
    assert done.returncode == 0, done.stderr
    return Ledger(folder / "results" / "alone")


@pytest.fixture
def submitted(slurm: Command, tmp_path: Path) -> Callable[..., Job]:
    """Submit the same study as jobs."""

    def call(*given: str) -> Job:
        (tmp_path / "own.py").write_text(WAITING.format(go=str(tmp_path / "go")))
        words = ("python", "-m", "ltm", "sweep", *STUDY, "study=one", "compute=slurm", "compute.partition=main", *given)
        return Job(slurm, tmp_path, slurm(*words, cwd=tmp_path, WANDB_API_KEY="secret-half"))

    return call


@pytest.mark.long
def test_the_next_job_goes_on_where_the_time_limit_ended_one_of_two_nodes(
    submitted: Callable[..., Job], slurm: Command, alone: Ledger, tmp_path: Path
) -> None:
    job = submitted("compute.nodes=2", "compute.time=1:00:00", "compute.chain=2")
    first, second = job.ids
    assert f"in 2 jobs of 2 nodes and at most 1:00:00, one after another: {first}, {second}" in job.said
    job.until(lambda: bool(job.book.files("runs")))
    minutes = int(job.state(first, "%M").partition(":")[0])
    job.control("update", f"JobId={first}", f"TimeLimit={minutes + 3}")  # it is told two minutes before; SLURM looks every half
    assert job.state(second) == "PENDING", "it waits for the one before"
    job.until(lambda: job.state(first) not in ("RUNNING", "COMPLETING"))
    assert "the job must end: the sweep is told" in job.log(first)
    assert "go on with the same command" in job.log(first)
    assert f"job {first}: failed, told to end before its time limit" in slurm(
        "python", "-m", "sweeps", "status", "results/one", cwd=tmp_path
    )
    assert 0 < len(job.book.done()) < 40
    job.ends_like(alone)
    assert " finished before, " in job.log(second)
    assert [path for path in (tmp_path / "results" / "one").rglob("*") if path.is_file() and b"secret-half" in path.read_bytes()] == []


@pytest.mark.long
def test_a_job_of_one_node_that_is_put_back_into_the_queue_goes_on(submitted: Callable[..., Job], alone: Ledger) -> None:
    job = submitted("compute.time=1:00:00", "compute.ray=never")
    (only,) = job.ids
    job.until(lambda: bool(job.book.files("runs")))
    job.control("requeue", only)
    job.until(lambda: job.state(only) == "PENDING")
    assert 0 < len(job.book.done()) < 40
    job.control("update", f"JobId={only}", "StartTime=now")
    job.ends_like(alone)
    assert "; 0 finished before, 40 to train in this process" in job.log(only)
    assert re.search(r"; [1-9]\d* finished before", job.log(only))
