#!/usr/bin/env bash
# ResNeXt-50 on ImageNet, 8 GPUs of two nodes, back in the queue for as long as it can go on:
#
#   sbatch slurm.sh imagenet/
#
#SBATCH --job-name=resnext
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time is up the step is finished and the state saved (SIGTERM).
#SBATCH --signal=TERM@120
set -uo pipefail
DATA=${1:?the folder of images, at a path that all nodes see}
shift
NAME=${NAME:-imagenet}
RUNS=${RUNS:-$PWD/runs}
FIRST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-4}" --max-restarts 3 \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$FIRST:${PORT:-29500}" \
    -m resnext train "$DATA" --recipe imagenet --runs "$RUNS" --name "$NAME" --resume auto "$@"

# torchrun ends with 1 whatever its processes ended with; the run itself says how it stands.
if grep -q '"state": "resumable"' "$RUNS/$NAME/status.json"; then
    scontrol requeue "$SLURM_JOB_ID"
fi
