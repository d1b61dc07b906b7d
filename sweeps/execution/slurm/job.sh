#!/bin/bash
# The study {{study}} as a SLURM job. Submitted again, it trains what is missing.
#SBATCH --job-name={{job}}
#SBATCH --dependency=singleton
#SBATCH --partition={{partition}}
#SBATCH --nodes={{nodes}}
#SBATCH --ntasks-per-node=1
#SBATCH {{cores}}
#SBATCH --time={{time}}
#SBATCH --signal=B:USR1@{{warning}}
#SBATCH --requeue
#SBATCH --chdir={{here}}
#SBATCH --output={{output}}
#SBATCH --open-mode=append

export PATH={{bin}}:$PATH
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 # seconds that nodes wait for each other
# Only who has the token can use the job's Ray; it is made here, and written nowhere.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

# Before the time limit, and when SLURM ends the job, the sweep is ended as by Ctrl-C: what is finished or checkpointed is kept.
export log={{folder}}/$SLURM_JOB_ID driver=$(mktemp)
trap 'echo "the job must end: the sweep is told"; kill -INT "$(cat "$driver")"' USR1 TERM
trap 'rm -f "$driver" "$driver.ended"' EXIT

# The sweep writes into the job's log, its process id into one file, and its exit status into another. Without set -m it would ignore the signal.
sweep=(bash -c 'set -m; "$@" >>"$log.log" 2>&1 & echo $! >"$driver"; wait $!; echo $? >"$driver.ended"' - {{command}})
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then # a Ray on every node; the sweep runs on this one, the first
  address=$(hostname -I | cut -d ' ' -f 1):6379
  sweep=(ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "$SLURM_CPUS_ON_NODE" -- "${sweep[@]}")
fi
srun --cpu-bind=none --open-mode=append --output="$log.ray.log" "${sweep[@]}" 2>>"$log.ray.log" &
while kill -0 $! 2>/dev/null && [ ! -s "$driver.ended" ]; do sleep 1; done
[ -s "$driver.ended" ] || echo "the sweep did not come to its end; $log.ray.log may say why"
[ "$SLURM_JOB_NUM_NODES" = 1 ] || srun --overlap ray stop --force >>"$log.ray.log" 2>&1 # symmetric-run takes a minute to end it
exit "$(cat "$driver.ended" 2>/dev/null || echo 1)"
