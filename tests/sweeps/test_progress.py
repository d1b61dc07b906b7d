"""What a sweep says of itself while it runs."""

import io

import pytest
from rich.console import Console

from sweeps import config, plan
from sweeps.progress import Progress


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
