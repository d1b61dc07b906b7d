"""From the ledger to verdicts: summaries, comparisons, filter length, seeds, memory, plots, report. Never imports ray or torch at import time."""

from analysis.compare import against_baselines, best_set, compare, improvement_matrix, published, ranks
from analysis.filter_length import by_filter_length, interaction, recommend
from analysis.power import confidence_sequence, seeds_needed, smallest_difference
from analysis.sample import judged
from analysis.summary import bca, best_of, iqm, mean_interval, median_interval, summarise
from analysis.two_samples import Outcome, brunner_munzel, mann_whitney, permutation, welch

__all__ = [
    "Outcome", "against_baselines", "bca", "best_of", "best_set", "brunner_munzel", "by_filter_length", "compare", "confidence_sequence",
    "improvement_matrix", "interaction", "iqm", "judged", "mann_whitney", "mean_interval", "median_interval", "permutation", "published",
    "ranks", "recommend", "seeds_needed", "smallest_difference", "summarise", "welch",
]  # fmt: skip
