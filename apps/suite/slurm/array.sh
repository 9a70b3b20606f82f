#!/usr/bin/env bash
# A task of a Slurm array that runs one shard of `assay suite`; README.md tells how to submit it.
#SBATCH --job-name=assay-suite
#SBATCH --output=assay-suite-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -u
say() { echo "array.sh: $*" >&2; }

shards=$SLURM_ARRAY_TASK_COUNT
shard=$(((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN) / SLURM_ARRAY_TASK_STEP + 1))
last=$(((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN) / SLURM_ARRAY_TASK_STEP + 1))
if ((last != shards)); then
  say "the array has gaps, so its tasks are no shards I/N; submit --array=1-N or --array=0-(N-1)"
  exit 2
fi

# Slurm sends USR1 before the time limit, and TERM when the job is cancelled or preempted. Either lets
# assay finish its step and write a checkpoint; after USR1 the task goes back to the queue.
stopped_by=
stop() {
  stopped_by=$1
  kill -TERM "$suite"
}
say "shard $shard/$shards, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $(hostname)"
"${ASSAY:-assay}" suite "$@" --shard "$shard/$shards" &
suite=$!
trap 'stop USR1' USR1
trap 'stop TERM' TERM
while wait "$suite"; code=$?; kill -0 "$suite" 2>/dev/null; do :; done  # a trap ends `wait` early
if [[ $stopped_by == USR1 && $code != 0 ]]; then
  say "stopped before the time limit; goes back to the queue"
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
