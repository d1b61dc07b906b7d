"""The forecasting claims of Zhao et al. (2020), *Do RNN and LSTM have Long Memory?*, as data: text, source, and the rule that judges each."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.studies.zhao2020 import errors, memory
from analysis.studies.zhao2020.evidence import Evidence, Judge, Lacking
from analysis.studies.zhao2020.pairs import (
    BETTER_THAN_LSTM,
    BETTER_THAN_RNN,
    GATED,
    GATED_AND_RNN,
    LSTM_AND_RNN,
    RECURRENT,
    pairs,
)

__all__ = ["CLAIMS", "Claim", "Evidence", "claims", "pairs"]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with its verdict: upheld, upheld in part, not upheld, or why it was not tested; ``figure`` says so."""

    number: str
    text: str
    source: str
    verdict: str
    figure: str


CLAIMS: tuple[tuple[str, str, str, Judge], ...] = (
    ("1", "MRNN and MRNNF forecast better than the RNN", "abstract; slides, p. 26", errors.better(BETTER_THAN_RNN)),
    ("2", "MRNN and MRNNF forecast better than the LSTM", "abstract; slides, p. 26", errors.better(BETTER_THAN_LSTM)),
    ("3", "On every series MRNN or MRNNF is the best of the nine models", "Table 2, bold", errors.best_of_nine),
    ("4", "The LSTM forecasts better than the RNN", "reading notes; Table 2 (3 of 4)", errors.better(LSTM_AND_RNN)),
    ("5", "MLSTM and MLSTMF forecast better than the RNN", "reading notes", errors.better(GATED_AND_RNN)),
    ("6", "MLSTM(F) have no advantage over the LSTM in forecasting", "reading notes", errors.no_advantage),
    ("7", "A fractional filter is better than K free weights (RNN2)", "Table 2", errors.filter_or_free),
    ("8", "A d that varies in time is no worse than a constant one", "Table 2", errors.constant_d),
    (
        "9",
        "On a series with short memory the other models are no worse than the RNN",
        "slides, p. 27; reading notes",
        errors.no_worse_without_memory,
    ),
    (
        "10",
        "For MRNN(F) a longer filter is better; K = 100 is recommended",
        "slides, p. 27; reading notes",
        errors.trend_over(RECURRENT, 1),
    ),
    ("11", "For MLSTM(F) a shorter filter is better; K = 25 is recommended", "slides, p. 27; reading notes", errors.trend_over(GATED, -1)),
    ("12", "The four series have long memory, the synthetic one has not", "slides, pp. 9, 24", memory.series_memory),
    ("13a", "RNN and LSTM do not have long memory (Definition 3)", "abstract; slides, pp. 4, 12", memory.no_long_memory),
    ("13b", "MRNN(F) and MLSTM(F) have long memory (Definition 3)", "abstract; slides, pp. 14, 15", memory.long_memory),
    ("14", "MRNN(F) leave less memory in the residuals than RNN and LSTM", "slides, p. 2; abstract", memory.residual_memory),
    ("15", "Check of the reproduction: the means of Table 2 are met", "Table 2", errors.reproduced),
    ("16", "Not the paper's: a network is worth it against a forecast without one", "none", errors.worth_it),
)


def claims(evidence: Evidence) -> list[Claim]:
    """Every claim with its verdict."""
    found = []
    for number, text, source, judge in CLAIMS:
        try:
            verdict, figure = judge(evidence)
        except Lacking as lacking:
            names, more = lacking.names[:2], len(lacking.names) - 2
            verdict, figure = f"not tested: lacks {', '.join(names)}{f' and {more} more' if more > 0 else ''}", ""
        found.append(Claim(number, text, source, verdict, figure))
    return found
