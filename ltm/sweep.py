"""``python -m ltm.sweep``: a whole study. The thin top: Hydra in, :mod:`sweeps` does the work."""

from __future__ import annotations

import gc
import shlex
import sys
from dataclasses import asdict

import yaml

from ltm.errors import UserError
from sweeps import config, launch, progress
from sweeps.plan import make

USAGE = """python -m ltm.sweep +experiment=NAME [study=NAME] [root=DIR] [seeds=N|A-B] [any Hydra override]

Trains every seed run of a study that its folder ROOT/STUDY lacks, then writes the report.
The same command again is the resume; a larger number of seeds trains the difference.

  --help   this text
  --cfg    print the composed config and the conditions, and stop

experiments   {experiment}
models        {model}
datasets      {dataset}
tracking      {tracking} (W&B)
compute       {compute}
search        {search}

Examples
  python -m ltm.sweep +experiment=k_sweep
  python -m ltm.sweep +experiment=k_sweep dataset=tree seeds=20 training.max_epochs=200
  python -m ltm.sweep model=lstm seeds=100-199
  python -m ltm.sweep 'grid.model=[rnn,lstm]' 'grid.lr=[0.01,0.003]' study=rates"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 (seed runs failed), 2 (bad input; nodes or storage that refuse) or 130 (Ctrl-C)."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if {"-h", "--help"} & set(given):
            print(USAGE.format(**{group: ", ".join(config.options(group)) for group in config.GROUPS}))
            return 0
        study = config.compose([argument for argument in given if argument != "--cfg"])
        if "--cfg" in given:
            show(study)
            return 0
        return launch.run(study, shlex.join(["python", "-m", "ltm.sweep", *given]), progress.terminal())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on", file=sys.stderr)
        return 130


def show(study: config.Composed) -> None:
    """Print the config and the conditions of a composed study."""
    plan = make(study)
    print(yaml.safe_dump(asdict(study.config), sort_keys=False), end="")
    print(f"# {len(plan.conditions)} conditions x {len(plan.seeds)} seeds:")
    for label in plan.labels.values():
        print(f"#   {label}")


if __name__ == "__main__":
    status = main()
    gc.freeze()  # or Python looks through every object once more before it ends, which takes seconds
    sys.exit(status)
