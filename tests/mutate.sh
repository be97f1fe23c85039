#!/bin/bash
# Usage: tests/mutate.sh ROOM...   Called by `make mutation-test`, which sets for every room ROOM
#   PROGRAM_ROOM   its test program, built from the unchanged sources
#   FLAGS_ROOM     how its sources are compiled
#   OBJECTS_ROOM   what the program is linked from: objects, then archives
#   LIBS_ROOM      libraries and other flags of the link
# and CXX, OUT (a folder for the mutants), JOBS (how many at a time) and, for other lists than the project's, LISTS.
#
# Plants the faults of $LISTS/ROOM.txt (tests/mutations) in copies of the sources, one at a time, and requires that the
# room's tests fail. A line of the list:
#   file | source compiled | gtest filter of tests that must fail | what is planted | sed -E edit
# The source compiled is the file itself unless that is a header. A fault whose tests hang is found; one that changes
# nothing or does not compile is an error. Prints a Markdown table per room, which is also in $OUT/ROOM.md. The status is
# 1 if a fault was not found.
set -uf
patience=300 # seconds; the slowest filter takes a tenth

trimmed() { local text=$1; read -r text <<< "$text"; printf %s "$text"; }

# How a run of tests failed, in a word. $1: its status, $2: its output.
kind_of() {
    if [ "$1" = 124 ]; then echo "hang"
    elif grep -q "nothing orders them" "$2"; then echo "race"
    elif grep -q "nobody wrote" "$2"; then echo "uninitialised read"
    elif grep -q "out of bounds" "$2"; then echo "access out of bounds"
    elif grep -qE "at the barrier|warp operation|in the mask" "$2"; then echo "divergent barrier"
    elif grep -q ": Failure" "$2"; then echo "wrong result"
    elif grep -q "unknown file: Failure\|C++ exception" "$2"; then echo "exception"
    else echo "crash"; fi
}

# One fault; leaves its row of the table in $tree/row. $1: room, $2: number, $3: line of the list.
plant() {
    local room=$1 tree=$OUT/$1/$2 file source filter fault edit found status
    IFS='|' read -r file source filter fault edit <<< "$3"
    file=$(trimmed "$file") source=$(trimmed "$source") filter=$(trimmed "$filter") fault=$(trimmed "$fault")
    local flags=FLAGS_$room objects=OBJECTS_$room libs=LIBS_$room mutant=$source
    mkdir -p "$tree/$(dirname "$file")"
    sed -E "$edit" "$file" > "$tree/$file"
    [ "$file" = "$source" ] && mutant=$tree/$source
    # The mutant is linked before the archives, so that the original is not taken from them. An original that is linked as
    # an object is left out.
    if cmp -s "$file" "$tree/$file"; then
        found="NOT PLANTED: the edit changes nothing"
    elif ! $CXX -I"$tree" ${!flags} -w -MF "$tree/depends" -x c++ -c "$mutant" -o "$tree/mutant.o" > "$tree/log" 2>&1; then
        found="NOT PLANTED: does not compile"
    elif ! $CXX "$tree/mutant.o" $(tr ' ' '\n' <<< "${!objects}" | grep -v "/$source\.o$") ${!libs} \
            -o "$tree/tests" >> "$tree/log" 2>&1; then
        found="NOT PLANTED: does not link"
    else
        timeout $patience "$tree/tests" --gtest_brief=1 --gtest_fail_fast --gtest_filter="$filter" > "$tree/log" 2>&1
        status=$?
        if [ $status = 0 ]; then found="NOT FOUND"; else found=$(kind_of $status "$tree/log"); fi
    fi
    rm -f "$tree/tests" "$tree/mutant.o"
    [ "$file" = "$source" ] || file="$file\` in \`$source"
    echo "| \`$file\` | $fault | $found |" > "$tree/row"
}

planted=0 missed=0
for room; do
    rm -rf "${OUT:?}/$room"
    list=${LISTS:-tests/mutations}/$room.txt program=PROGRAM_$room
    mapfile -t faults < <(grep -vE '^ *(#|$)' "$list")
    # A fault counts as found only if the same tests pass without it.
    filters=$(for line in "${faults[@]}"; do trimmed "$(cut -d'|' -f3 <<< "$line")"; echo; done | sort -u | paste -sd:)
    if ! timeout $((10 * patience)) "${!program}" --gtest_brief=1 --gtest_filter="$filters"; then
        echo "$room: the tests fail without a fault"
        exit 1
    fi
    for i in "${!faults[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-1}" ]; do wait -n; done
        plant "$room" "$i" "${faults[i]}" &
    done
    wait
    {
        echo
        echo "| $room | fault | found as |"
        echo "|---|---|---|"
        for i in "${!faults[@]}"; do cat "$OUT/$room/$i/row"; done
    } | tee "$OUT/$room.md"
    for i in "${!faults[@]}"; do
        grep -q "| NOT [A-Z]*[:A-Za-z ]* |$" "$OUT/$room/$i/row" && missed=$((missed + 1))
    done
    planted=$((planted + ${#faults[@]}))
done
echo
echo "$planted faults planted, $((planted - missed)) found"
[ "$missed" = 0 ]
