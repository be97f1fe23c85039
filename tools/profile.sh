#!/bin/bash
# Profiles one step on a GPU, op by op, in less than three minutes. Everything is printed as tables.
#   tools/profile.sh [BENCHMARK] [PRECISION] [FOLDER]      (default: fcnn_train_b256 fp16 build/profile)
#
# From the environment:
#   OP                 a pattern of ops' names, such as block1.conv2.forward: only these ops are looked at, and closer
#   SCENE, PYTHON      the program; default: build/scene. A Python whose PyTorch may bring cuDNN; default: python3
#   SECONDS_IN_ALL     170
#
# 1. scene bench, without a profiler. It measures the plans that are not in the cache yet, so that no profiler sees that. It
#    times the ops, and writes step.json (without OP) for ui.perfetto.dev and graph.json, the ops of the CUDA graph's nodes.
# 2. Nsight Systems: the kernels of the step, each under its op's name.
# 3. Nsight Compute: device-memory traffic and tensor-core instructions of each kernel; with OP its sections on speed of
#    light, memory, occupancy, launch and warp states. No clock is changed, since the device may be shared.
# The commands are printed before they run. If a profiler is missing, its commands are only printed, and the status is 1.
# FOLDER and SCENE are relative to the folder above this script's. A bundle takes the measured plans of ../cache.
set -u
cd "$(dirname "$0")/.." || exit 1
benchmark=${1:-fcnn_train_b256} precision=${2:-fp16} folder=${3:-build/profile}
python=${PYTHON:-python3} scene=${SCENE:-build/scene} op=${OP:-} end=${SECONDS_IN_ALL:-170}
report=$folder/$benchmark-$precision
status=0
fail() {
    echo "profile: $*" >&2
    status=1
}
mkdir -p "$folder" 2> /dev/null || { fail "cannot make the folder $folder; choose another"; exit 1; }

if [ -f COMMIT ] && [ -d ../cache ]; then export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$PWD/../cache}; fi
# The libraries of PyTorch come last, as in gpu_check.sh.
for libraries in $(timeout 10 "$python" -c \
    'import glob, site; print(*(d for s in site.getsitepackages() for d in glob.glob(s + "/nvidia/*/lib")))' 2> /dev/null); do
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"
done

# run LIMIT COMMAND...: at most for so many seconds, and no longer than the rest of the whole.
run() {
    local limit=$1 left=$((end - SECONDS)) code=0
    shift
    echo "+ $*"
    command -v "$1" > /dev/null || { fail "$1 is not installed"; return 1; }
    [ $left -ge 2 ] || { fail "no time is left for $1"; return 1; }
    [ "$limit" -lt $left ] || limit=$left
    timeout --kill-after=5 "$limit" "$@" || code=$?
    case $code in
    0) return ;;
    124 | 137) fail "$1 was stopped after $limit s" ;;
    *) fail "$1 ended with status $code" ;;
    esac
    return 1
}

step=("$scene" bench --in-process --device cuda --precision "$precision" --filter "$benchmark" --quiet)
if [ -n "$op" ]; then
    run 90 "${step[@]}" --op "$op" --repetitions 10 --graph-map "$folder/graph.json"
    step+=(--op "$op" --repetitions 1)
    range=timed/
    sections=(--section SpeedOfLight --section MemoryWorkloadAnalysis --section Occupancy --section LaunchStats
        --section WarpStateStats)
else
    run 90 "${step[@]}" --ops --repetitions 5 --trace "$folder/step.json" --graph-map "$folder/graph.json"
    step+=(--ops --repetitions 1)
    range=step/
    metrics=dram__bytes_read.sum,dram__bytes_write.sum,gpu__time_duration.sum,sm__inst_executed_pipe_tensor.sum
    sections=(--metrics "$metrics")
fi
# A step that does not run leaves nothing to profile.
[ $status = 0 ] || exit 1

run 40 nsys profile --trace=cuda,nvtx --force-overwrite=true --output "$report" "${step[@]}" &&
    run 20 nsys stats --force-export=true --report cuda_gpu_kern_sum:nvtx-name:base --format table \
        --filter-nvtx "${range%/}" "$report.nsys-rep"
run 70 ncu --clock-control none --nvtx --nvtx-include "$range" "${sections[@]}" --force-overwrite --export "$report" \
    "${step[@]}" &&
    run 20 ncu --import "$report.ncu-rep" --page details --print-nvtx-rename kernel --print-summary per-kernel
exit $status
