"""What the claims of Zhao et al. (2020) are about: series, models, and the pairs of conditions that are compared for them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from analysis import literature
from analysis.studies.compare import Pair
from analysis.study import Condition, Study

SERIES = ("arfima_paper", "dji", "traffic", "tree")
"""With long memory."""

SHORT = "random_rnn"
"""The series without."""

K, SHORT_K = 100, 25
"""Filter length of the paper's tables, and the one that it recommends for MLSTM(F)."""

FILTERED = ("rnn2", "mrnnf", "mrnn", "mlstmf", "mlstm")
MODELS = ("rnn", "rnn2", "rwa", "mist", "mrnnf", "mrnn", "lstm", "mlstmf", "mlstm")
RECURRENT, GATED = ("mrnn", "mrnnf"), ("mlstm", "mlstmf")
RIVALS = tuple(model for model in MODELS if model not in RECURRENT)

TABLE2 = "zhao2020_table2"

Ask = tuple[str, str, str]
"""One condition against another on a series: ``("mrnn", "rnn2 K=25", "dji")``. A cell with a filter has K = 100 where none is given."""


def on(series: Iterable[str], *pairs: tuple[str, str]) -> list[Ask]:
    return [(a, b, dataset) for dataset in series for a, b in pairs]


def each(models: Iterable[str], other: str) -> list[tuple[str, str]]:
    return [(model, other) for model in models]


BETTER_THAN_RNN = on(SERIES, *each(RECURRENT, "rnn"))
BETTER_THAN_LSTM = on(SERIES, *each(RECURRENT, "lstm"))
LSTM_AND_RNN = on(SERIES, ("lstm", "rnn"))
GATED_AND_RNN = on(SERIES, *each(GATED, "rnn"))
LSTM_AND_GATED = on(SERIES, ("lstm", "mlstm"), ("lstm", "mlstmf"))
LSTM_AND_SHORT = on(SERIES, ("lstm", "mlstm K=25"), ("lstm", "mlstmf K=25"))
FREE = on(SERIES, *each(RECURRENT, "rnn2"))
FREE_SHORT = on(SERIES, *each(RECURRENT, "rnn2 K=25"))
CONSTANT = on(SERIES, RECURRENT)
CONSTANT_GATED = on(SERIES, GATED)
NO_MEMORY = on((SHORT,), *each([model for model in MODELS if model != "rnn"], "rnn"))


@cache
def bold() -> dict[str, str]:
    """The model with the smallest published mean of each series (bold in Table 2)."""
    table = literature.read(TABLE2)
    best = table.sort_values("mean", kind="stable").drop_duplicates("dataset")
    return dict(zip(best["dataset"].astype(str), best["model"].astype(str), strict=True))


def best_asks() -> list[Ask]:
    return [(bold()[dataset], rival, dataset) for dataset in SERIES for rival in RIVALS]


def asks() -> list[Ask]:
    """All comparisons that the claims need, each once."""
    lists = (
        BETTER_THAN_RNN, BETTER_THAN_LSTM, best_asks(), LSTM_AND_RNN, GATED_AND_RNN, LSTM_AND_GATED, LSTM_AND_SHORT, FREE, FREE_SHORT, CONSTANT,
        CONSTANT_GATED, NO_MEMORY,
    )  # fmt: skip
    return list(dict.fromkeys(ask for some in lists for ask in some))


def named(spec: str) -> str:
    """``mrnn K=100`` of ``mrnn``."""
    return f"{spec} K={K}" if spec in FILTERED else spec


def find(study: Study, spec: str, dataset: str) -> Condition | None:
    """The condition of a model (``mrnn``, ``mrnn K=25``) on a series; the first of them where something else was varied, too."""
    model, _, length = named(spec).partition(" K=")
    wanted = int(length) if length else None
    return next((one for one in study.series.get(dataset, ()) if one.model == model and wanted == one.K), None)


def pairs(study: Study) -> list[Pair]:
    """The comparisons of the claims that this study can make: family one of its report, beside trends, lengths and shares."""
    found = [(find(study, a, dataset), find(study, b, dataset)) for a, b, dataset in asks()]
    return [(a, b) for a, b in found if a is not None and b is not None]


def of_paper(study: Study, *lengths: int) -> Study:
    """The conditions without a filter, and those whose K is one of these."""
    return study.only(one.label for one in study if one.model in MODELS and (one.K is None or one.K in lengths))
