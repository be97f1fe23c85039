#!/bin/bash
# Profiles one step on a GPU, op by op with NVTX ranges: a timeline by Nsight Systems, then memory traffic and tensor-core
# instructions of every kernel by Nsight Compute.
#   tools/profile.sh [BENCHMARK] [PRECISION] [FOLDER]      (default: fcnn_train_b256 fp16 build/profile)
# The commands are printed before they run. If a profiler is missing, its command is only printed, and the status is 1.
set -u
benchmark=${1:-fcnn_train_b256} precision=${2:-fp16} folder=${3:-build/profile}
scene=${SCENE:-build/scene}
mkdir -p "$folder"
step=("$scene" bench --in-process --device cuda --precision "$precision" --filter "$benchmark" --ops --repetitions 1)
status=0

run() {
    echo "+ $*"
    command -v "$1" > /dev/null || { echo "profile: $1 is not installed" >&2; status=1; return; }
    "$@" || status=1
}

run nsys profile --trace=cuda,nvtx --force-overwrite=true --output "$folder/$benchmark-$precision" "${step[@]}"
# The clocks stay unchanged, since the device may be shared.
run ncu --clock-control none --nvtx --print-nvtx-rename kernel --force-overwrite \
    --metrics dram__bytes_read.sum,dram__bytes_write.sum,gpu__time_duration.sum,sm__inst_executed_pipe_tensor.sum \
    --export "$folder/$benchmark-$precision" "${step[@]}"
exit $status
