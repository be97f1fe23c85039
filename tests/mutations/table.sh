#!/bin/bash
# Usage: tests/mutations/table.sh > docs/planted_faults.md   (make planted-faults)
# The faults of the lists here as a table: what `make mutation-test` plants.
set -eu
cd "$(dirname "$0")/../.."
echo "# Planted faults"
echo
echo "\`make planted-faults\` makes this page from the lists of \`tests/mutations/\`. \`make mutation-test\` plants each fault in a copy of its source and"
echo "requires that the tests named fail; it prints how each was found."
for list in tests/mutations/*.txt; do
    room=$(basename "$list" .txt)
    echo
    echo "## $room ($(grep -cvE '^ *(#|$)' "$list"))"
    echo
    echo "| source | fault | found by |"
    echo "|---|---|---|"
    grep -vE '^ *(#|$)' "$list" | while IFS='|' read -r file _ tests fault _; do
        read -r file <<< "$file"; read -r tests <<< "$tests"; read -r fault <<< "$fault"
        echo "| \`$file\` | $fault | \`$tests\` |"
    done
done
