#!/usr/bin/env bash
# ResNeXt-50 on ImageNet, 8 GPUs on two hosts, started by hand. On each host, at about the same time:
#
#   bash two-hosts.sh 0 host-a imagenet/    # on host-a
#   bash two-hosts.sh 1 host-a imagenet/    # on the other
#
# The same line again goes on after whatever ended it. Further words are options of `resnext train`.
set -euo pipefail
HOST=${1:?number of this host, 0 or 1}
FIRST=${2:?name or address of host 0, which the other can reach}
DATA=${3:?the folder of images, at this path on both hosts}
shift 3

exec torchrun --nnodes 2 --node-rank "$HOST" --nproc-per-node "${PROCESSES:-4}" \
    --master-addr "$FIRST" --master-port "${PORT:-29500}" \
    -m resnext train "$DATA" --recipe imagenet --name "${NAME:-imagenet}" --resume auto "$@"
