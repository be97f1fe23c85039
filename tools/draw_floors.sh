#!/bin/bash
# Usage: tools/draw_floors.sh > docs/floors.svg   (make floors; make check-floors compares)
#
# Draws the rooms of the sources as floors, from their #include lines: the files and thousands of lines of each room, and
# the number of includes from a room down to another. The status is 1 if an include goes up or into the room beside, or if
# two folders of a room include each other, directly or through others. (In kernels/ they do: a device knows all ops.)
set -eu
cd "$(dirname "$0")/.."

git ls-files 'kernels/*' 'model/*' 'data/*' 'train/*' 'tools/*' | grep -E '\.(cpp|h|cu)$' |
xargs awk '
# From the top down; rooms of one floor do not know each other.
BEGIN {
    split("tools train model data kernels", rooms, " ")
    level["tools"] = 0; level["train"] = 1; level["model"] = level["data"] = 2; level["kernels"] = 3
    says["tools"] = "the command, benchmarks"; says["train"] = "stages, pseudo labels, reports"
    says["model"] = "program, planner, networks"; says["data"] = "audio to feature store"
    says["kernels"] = "one folder an op; devices"
}
FNR == 1 {
    n = split(FILENAME, part, "/"); room = part[1]
    folder = n > 3 ? part[1] "/" part[2] "/" part[3] : n > 2 ? part[1] "/" part[2] : part[1]
    ++files[folder]; ++room_files[room]
}
{ ++room_lines[room] }
/^#include "/ {
    split($2, quoted, "\""); split(quoted[2], to, "/")
    if (to[1] == room && room != "kernels" && n > 2 && to[3] != "" && to[2] != part[2]) needs[folder, room "/" to[2]] = FILENAME
    delete to[3]
    if (!(to[1] in level) || to[1] == room) next
    ++edge[room, to[1]]
    if (level[to[1]] <= level[room]) { print FILENAME ": includes " quoted[2] ", which is not below it" > "/dev/stderr"; wrong = 1 }
}
function box(x, y, w, h, class) { printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" class=\"%s\"/>\n", x, y, w, h, class }
function text(x, y, class, words) { printf "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, words }
function draw_room(name, x, y, w,    i, at, names, count, folder, label, part) {
    box(x, y, w, height[name], "room")
    text(x + 12, y + 22, "name", name "/")
    text(x + 12 + 11 * (length(name) + 1), y + 22, "says", says[name] " · " room_files[name] " files, " sprintf("%.0f", room_lines[name] / 1000) ",000 lines")
    count = 0
    for (folder in files) if (index(folder, name "/") == 1) names[++count] = folder
    for (i = 1; i < count; ++i) for (at = i + 1; at <= count; ++at) if (names[at] < names[i]) { part = names[i]; names[i] = names[at]; names[at] = part }
    columns = int((w - 16) / 184)
    for (i = 1; i <= count; ++i) {
        label = substr(names[i], length(name) + 2)
        at = i - 1
        box(x + 12 + (at % columns) * 184, y + 34 + int(at / columns) * 26, 178, 21, "folder")
        text(x + 18 + (at % columns) * 184, y + 49 + int(at / columns) * 26, "small", label " (" files[names[i]] ")")
    }
}
function rows_of(name, w,    folder, count) {
    for (folder in files) if (index(folder, name "/") == 1) ++count
    return int((count + int((w - 16) / 184) - 1) / int((w - 16) / 184))
}
function arrow(x, y0, y1, from, to) {
    if (!((from, to) in edge)) return
    printf "<path d=\"M%d %dV%d\" class=\"arrow\" marker-end=\"url(#tip)\"/>\n", x, y0, y1 - 4
    text(x + 5, y1 - 10, "small", edge[from, to])
}
# Reports every include that closes a cycle: a path of `needs` from `from` back to `to`.
function find_way(from, to, seen,    pair, ends) {
    seen[from] = 1
    for (pair in needs) {
        split(pair, ends, SUBSEP)
        if (ends[1] != from) continue
        if (ends[2] == to) { print needs[pair] ": includes from " to ", which needs " from > "/dev/stderr"; wrong = 1 }
        if (!(ends[2] in seen)) find_way(ends[2], to, seen)
    }
}
END {
    for (folder in files) { delete seen; find_way(folder, folder, seen) }
    width = 960; half = 472
    for (i = 1; i <= 5; ++i) { name = rooms[i]; wide[name] = level[name] == 2 ? half : width; height[name] = 44 + 26 * rows_of(name, wide[name]) }
    gap = 36; top["tools"] = 8; top["train"] = top["tools"] + height["tools"] + gap
    top["model"] = top["data"] = top["train"] + height["train"] + gap
    middle = height["model"] > height["data"] ? height["model"] : height["data"]; height["model"] = height["data"] = middle
    top["kernels"] = top["model"] + middle + gap
    total = top["kernels"] + height["kernels"] + 8
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Rooms of the sources and how many includes go down from each\">\n", width + 16, total
    print "<style>text{font-family:sans-serif;fill:#1b1f24}.name{font-size:16px;font-weight:bold}.says{font-size:13px}.small{font-size:12px}"
    print ".room{fill:#f6f8fa;stroke:#57606a}.folder{fill:#fff;stroke:#afb8c1}.arrow{stroke:#0969da;fill:none;stroke-width:1.5}"
    print "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.room{fill:#161b22;stroke:#8b949e}.folder{fill:#0d1117;stroke:#484f58}.arrow{stroke:#4493f8}}</style>"
    print "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"4\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#0969da\"/></marker></defs>"
    for (i = 1; i <= 5; ++i) { name = rooms[i]; draw_room(name, 8 + (name == "data" ? width - half : 0), top[name], wide[name]) }
    below = top["tools"] + height["tools"]
    arrow(90, below, top["train"], "tools", "train"); 
    below = top["train"] + height["train"]
    arrow(90, below, top["model"], "train", "model"); arrow(8 + width - half + 90, below, top["data"], "train", "data")
    below = top["model"] + middle
    arrow(90, below, top["kernels"], "model", "kernels"); arrow(8 + width - half + 90, below, top["kernels"], "data", "kernels")
    printf "<text x=\"%d\" y=\"%d\" class=\"small\">also: tools to model %d, to data %d, to kernels %d; train to kernels %d</text>\n", 200, top["train"] - 12, edge["tools", "model"], edge["tools", "data"], edge["tools", "kernels"], edge["train", "kernels"]
    print "</svg>"
    exit wrong
}'
