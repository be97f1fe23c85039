#!/bin/bash
# Everything that a GPU is needed for, in one call: the tests on the device, compute-sanitizer, the benchmarks, and
# PyTorch beside them. Writes one JSON report.
#
#   tools/gpu_check.sh [REPORT]        (default: docs/gpu/<device>-<commit>.json)
#
# From the environment: SCENE and GPU_TESTS (the programs; default build/scene, build/tests/gpu_tests), PYTHON (one that
# has PyTorch; without it the peer is left out), SECONDS_FOR_TESTS (limit of one run of the tests, 240).
# A part that fails is in the report as failed, and the status is 1; the parts behind it run all the same.
set -u
cd "$(dirname "$0")/.."
scene=${SCENE:-build/scene} tests=${GPU_TESTS:-build/tests/gpu_tests} python=${PYTHON:-python3}
limit=${SECONDS_FOR_TESTS:-240}
if [ -d lib ]; then export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
# Where cuDNN and cuBLASLt are not installed for everyone, those that PyTorch brings.
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

status=0
# part NAME COMMAND...: stdout to NAME.json (or .out), the exit status to NAME.status, the end of stderr to NAME.log
part() {
    local name=$1
    shift
    echo "== $name" >&2
    local begin=$SECONDS
    timeout "$limit" "$@" > "$work/$name.out" 2> "$work/$name.log"
    echo $? > "$work/$name.status"
    echo $((SECONDS - begin)) > "$work/$name.seconds"
    if [ "$(cat "$work/$name.status")" != 0 ]; then
        status=1
        tail -n 5 "$work/$name.out" "$work/$name.log" >&2
    fi
}

if [ -x "$tests" ]; then
    part tests "$tests" --gtest_brief=1 --gtest_output="json:$work/tests.json"
    if sanitizer=$(command -v compute-sanitizer); then
        # Small shapes only: a sanitizer is some fifty times slower.
        for tool in memcheck racecheck initcheck; do
            part "sanitizer_$tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$tests" --gtest_brief=1 \
                --gtest_filter='Cuda*:-*LogMel*'
        done
    fi
fi
for precision in fp16 tf32 fp32; do
    part "bench_$precision" "$scene" bench --device cuda --precision $precision --json --quiet --repetitions 20
done
part bench_fp16_fastest "$scene" bench --device cuda --precision fp16 --fastest --json --quiet --repetitions 20 \
    --filter 'fcnn_train*'
part bench_ops "$scene" bench --device cuda --precision fp16 --ops --json --quiet --filter fcnn_train_b256
if "$python" -c 'import torch' 2> /dev/null; then
    for precision in fp16 tf32; do
        part "pytorch_$precision" "$python" tools/reference/bench_peer_gpu.py --precision $precision
    done
fi

report=$("$python" tools/gpu_report.py "$work" "${1:-}") || exit 1
echo "$report"
exit $status
