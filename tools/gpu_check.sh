#!/bin/bash
# Everything that a GPU is needed for, in one call: the tests on the device, compute-sanitizer, the benchmarks, and
# PyTorch beside them. Writes one JSON report.
#
#   tools/gpu_check.sh [REPORT]        (default: docs/gpu/<device>-<commit>.json)
#
# From the environment: SCENE and GPU_TESTS (the programs; default build/scene, build/tests/gpu_tests), PYTHON (it writes
# the report, and where it has PyTorch the peer is measured), SECONDS_IN_ALL (570: what has not ended by then is stopped,
# what has not begun is left out), SECONDS_FOR_TESTS (30: limit of a suite of kernel tests), PARTS (*: a pattern of the
# names of parts, such as 'bench_*', where only some are wanted; all of them take longer than a GPU may be lent for at once).
#
# Each part is a process of its own with a limit of its own, because a kernel that fails takes its process with it. A part
# that fails, hangs or is left out is in the report as such, and the status is 1; the parts behind it run all the same.
# The report is written before every part, so it is there even if this script is killed.
set -u
cd "$(dirname "$0")/.." || exit 1
scene=${SCENE:-build/scene} tests=${GPU_TESTS:-build/tests/gpu_tests} python=${PYTHON:-python3}
in_all=${SECONDS_IN_ALL:-570} for_tests=${SECONDS_FOR_TESTS:-30} wanted=${PARTS:-*}
# Where cuDNN, cuBLASLt and cuFFT are not installed for everyone, those that PyTorch brings.
for folder in $("$python" -c 'import glob, site; print(*(d for s in site.getsitepackages() for d in glob.glob(s + "/nvidia/*/lib")))' \
    2> /dev/null); do
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
command -v "$python" > /dev/null || { echo "gpu_check: $python is needed to write the report" >&2; exit 1; }
[ -x "$scene" ] || { echo "gpu_check: there is no $scene; run make, or set SCENE" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$scene" info --json > "$work/info.json" || exit 1
if ! grep -q '"kind": *"cuda"' "$work/info.json"; then
    echo "gpu_check: $("$scene" info | grep '^CUDA' | cut -c16-)" >&2
    exit 1
fi
if [ -f COMMIT ]; then # a bundle
    cp COMMIT "$work/commit"
else
    git rev-parse HEAD > "$work/commit" 2> /dev/null
    git diff --quiet HEAD 2> /dev/null || echo "with changes" >> "$work/commit"
fi
nvidia-smi --query-gpu=driver_version --format=csv,noheader > "$work/driver" 2> /dev/null
write_report() { "$python" tools/gpu_report.py "$work" "${1:-}"; }
report=$(write_report "${1:-}") || exit 1

status=0
# part NAME LIMIT COMMAND...: in $work, NAME.out and NAME.log for stdout and stderr, NAME.status, NAME.seconds, and a line
# of `parts`.
part() {
    local name=$1 limit=$2 left=$((in_all - SECONDS))
    shift 2
    # shellcheck disable=SC2053  # a pattern
    [[ $name == $wanted ]] || return 0
    echo "$name" >> "$work/parts"
    if [ $left -lt 2 ]; then
        echo "left out" > "$work/$name.status"
        status=1
        return
    fi
    [ "$limit" -lt $left ] || limit=$left
    echo "unfinished" > "$work/$name.status"
    write_report "$report" > /dev/null
    local begin=$SECONDS code=0
    timeout --kill-after=5 "$limit" "$@" > "$work/$name.out" 2> "$work/$name.log" || code=$?
    echo $code > "$work/$name.status"
    echo $((SECONDS - begin)) > "$work/$name.seconds"
    echo "== $name: status $code, $((SECONDS - begin)) s" >&2
    [ $code = 0 ] && return
    status=1
    tail -n 5 "$work/$name.out" "$work/$name.log" >&2
}
# suite NAME LIMIT: one suite of the tests
suite() {
    local name=test_${1//\//_}
    part "$name" "$2" "$tests" --gtest_filter="$1.*" --gtest_output="json:$work/$name.json"
}
# bench NAME OPTIONS...: one benchmark
bench() {
    local name=$1
    shift
    # Most of the limit is for the first benchmark of a shape, which measures convolution plans.
    part "bench_$name" 150 "$scene" bench --device cuda --json --quiet --repetitions 20 "$@"
}
peer() {
    local name=$1 limit=$2
    shift 2
    part "pytorch_$name" "$limit" "$python" tools/reference/bench_peer_gpu.py "$@"
}

if [ -x "$tests" ]; then
    wanted='*' part suites 30 "$tests" --gtest_list_tests
    suites=$(sed -n 's/^\([^ ]*\)\.\( .*\)*$/\1/p' "$work/suites.out" 2> /dev/null)
    for name in $suites; do
        if [ "$name" = GpuStep ]; then suite "$name" 150; else suite "$name" "$for_tests"; fi
    done
    if sanitizer=$(command -v compute-sanitizer); then
        # Kernels only: a sanitizer is some fifty times slower, and libraries are not ours to check.
        declare -A leave=([initcheck]=1)
        for tool in memcheck racecheck initcheck; do
            part "sanitizer_$tool" 60 env SCENE_LEAVE_MEMORY="${leave[$tool]:-}" "$sanitizer" --tool $tool \
                --error-exitcode 1 "$tests" --gtest_brief=1 --gtest_filter='Cuda*'
        done
    fi
fi
for name in fcnn_train_b256 logmel_b256 logmel_cufft_b256 se_trans_train_b256 fcnn_train_b64 fcnn_infer_b256 se_trans_train_b64 \
    fcnn_train_b16 fcnn_infer_b1; do
    bench "fp16_$name" --precision fp16 --filter $name
done
if ncu=$(command -v ncu); then
    # One step op by op, under the profiler: the memory traffic of its kernels.
    part traffic_fp16 150 "$ncu" --target-processes all --nvtx --nvtx-include "step/" --cache-control none --csv \
        --print-units base \
        --log-file "$work/traffic_fp16.csv" --metrics dram__bytes_read.sum,dram__bytes_write.sum \
        "$scene" bench --device cuda --precision fp16 --filter fcnn_train_b256 --ops --repetitions 1 --json --quiet
fi
bench fp16_ops --precision fp16 --filter fcnn_train_b256 --ops
for form in never always; do bench fp16_fused_$form --precision fp16 --filter fcnn_train_b256 --fusions $form; done
bench fp16_fastest --precision fp16 --filter fcnn_train_b256 --fastest
for precision in tf32 fp32; do
    for name in fcnn_train_b256 se_trans_train_b256; do bench ${precision}_$name --precision $precision --filter $name; done
done
if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'; then
    peer fp16_eager 60 --precision fp16 --variants eager
    for name in fcnn_train_b256 se_trans_train_b256 fcnn_train_b64 fcnn_infer_b256; do
        peer fp16_compiled_$name 120 --precision fp16 --variants compiled --names $name
    done
    peer tf32_eager 60 --precision tf32 --variants eager
fi
# The whole of System #4 on clips as many and as long as CAS2023 has: the files, then what a user waits for.
part experiment_data 240 sh -c '"$1" synth "$2/clips" --clips 8700 --labelled 0.2 --quiet &&
    "$1" prepare "$2/clips" "$2/clips.store" --quiet --json' sh "$scene" "$work"
if [ -f "$work/clips.store" ]; then
    part experiment_train 240 "$scene" train "$work/clips.store" --config configs/system4.toml --split simulation \
        --device cuda --precision fp16 --set training.early_stop=0 --run "$work/run" --quiet --json
fi

write_report "$report"
exit $status
