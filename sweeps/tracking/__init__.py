"""W&B: a process beside the training follows the study."""
