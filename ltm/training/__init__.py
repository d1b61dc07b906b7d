"""The packed training loop: a pack of seed runs in, a table of results out."""

from ltm.training.metrics import errors
from ltm.training.pack import Lane, Training

__all__ = ["Lane", "Training", "errors"]
