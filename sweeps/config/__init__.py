"""From the command line to a validated study: Hydra composes ``conf/``, and what it lets through is checked once more."""

from sweeps.config.composed import GROUPS, Composed, compose, conf_dir, options
from sweeps.config.schema import ComputeConfig, SearchConfig, StudyConfig, TrackingConfig, TrainingConfig, parse_seeds

__all__ = [
    "GROUPS", "Composed", "ComputeConfig", "SearchConfig", "StudyConfig", "TrackingConfig", "TrainingConfig", "compose", "conf_dir", "options",
    "parse_seeds",
]  # fmt: skip
