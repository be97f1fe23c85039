#!/bin/bash
# Usage: tools/compile_commands.sh MAKE > compile_commands.json   (make compdb)
#
# The compile command of every source, from a dry run of make. A file that is compiled several times has its first command.
set -eu
"$1" --no-print-directory --dry-run --always-make PCH=0 V=1 programs 2> /dev/null |
grep -v ' -c build/' |
grep -E '^(ccache )?[^ ]*(g\+\+|clang\+\+|c\+\+) .* -c [^ ]+\.(cpp|cu) ' |
sed -E 's/^ccache //; s/ -fno-gnu-unique//; s/ --param [^ ]+//' | # clang knows none of these
awk -v folder="$PWD" '
{
    for (i = 1; i < NF; ++i) if ($i == "-c") source = $(i + 1)
    if (source in seen) next
    seen[source] = 1
    gsub(/\\/, "\\\\"); gsub(/"/, "\\\"")
    printf "%s\n  {\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}", (count++ ? "," : "["), folder, source, $0
}
END { print count ? "\n]" : "[]" }'
