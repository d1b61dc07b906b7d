"""A study as SLURM jobs: the script (:mod:`sweeps.execution.slurm.script`, from the template ``job.sh``), and what becomes of it in the queue (:mod:`sweeps.execution.slurm.jobs`)."""
