"""Evidence that may be read after every pack of seeds, and the seeds that are to be trained next in view of it."""

from analysis.statistics.sequential.allocation import Budget, Evidence, Question, Standing, ask, stand
from analysis.statistics.sequential.bets import BETS, PACK, Bets, Reading, anytime, directed, mixture, multipliers, packs, wins

__all__ = [
    "BETS", "PACK", "Bets", "Budget", "Evidence", "Question", "Reading", "Standing", "anytime", "ask", "directed", "mixture", "multipliers", "packs", "stand",
    "wins",
]  # fmt: skip
