"""Fused against torch engine on sequences in batches, over the whole product of tests/ltm/engine/test_batches.py (a hundred thousand kernels, weeks).

``python -m tests.manual.every_batch LOG [--seconds 3600] [--only TEXT] [--seed 0]`` takes cases in the random order of the seed and writes a line
a case to LOG, and a summary last. Cases that LOG has as good are not run again, so that a run may be cut off at any time and go on later.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from random import Random

from tests.ltm.engine.test_batches import AXES, Case, agree
from tests.manual.every_size import options, run


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the cases")
    chosen: argparse.Namespace = parser.parse_args()
    cases = [case for case in (Case(*values) for values in itertools.product(*AXES)) if chosen.only in case.name]  # type: ignore[arg-type]
    Random(chosen.seed).shuffle(cases)
    return run(cases, agree, chosen)


if __name__ == "__main__":
    sys.exit(main())
