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
#SBATCH --output={{log}}
#SBATCH --open-mode=append

export PATH={{bin}}:$PATH
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
# Only who has the token can use the job's Ray; it is made here, and written nowhere.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

# Before the time limit, and when the job is put back into the queue, the sweep is ended as by Ctrl-C: what is finished or checkpointed is kept.
driver=$(mktemp)
trap 'echo "the job must end: the sweep is told"; kill -INT "$(cat "$driver")"' USR1 TERM
trap 'rm -f "$driver"' EXIT

train=(bash -c 'echo $$ >"$0"; exec "$@"' "$driver" {{command}})
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then # a Ray on every node; the sweep runs on this one, the first
  address=$(hostname -I | cut -d ' ' -f 1):6379
  train=(ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "$SLURM_CPUS_ON_NODE" -- "${train[@]}")
fi
srun --cpu-bind=none "${train[@]}" &
wait $! || wait $! # the first wait ends with the signal, the second with the sweep
