"""What the machine gives."""

import resource
import subprocess
import sys

from ltm import machine

TAKES = """
import resource, sys
import numpy as np
from ltm import machine
if sys.argv[1] == "reuse":
    machine.reuse_memory()
np.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_was_freed_is_taken_again_without_the_system() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", TAKES, how], capture_output=True, text=True, check=True).stdout)
        for how in ("reuse", "not")
    }
    assert faults["reuse"] < faults["not"] / 10


def test_memory_available_is_more_than_this_process_takes() -> None:
    assert machine.memory_available() > 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 100
