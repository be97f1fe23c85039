#!/bin/bash
# A folder that runs gpu_check.sh on a machine with a GPU and no package registry:
#   tools/bundle.sh FOLDER SCENE GPU_TESTS
# It has the programs, the shared libraries they are linked to (but the C library, which the other machine has, and which
# must not be older there), the scripts, and the commit. cuDNN and cuBLASLt are not in it: cuDNN's precompiled engines
# and cuBLASLt are several hundred megabytes; gpu_check.sh finds those that PyTorch brings.
set -eu
folder=$1 scene=$2 tests=$3
most=$((64 * 1024 * 1024))
rm -rf "$folder"
mkdir -p "$folder/build/tests" "$folder/lib" "$folder/tools/reference"
cp "$scene" "$folder/build/scene"
cp "$tests" "$folder/build/tests/gpu_tests"
strip --strip-debug "$folder/build/scene" "$folder/build/tests/gpu_tests"
cp tools/gpu_check.sh tools/gpu_report.py "$folder/tools/"
cp tools/reference/bench_peer_gpu.py tools/reference/models.py "$folder/tools/reference/"
ldd "$scene" "$tests" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*)\.so' | while read -r library; do
        cp -L "$library" "$folder/lib/"
    done
git rev-parse HEAD > "$folder/COMMIT" 2> /dev/null || echo unknown > "$folder/COMMIT"
git diff --quiet HEAD 2> /dev/null || echo "with changes" >> "$folder/COMMIT"
bytes=$(du -sb "$folder" | cut -f1)
if [ "$bytes" -gt "$most" ]; then
    echo "bundle: $folder has $bytes bytes, more than $most" >&2
    exit 1
fi
echo "$folder: $((bytes / 1024 / 1024)) MiB; copy it to the machine with the GPU and run tools/gpu_check.sh in it"
