#!/bin/bash
# Runs the GoogleTest programs given and ends with "N passed, N failed, N skipped". A program that is missing, crashes,
# runs too long or contains no test counts as one failure. A fuzz program (*_fuzz) is one test, of a bounded length.
set -u

passed=0 failed=0 skipped=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# Sum of an attribute over all <testsuite> elements of the report.
sum_of() {
    grep -o '<testsuite [^>]*' "$report" | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' | awk '{ sum += $1 } END { print sum + 0 }'
}

for program in "$@"; do
    echo "== $program"
    if [[ $program == *_fuzz ]]; then
        if timeout 300 "$program" "${FUZZ_INPUTS:-30000}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
        continue
    fi
    : > "$report"
    timeout --kill-after=10 "${TEST_TIMEOUT:-900}" "$program" --gtest_brief=1 --gtest_output="xml:$report"
    status=$?
    tests=$(sum_of tests)
    failures=$(($(sum_of failures) + $(sum_of errors)))
    not_run=$(($(sum_of skipped) + $(sum_of disabled)))
    passed=$((passed + tests - failures - not_run))
    failed=$((failed + failures))
    skipped=$((skipped + not_run))
    if [ "$tests" = 0 ] || { [ $status != 0 ] && [ "$failures" = 0 ]; }; then
        echo "$program: exit status $status after $tests reported tests; counted as a failure"
        failed=$((failed + 1))
    fi
done

[ $((passed + failed)) -gt 0 ] || { echo "no test ran"; failed=1; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
