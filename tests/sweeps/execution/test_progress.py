"""What a sweep says of itself while it runs."""

import io

import pytest
from rich.console import Console

from sweeps import config, plan
from sweeps.execution import progress
from sweeps.execution.progress import Progress


def test_progress_goes_by_effort_and_survives_a_pack_that_is_split() -> None:
    whole = plan.make(config.compose(["grid.model=[rnn,mlstm]", "seeds=16", "training.max_epochs=10"]))
    short, long = plan.cut(whole.runs, 2)
    progress = Progress(Console(file=io.StringIO()), {pack.id: pack for pack in (short, long)})
    assert progress.fraction == 0
    progress.update(short.id, 160, done=True)
    assert progress.fraction == pytest.approx(short.effort / (short.effort + long.effort))
    progress.update(long.id, 40)
    assert progress.fraction == pytest.approx((short.effort + long.effort / 4) / (short.effort + long.effort))
    progress.update(long.id, 0, failed=True)
    parts = [plan.Pack(long.runs[:8]), plan.Pack(long.runs[8:])]
    progress.split(long.id, {part.id: part for part in parts})
    assert progress.fraction == pytest.approx(short.effort / (short.effort + long.effort))
    for part in parts:
        progress.update(part.id, 80, done=True)
    assert progress.fraction == 1
    assert progress.line().startswith("packs 3/3 | seed runs 32/32 |")


def test_time_left_is_told_once_it_is_known_and_without_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    packs = plan.cut(plan.make(config.compose(["model=rnn", "seeds=64", "training.max_epochs=1000"])).runs, 4)
    shown = Progress(Console(file=io.StringIO()), {pack.id: pack for pack in packs}, started=now)
    assert shown.line().endswith("0:00 elapsed, unknown left")
    now = 130.0  # Ray and the kernels have started, and 10 of 1,000 epochs are done
    shown.update(packs[0].id, 16 * 10)
    assert shown.line().endswith("0:30 elapsed, unknown left")
    now = 134.0  # some seconds are too few
    shown.update(packs[0].id, 16 * 200)
    assert shown.line().endswith("unknown left")
    now = 140.0  # 490 epochs of one pack of four in 10 seconds
    shown.update(packs[0].id, 16 * 500)
    assert shown.line().endswith("784 seed-epochs/s | 0:40 elapsed, 1:11 left")
    for pack in packs:
        shown.update(pack.id, 16 * 1000, done=True)
    assert shown.line().endswith("0:40 elapsed, 0:00 left")


def test_time_left_of_a_slow_sweep_is_unknown_for_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    (pack,) = plan.cut(plan.make(config.compose(["model=rnn", "seeds=1", "training.max_epochs=100000"])).runs, 1)
    shown = Progress(Console(file=io.StringIO()), {pack.id: pack}, started=now)
    now = 20.0
    shown.update(pack.id, 1)
    now = 50.0
    shown.update(pack.id, 31)
    assert shown.line().endswith("unknown left")
    now = 80.0
    shown.update(pack.id, 61)
    assert shown.line().endswith("27:45:39 left")


def test_why_a_cell_is_slow_is_said_once_though_every_pack_measures_it_anew() -> None:
    shown = io.StringIO()
    progress = Progress(Console(file=shown, width=200), {})
    for text in ("", "MyCell: an operation; about 0.12 s an epoch", "MyCell: an operation; about 0.13 s an epoch"):
        progress.note("mine:MyCell", text)
    progress.note("mine:Other", "Other: an operation; about 0.12 s an epoch")
    assert [line.split(": ")[1] for line in shown.getvalue().splitlines()] == ["MyCell", "Other"]
