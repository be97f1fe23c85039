#!/bin/bash
# Runs everything that needs a GPU, in a few minutes, and keeps the evidence whatever breaks.
#
#   tools/gpu_check.sh [CALL] [REPORT]
#
# CALL is one of these, or all (the default), which does one after the other:
#   contact       machine, tests on the device, the FCNN's training step without fusions and with the quickest ones, log-mel
#   measure       benchmarks, the most important ones first, op by op, in every precision, PyTorch beside them
#   experiment    System #4 on as many and as long clips as CAS2023 has
#   sanitize      an extra: compute-sanitizer over the kernels' tests
# The first three take less than four minutes each, and each is of use alone.
# REPORT (*.json) is $OUT/report.json if OUT is set, else docs/gpu/<device>-<commit>.json, for a single CALL with its name
# before the .json.
#
# From the environment:
#   OUT                 folder for logs.tgz and cache; default: that of REPORT, or build/gpu-check
#   SCENE, GPU_TESTS    the programs; default: build/scene, build/tests/gpu_tests
#   PYTHON              writes the report; if it has PyTorch, the peer is measured
#   SECONDS_IN_ALL      235 for these three, else 570: a part that has not ended by then is stopped, one that has not
#                       begun is left out
#   SECONDS_FOR_TESTS   limit of each process with tests
#   PARTS               a pattern of the names of the parts to run, such as 'bench_*'; default: *
#
# Each part is a process with its own limit, because a kernel that fails takes its process with it. If a part fails, hangs or
# finds no time, the report says so, the exit status is 1, and the other parts still run. The archive logs.tgz has everything
# that the parts printed. It is written after every part, the report before every part. So both exist when this script is
# stopped; only after SIGKILL do they lack the part that ran. The output ends with at most 60 lines that say what to mend
# first: what failed, and where the step loses the most time. Measured plans are kept in OUT/cache for the next call; a bundle also takes those of ../cache. No clock, mode or other setting of the device is
# changed.
set -u
from=$PWD
cd "$(dirname "$0")/.." || exit 1
refuse() {
    echo "gpu_check: $*" >&2
    exit 1
}
scene=${SCENE:-build/scene} tests=${GPU_TESTS:-build/tests/gpu_tests} python=${PYTHON:-python3}
call=all
case ${1:-} in contact | measure | experiment | sanitize | all) call=$1; shift ;; esac
case ${1:-} in
'' | *.json) report=${1:-} ;;
*) refuse "$1 is neither contact, measure, experiment, sanitize, all, nor the .json file to write the report to" ;;
esac
case $call in contact | measure | experiment) in_all=${SECONDS_IN_ALL:-235} ;; *) in_all=${SECONDS_IN_ALL:-570} ;; esac
for_tests=${SECONDS_FOR_TESTS:-$in_all} wanted=${PARTS:-*}
[ "$in_all" -ge 30 ] 2> /dev/null || refuse "SECONDS_IN_ALL=$in_all: needs 30 or more"
end=$((in_all - 8)) # the rest is for stopping a part that hangs, and for archive and report
[ -x "$scene" ] || refuse "there is no $scene; run make, or set SCENE"

[ -n "$report" ] || [ -z "${OUT:-}" ] || report=$OUT/report.json
if [ -n "${OUT:-}" ]; then out=$OUT; elif [ -n "$report" ]; then out=$(dirname "$report"); else out=$PWD/build/gpu-check; fi
[[ -z $report || $report == /* ]] || report=$from/$report
[[ $out == /* ]] || out=$from/$out
work=$(mktemp -d) || refuse "cannot make a temporary folder"
logs=$work/logs scratch=$work/scratch
mkdir "$logs" "$scratch"
trap 'rm -rf "$scratch" ${in_memory:+"$in_memory"}; [ -n "$unarchived" ] || rm -rf "$work"' EXIT
unarchived="" in_memory=""
mkdir -p "$out/cache/scene" || refuse "cannot write to $out"
export XDG_CACHE_HOME=$out/cache HOME=${HOME:-$scratch}
if [ -f COMMIT ]; then # a bundle
    cp COMMIT "$logs/commit"
    cp -n ../cache/scene/*.plans "$out/cache/scene/" 2> /dev/null
else
    git rev-parse HEAD > "$logs/commit" 2> /dev/null
    git diff --quiet HEAD 2> /dev/null || echo "with changes" >> "$logs/commit"
fi
echo "$call" > "$logs/call"
timeout 10 nvidia-smi --query-gpu=driver_version --format=csv,noheader > "$logs/driver" 2> /dev/null
# The cuDNN, cuBLASLt and cuFFT that PyTorch brings, for a machine without installed ones. They come last in the search path:
# the driver's folder must stay in front.
for folder in $(timeout 10 "$python" -c \
    'import glob, site; print(*(d for s in site.getsitepackages() for d in glob.glob(s + "/nvidia/*/lib")))' 2> /dev/null); do
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done

status=0 begun=0 child="" current="" suspects=()
tell() { echo "== $*" | tee -a "$logs/summary"; }
# shellcheck disable=SC2053  # a pattern
is_wanted() { [[ $1 == $wanted ]]; }

# archive: writes logs.tgz again; the old one stays until the new one is complete. Of a long file only the ends are kept, so
# that one part cannot fill the disk. GNU tar's status 1 says that a file grew meanwhile.
archive() {
    local file code=0 ends=1000000
    for file in "$logs"/*; do
        [ "$(stat -c %s "$file")" -le $((2 * ends)) ] && continue
        { head -c $ends "$file"; printf '\n[...]\n'; tail -c $ends "$file"; } > "$scratch/ends" && cat "$scratch/ends" > "$file"
    done
    timeout 20 tar -czf "$out/logs.tgz.tmp" -C "$work" logs 2> "$scratch/tar" || code=$?
    if [ $code -le 1 ] && mv "$out/logs.tgz.tmp" "$out/logs.tgz" 2>> "$scratch/tar"; then
        unarchived=
    else
        unarchived=$(head -n 1 "$scratch/tar")
        unarchived=${unarchived:-status $code}
        rm -f "$out/logs.tgz.tmp"
    fi
}
# Without Python there is no report; the archive has everything that it would be made from.
write_report() {
    unreported=
    [ $begun = 1 ] || return
    command -v "$python" > /dev/null || { unreported="there is no $python"; return; }
    report=$(timeout 20 "$python" tools/gpu_report.py "$logs" "$report" 2> "$scratch/report" || {
        rm -f "${report%.json}.tmp"
        echo "$report"
    })
    unreported=$(tail -n 1 "$scratch/report")
}

# outcomes NAME: a line for each test in that part's output, in order: OK, FAILED or SKIPPED and its name; RUN for a test in
# which the process died.
outcomes() {
    awk '$1 != "[" || $3 != "]" { next }
         $2 == "RUN" { test = $4 }
         $2 != "RUN" && /ms\)$/ { sub(/,$/, "", $4); print $2, $4; test = "" }
         END { if (test != "") print "RUN", test }' "$logs/$1.out"
}
# said NAME: the numbers of tests, or a benchmark's time.
said() {
    outcomes "$1" | awk '{ n[$1]++ } $1 == "RUN" { running = $2 }
        END { if (NR) printf ": %d passed, %d failed, %d skipped", n["OK"], n["FAILED"], n["SKIPPED"]
              if (running != "") printf ", ended in %s", running }'
    grep -oE '"median_ms": *[0-9]+\.?[0-9]{0,3}' "$logs/$1.out" | head -n 1 | sed 's/.*: */: /; s/$/ ms/'
}
# part NAME LIMIT COMMAND...: runs a part. The archive gets NAME.out and NAME.log for stdout and stderr, NAME.cudnn and
# NAME.cublaslt for the libraries' logs (errors; more under `loudly`), NAME.status, NAME.seconds, a line in `parts` and one in
# `summary`. `need=SECONDS part ...` leaves it out if less time is left.
part() {
    local name=$1 limit=$2 left=$((end - SECONDS)) begin code=0 outcome
    shift 2
    is_wanted "$name" || return 0
    if [ $left -lt "${need:-2}" ]; then
        leave_out "$name" "$((left > 0 ? left : 0)) s left${need:+ of $need needed}"
        status=1
        return 0
    fi
    [ "$limit" -lt $left ] || limit=$left
    echo "$name" >> "$logs/parts"
    echo unfinished > "$logs/$name.status"
    current=$name
    write_report
    begin=$SECONDS
    CUDNN_LOGLEVEL_DBG=${level:-1} CUDNN_LOGDEST_DBG=$logs/$name.cudnn \
        CUBLASLT_LOG_LEVEL=${level:-1} CUBLASLT_LOG_FILE=$logs/$name.cublaslt \
        timeout --kill-after=5 "$limit" "$@" > "$logs/$name.out" 2> "$logs/$name.log" &
    child=$!
    wait $child 2> /dev/null || code=$?
    child="" current=""
    # A filter that matches no test has tested nothing.
    [ $code != 0 ] || ! grep -q '^\[=*\] Running 0 tests' "$logs/$name.out" || code="no test"
    case $code in
    0) outcome=passed ;;
    "no test") outcome="failed: its filter names no test" ;;
    124) outcome="stopped at its limit of $limit s" ;;
    137) outcome="killed, at its limit of $limit s or for memory" ;;
    129 | 1[3-5][0-9]) outcome="killed by signal $((code - 128))" ;;
    *) outcome="failed with exit status $code" ;;
    esac
    echo "$outcome" > "$logs/$name.status"
    echo $((SECONDS - begin)) > "$logs/$name.seconds"
    tell "$name: $outcome, $((SECONDS - begin)) s$(said "$name")"
    find "$logs" -name "$name.cu*" -empty -delete
    archive
    [ "$code" = 0 ] && return
    status=1
    return 1
}
leave_out() {
    echo "$1" >> "$logs/parts"
    echo "left out: $2" > "$logs/$1.status"
    tell "$1: left out, $2"
}
# needs TOOL NAME: whether the tool of that part is installed. If not, the part is left out, which is no failure.
needs() {
    command -v "$1" > /dev/null && return
    ! is_wanted "$2" || leave_out "$2" "no $1"
    return 1
}
# loudly COMMAND...: with synchronous launches, so that an error comes from the call that caused it.
loudly() { CUDA_LAUNCH_BLOCKING=1 level=3 "$@"; }
# run_tests NAME LIMIT FILTER [PROGRAM...]: a part that runs tests in one process, under PROGRAM if one is given.
run_tests() {
    local name=$1 limit=$2 filter=$3
    shift 3
    [ "$limit" -lt "$for_tests" ] || limit=$for_tests
    if [ -x "$tests" ]; then
        part "$name" "$limit" "$@" "$tests" --gtest_filter="$filter"
    elif is_wanted "$name"; then
        leave_out "$name" "no $tests"
        status=1
    fi
}
# suite NAME LIMIT FILTER: run_tests. The first two tests that fail, and the one in which the process died, become suspects.
suite() {
    local test
    run_tests "$@" && return
    for test in $(outcomes "$1" | awk '$1 == "FAILED" && ++n <= 2 || $1 == "RUN" { print $2 }'); do
        [[ " ${suspects[*]-} " == *" $test "* ]] || suspects+=("$test")
    done
    return 1
}
# Errors after which a process can do nothing more on the device.
lost='cudaError(IllegalAddress|IllegalInstruction|InvalidPc|Assert|MisalignedAddress|InvalidAddressSpace|HardwareStackError|'
lost+='LaunchFailure|LaunchTimeout|ECCUncorrectable)'
# Runs in one process, since opening the device takes time. If that process died, or lost the device and with it every later
# test, each suite that did not pass runs in a process of its own, in at most 45 seconds altogether.
kernels() {
    local end=$end name
    suite kernels 50 '*-Gpu*' && return
    grep -q '^\[=*\] .* ran\.' "$logs/kernels.out" && ! grep -qE "$lost" "$logs/kernels.out" && return
    [ $end -lt $((SECONDS + 45)) ] || end=$((SECONDS + 45))
    part kernels_list 10 "$tests" --gtest_list_tests --gtest_filter='*-Gpu*' || return
    while read -r name; do
        if ! grep -qF " from $name (" "$logs/kernels.out" || outcomes kernels | grep -q "^FAILED $name\."; then
            suite "kernels_$name" 15 "$name.*"
        fi
    done < <(sed -n 's/^\([^ ]*\)\.\( .*\)*$/\1/p' "$logs/kernels_list.out")
}
# Runs the suspects again, each alone, with the full logs of the libraries; kernels also under memcheck.
look_again() {
    local test name
    for test in "${suspects[@]:0:4}"; do
        name=${test//\//_}
        loudly run_tests "again_$name" 15 "$test"
        [[ $test != Gpu* ]] && needs compute-sanitizer "memcheck_$name" &&
            run_tests "memcheck_$name" 25 "$test" compute-sanitizer --tool memcheck --error-exitcode 1
    done
    suspects=()
}
# bench NAME LIMIT REPETITIONS OPTIONS...: the limits are long because the first benchmark of a shape measures its plans.
bench() {
    local name=$1 limit=$2 repetitions=$3
    shift 3
    part "bench_$name" "$limit" "$scene" bench --device cuda --json --quiet --repetitions "$repetitions" "$@"
}
# half NAME [OPTIONS...]: the benchmark NAME in half precision.
half() {
    local name=$1
    shift
    bench "fp16_$name" 150 20 --precision fp16 --filter "$name" "$@"
}
# peer NAME LIMIT OPTIONS...: PyTorch's benchmark.
peer() {
    local name=pytorch_$1 limit=$2
    shift 2
    if [ -n "$has_torch" ]; then
        part "$name" "$limit" "$python" tools/reference/bench_peer_gpu.py "$@"
    elif is_wanted "$name"; then
        leave_out "$name" "no PyTorch"
    fi
}

contact() {
    local step="--precision fp16 --filter fcnn_train_b256"
    local gradients='GpuStep.*Gradients*' bits='GpuStep.TheSameBits*'
    kernels
    suite ops 25 'GpuOps.*'
    suite gradients 60 "$gradients"
    # shellcheck disable=SC2086  # words
    bench fp16_unfused 70 5 $step --fusions never --ops || loudly bench fp16_unfused_again 25 1 $step --fusions never
    look_again
    suite bits 30 "$bits"
    # shellcheck disable=SC2086
    bench fp16_quickest 60 10 $step
    bench logmel 20 10 --filter logmel_b256
    suite other_tests 60 "Gpu*-GpuOps.*:$gradients:$bits"
    look_again
}

measure() {
    local has_torch="" name form
    timeout 20 "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2> /dev/null &&
        has_torch=1
    half fcnn_train_b256
    bench fp16_ops 150 20 --precision fp16 --filter fcnn_train_b256 --ops --trace "$logs/step_fp16.json"
    peer fp16_eager 60 --precision fp16 --variants eager
    bench bf16_fcnn_train_b256 150 20 --precision bf16 --filter fcnn_train_b256
    half logmel_b256
    bench tf32_fcnn_train_b256 150 20 --precision tf32 --filter fcnn_train_b256
    half se_trans_train_b256
    # max-autotune compiles for minutes before the first step.
    need=100 peer fp16_compiled_fcnn_train_b256 180 --precision fp16 --variants compiled --names fcnn_train_b256
    # The memory traffic of one step's kernels, op by op, under the profiler.
    needs ncu traffic_fp16 && part traffic_fp16 150 ncu --clock-control none --nvtx --nvtx-include "step/" \
        --cache-control none --csv --print-units base --log-file "$logs/traffic_fp16.csv" \
        --metrics dram__bytes_read.sum,dram__bytes_write.sum \
        "$scene" bench --in-process --device cuda --precision fp16 --filter fcnn_train_b256 --ops --repetitions 1 --json --quiet
    # Which op a kernel of the replayed step belongs to.
    bench fp16_graph 60 1 --precision fp16 --filter fcnn_train_b256 --graph-map "$logs/graph_fp16.json"
    for form in never always; do bench fp16_fused_$form 150 20 --precision fp16 --filter fcnn_train_b256 --fusions $form; done
    for name in fcnn_train_b64 fcnn_infer_b256 se_trans_train_b64 fcnn_train_b16 fcnn_infer_b1; do half $name; done
    # Does a tile that is filled save more than the added channels cost?
    for name in conv_250x32x144 conv_250x32x192 conv_125x16x288 conv_125x16x320; do half ${name}_b256 --ops; done
    for name in bf16 tf32; do peer ${name}_eager 60 --precision $name --variants eager; done
    # Without tensor cores there is only one engine for a data gradient, a slow one: up to half a second a step of 64 clips.
    need=60 bench fp32_fcnn_train_b64 90 5 --precision fp32 --filter fcnn_train_b64
    for name in bf16_se_trans_train_b256 tf32_se_trans_train_b256; do
        bench $name 150 20 --precision ${name%%_*} --filter se_trans_train_b256
    done
    bench fp16_fastest 150 20 --precision fp16 --filter fcnn_train_b256 --fastest
    half logmel_cufft_b256
    for name in se_trans_train_b256 fcnn_train_b64 fcnn_infer_b256; do
        need=100 peer fp16_compiled_$name 180 --precision fp16 --variants compiled --names $name
    done
    for name in fcnn_train_b256 se_trans_train_b256; do need=150 bench fp32_$name 150 5 --precision fp32 --filter $name; done
}

# Makes the clips and their feature store, then times the training that a user waits for. As many clips as CAS2023 has should
# take 32 to 54 s on 16 cores (docs/cuda.md), nearly all of it in their synthesis; on fewer cores there are fewer clips.
experiment() {
    local cores clips=8700 place=$scratch
    cores=$(nproc)
    if [ $((600 * cores)) -lt $clips ]; then
        clips=$((600 * cores))
        ! is_wanted experiment_data || tell "experiment: $clips clips for $cores cores, where CAS2023 has 8700"
    fi
    # In memory, if twice the 0.9 MB that a clip has are free there.
    if [ "$(df -P -m /dev/shm 2> /dev/null | awk 'NR == 2 { print $4 }')" -ge $((2 * clips)) ] 2> /dev/null; then
        place=$(mktemp -d /dev/shm/scene.XXXXXX) && in_memory=$place || place=$scratch
    fi
    # shellcheck disable=SC2016  # its own arguments
    part experiment_data 130 sh -c '"$1" synth "$2/clips" --clips "$3" --labelled 0.2 --quiet &&
        "$1" prepare "$2/clips" "$2/clips.store" --quiet --json && rm -r "$2/clips"' sh "$scene" "$place" "$clips"
    # Its stderr tells of every epoch, for the case that it is stopped.
    [ ! -f "$place/clips.store" ] || part experiment_train 240 "$scene" train "$place/clips.store" \
        --config configs/system4.toml --split simulation --device cuda --precision fp16 --set training.early_stop=0 \
        --run "$scratch/run" --json
}

# Kernels only: a sanitizer makes them some fifty times slower, and libraries need no check.
sanitize() {
    local tool leave
    for tool in memcheck racecheck initcheck; do
        leave=""
        [ $tool != initcheck ] || leave=1
        needs compute-sanitizer sanitizer_$tool &&
            run_tests sanitizer_$tool 60 '*-Gpu*' env SCENE_LEAVE_MEMORY=$leave compute-sanitizer --tool $tool --error-exitcode 1
    done
}

# to_mend: for each part that failed, in order, the first failures, and the last output of a process that died. Failures that
# an earlier part has shown are not shown again.
to_mend() {
    local name outcome
    while read -r name; do
        outcome=$(cat "$logs/$name.status")
        case $outcome in passed | "left out"* | "") continue ;; esac
        echo "$name $outcome"
        [ -f "$logs/$name.out" ] || continue
        {
            awk -v shown="$scratch/shown" '
                function show(head, first, end,  i, block) {
                    block = head
                    for (i = first; i < end; i++) block = block "\1  " text[i]
                    if (block in old) return
                    print block >> shown
                    gsub("\1", "\n", block)
                    print block
                }
                BEGIN { while ((getline line < shown) > 0) old[line] = 1; close(shown) }
                $1 == "[" && $3 == "]" && $2 == "RUN" { test = $4; n = 0; next }
                $1 == "[" && $3 == "]" && /ms\)$/ {
                    if ($2 == "FAILED" && ++failed <= 3) show(test, 0, n < 5 ? n : 5)
                    test = ""
                    next
                }
                test != "" { text[n++] = $0 }
                END {
                    if (failed > 3) print failed - 3 " more failed"
                    if (test != "") show(test " ran when the process ended", n > 3 ? n - 3 : 0, n)
                }' "$logs/$name.out"
            grep '^=========' "$logs/$name.out" | grep -v COMPUTE-SANITIZER | head -n 5
            grep -vE '^ *$' "$logs/$name.log" | tail -n 3
            cat "$logs/$name".cu* 2> /dev/null | grep -a rror | tail -n 2
        } | cut -c1-180 | head -n 12 | sed 's/^/  /'
    done < <(cat "$logs/parts" 2> /dev/null) | head -n 35
}
finish() {
    begun=1
    write_report
    {
        echo
        to_mend
        [ ! -s "$logs/slowest" ] || { echo; cat "$logs/slowest"; }
    } > "$logs/to_mend"
    archive
    cat "$logs/to_mend"
    if [ -z "$unreported" ]; then echo "report: $report"; else status=1; echo "gpu_check: no report: $unreported"; fi
    if [ -z "$unarchived" ]; then
        echo "logs: $out/logs.tgz"
    else
        status=1
        echo "gpu_check: $out/logs.tgz lacks the last parts ($unarchived); the logs stay in $logs"
    fi
}
# shellcheck disable=SC2317  # called by a trap
# Keeps the output of the part that ran. `timeout` forwards the signal to it.
stop() {
    trap '' TERM INT HUP
    [ -z "$child" ] || kill "$child"
    [ -z "$current" ] || echo "stopped with the whole call" > "$logs/$current.status"
    tell "stopped by a signal${current:+ in $current$(said "$current")}"
    finish
    exit 143
}
trap stop TERM INT HUP

everything=$wanted wanted='*'
# shellcheck disable=SC2016  # its own arguments
part machine 20 sh -c 'uname -a; ldd --version | head -n 1; nproc; free -g; df -h . /tmp "$3"
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
    for tool in ncu nsys compute-sanitizer cuda-gdb nvcc; do command -v $tool || echo "no $tool"; done
    ldconfig -p | grep -E "libcuda\.|cublasLt|cudnn|cufft"; ldd "$1" "$2" | grep "not found"
    timeout 5 "$4" -c "from importlib.metadata import distributions
for d in distributions():
    name = d.metadata[\"Name\"] or \"\"
    if name.startswith((\"nvidia\", \"torch\", \"triton\")): print(name, d.version)"
    timeout 8 nvidia-smi && timeout 5 nvidia-smi -q -d CLOCK,PERFORMANCE; true' sh "$scene" "$tests" "$out" "$python"
if ! part info 30 "$scene" info --json; then
    part info_libraries 20 env LD_DEBUG=libs "$scene" info
elif ! grep -q '"kind": *"cuda"' "$logs/info.out"; then
    part info_libraries 20 env LD_DEBUG=libs "$scene" info
    refuse "CUDA: $(sed -n 's/^CUDA *//p' "$logs/info_libraries.out")"
fi
wanted=$everything begun=1
if [ "$call" = all ]; then contact; measure; experiment; sanitize; else "$call"; fi
finish
exit $status
