#!/bin/bash
# Runs the GoogleTest programs given, JOBS at once (all cores), and ends with "N passed, N failed, N skipped". A program
# given as PROGRAM@v2,v3,v4 runs once with each of the CPU kernels that $SCENE can use here (SCENE_ISA). A program that is
# missing, crashes, runs too long or contains no test counts as one failure. A fuzz program (*_fuzz) is one test, of a
# bounded length. The output of a program is printed when it has ended.
set -u

# Programs share the cores, so a thread that waits for another must not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
work=$(mktemp -d)
# timeout has a process group of its own, which Ctrl-C does not reach.
trap 'cat "$work"/*.process 2> /dev/null | xargs -r kill 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# sum_of REPORT ATTRIBUTE: over all <testsuite> elements of the report.
sum_of() {
    grep -o '<testsuite [^>]*' "$1" 2> /dev/null | grep -o " $2=\"[0-9]*\"" | tr -dc '0-9\n' | awk '{ sum += $1 } END { print sum + 0 }'
}

# limited SECONDS COMMAND...
limited() {
    timeout --kill-after=10 "$@" &
    echo $! > "$result.process"
    wait $!
    local status=$?
    rm -f "$result.process"
    return $status
}

# run PROGRAM[@ISA], with what it prints on stdout: "passed failed skipped" in $result.counts
run() {
    local program=${1%@*} report=$result.xml status tests failures not_run passes broken=0
    if [[ $1 == *@* ]]; then export SCENE_ISA=${1##*@}; fi
    echo "== $program${SCENE_ISA:+ with the CPU kernels for $SCENE_ISA}"
    if [[ $program == *_fuzz ]]; then
        limited 300 "$program" && passes=1 || passes=0
        echo $passes $((1 - passes)) 0 > "$result.counts"
        return
    fi
    limited "${TEST_TIMEOUT:-900}" "$program" --gtest_brief=1 --gtest_output="xml:$report"
    status=$?
    tests=$(sum_of "$report" tests)
    failures=$(($(sum_of "$report" failures) + $(sum_of "$report" errors)))
    not_run=$(($(sum_of "$report" skipped) + $(sum_of "$report" disabled)))
    if [ "$tests" = 0 ] || { [ $status != 0 ] && [ "$failures" = 0 ]; }; then
        echo "$program: exit status $status after $tests reported tests; counted as a failure"
        broken=1
    fi
    echo $((tests - failures - not_run)) $((failures + broken)) $not_run > "$result.counts"
}

programs=() unusable=""
for program in "$@"; do
    [[ $program == *@* ]] || { programs+=("$program"); continue; }
    for isa in $(tr , ' ' <<< "${program##*@}"); do
        if why=$(SCENE_ISA=$isa "$SCENE" info 2>&1 > /dev/null); then programs+=("${program%@*}@$isa"); else unusable=$why; fi
    done
done
started=0
for program in "${programs[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt "${JOBS:-$(nproc)}" ] || wait -n
    result=$work/$((started += 1))
    { run "$program" > "$result.out" 2>&1; cat "$result.out" 2> /dev/null; } &
done
wait

read -r passed failed skipped < <(cat "$work"/*.counts /dev/null | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
[ -z "$unusable" ] || echo "not all CPU kernels were tested here: ${unusable#scene: }"
[ $((passed + failed)) -gt 0 ] || { echo "no test ran"; failed=1; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
