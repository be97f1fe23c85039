#!/bin/bash
# Makes a folder that runs gpu_check.sh on a machine with a GPU, where nothing can be built or installed:
#   tools/bundle.sh FOLDER SCENE GPU_TESTS          (also makes FOLDER.tar.gz, a third of the size)
# It has the programs, the shared libraries that they are linked to, the scripts, and the commit. The C library is not in it:
# the other machine has one, which must be at least as new as the programs need. cuDNN, cuBLASLt and cuFFT are not in it
# either, since each has several hundred megabytes; gpu_check.sh finds those that PyTorch brings.
set -eu
folder=$1 scene=$2 tests=$3
most=$((64 * 1024 * 1024))
rm -rf "$folder"
mkdir -p "$folder/build/tests" "$folder/lib" "$folder/tools/reference"
cp "$scene" "$folder/build/scene"
cp "$tests" "$folder/build/tests/gpu_tests"
strip "$folder/build/scene" "$folder/build/tests/gpu_tests"
cp tools/gpu_check.sh tools/gpu_report.py tools/profile.sh "$folder/tools/"
cp -r configs "$folder/"
cp tools/reference/bench_peer_gpu.py tools/reference/models.py "$folder/tools/reference/"
ldd "$scene" "$tests" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*)\.so' | while read -r library; do
        cp -L "$library" "$folder/lib/"
    done
git rev-parse HEAD > "$folder/COMMIT" 2> /dev/null || echo unknown > "$folder/COMMIT"
git diff --quiet HEAD 2> /dev/null || echo "with changes" >> "$folder/COMMIT"
newest=$(objdump -T "$folder/build/scene" "$folder/build/tests/gpu_tests" "$folder"/lib/* | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
tar -czf "$folder.tar.gz" -C "$(dirname "$folder")" "$(basename "$folder")"
packed=$(stat -c %s "$folder.tar.gz")
if [ "$packed" -gt "$most" ]; then
    echo "bundle: $folder.tar.gz has $packed bytes, more than $most; build for fewer GPUs (CUDA_ARCHS)" >&2
    exit 1
fi
mib() { echo $((($1 + 1048575) / 1048576)); }
echo "$folder: $(mib "$(du -sb "$folder" | cut -f1)") MiB ($(mib "$packed") as $folder.tar.gz), for ${newest/_/ } or newer;" \
    "copy it to the machine with the GPU and run tools/gpu_check.sh contact in it"
