#!/bin/bash
# Plants the faults of mutations.txt in copies of the kernels, one at a time, and requires that the kernel's tests fail.
# Prints a Markdown table; ends with status 1 if a fault was not found. Called by `make mutation-test`, which sets
# CXX, FLAGS (of kernels), LIBS, OBJECTS (all of the test program) and OUT (a folder for the mutants).
set -u
list=$(dirname "$0")/mutations.txt
rm -rf "$OUT"
mkdir -p "$OUT"
planted=0 missed=0

# What the output of a failed test says, in a word.
kind_of() {
    if grep -q "nothing orders them" "$1"; then echo "race"
    elif grep -q "nobody wrote" "$1"; then echo "uninitialised read"
    elif grep -q "out of bounds" "$1"; then echo "access out of bounds"
    elif grep -qE "at the barrier|warp operation|in the mask" "$1"; then echo "divergent barrier"
    elif grep -q ": Failure" "$1"; then echo "wrong result"
    else echo "crash"; fi
}

echo "| kernel | fault | found as |"
echo "|---|---|---|"
while IFS='|' read -r file unit filter fault edit; do
    read -r file <<< "$file"; read -r unit <<< "$unit"; read -r filter <<< "$filter"; read -r fault <<< "$fault"
    case $file in '' | \#*) continue ;; esac
    planted=$((planted + 1))
    tree=$OUT/$planted
    mkdir -p "$tree/kernels/cuda"
    sed -E "$edit" "$file" > "$tree/$file"
    source=kernels/cuda/$unit.cu
    [ -f "$tree/$source" ] && source=$tree/$source
    if cmp -s "$file" "$tree/$file"; then
        found="NOT PLANTED: the edit changes nothing"
    elif ! $CXX -I"$tree" $FLAGS -MF "$tree/depends" -x c++ -c "$source" -o "$tree/mutant.o" > "$tree/log" 2>&1; then
        found="NOT PLANTED: does not compile"
    elif ! $CXX "$tree/mutant.o" $(tr ' ' '\n' <<< "$OBJECTS" | grep -v "/kernels/cuda/$unit\.cu\.o$") $LIBS \
            -o "$tree/tests" >> "$tree/log" 2>&1; then
        found="NOT PLANTED: does not link"
    elif timeout 300 "$tree/tests" --gtest_brief=1 --gtest_fail_fast --gtest_filter="$filter" > "$tree/log" 2>&1; then
        found="NOT FOUND"
    else
        found=$(kind_of "$tree/log")
    fi
    case $found in NOT*) missed=$((missed + 1)) ;; esac
    echo "| \`$(basename "$file")\`$([ "$(basename "$file")" = "$unit.cu" ] || echo " in \`$unit.cu\`") | $fault | $found |"
    rm -f "$tree/tests" "$tree/mutant.o"
done < "$list"
echo
echo "$planted faults planted, $((planted - missed)) found"
[ "$missed" = 0 ]
