"""What the machine gives."""

import os
import subprocess
import sys

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


SMALL_PAGES = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}


def test_memory_that_was_freed_is_taken_again_without_the_system() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", TAKES, how], capture_output=True, text=True, check=True, env=SMALL_PAGES).stdout)
        for how in ("reuse", "not")
    }
    assert faults["reuse"] < faults["not"] / 10
