"""Collects the parts of a gpu_check that have run in one JSON report: gpu_report.py FOLDER [REPORT]. Prints the report's
path."""

import csv
import json
import pathlib
import re
import sys

MOST_OF_A_FAILURE = 8000  # characters
MOST_OPS = 12  # in the table of those that lose the most time
MOST_FAILURES = 200  # of a part's tests, with their texts


def text_of(path: pathlib.Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def json_of(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return None


def ends_of(text: str) -> str:
    half = MOST_OF_A_FAILURE // 2
    return text if len(text) <= 2 * half else text[:half] + "\n[...]\n" + text[-half:]


def tests_of(output: str) -> dict:
    """From GoogleTest's lines, which exist also when the process died: the test in which it died is "running"."""
    counts = {"OK": 0, "FAILED": 0, "SKIPPED": 0}
    failed, running, text = {}, None, []
    for line in output.splitlines():
        if begin := re.match(r"\[ RUN      \] (\S+)", line):
            running, text = begin[1], []
        elif end := re.match(r"\[ *(OK|FAILED|SKIPPED) *\] (\S+?),? .*ms\)$", line):
            counts[end[1]] += 1
            if end[1] == "FAILED":
                failed[end[2]] = ends_of("\n".join(text)) if len(failed) < MOST_FAILURES else ""
            running = None
        else:
            text.append(line)
    if not running and not any(counts.values()):
        return {}
    entry = {"passed": counts["OK"], "skipped": counts["SKIPPED"], "failed": failed}
    return entry | ({"running": running} if running else {})


def traffic_of(csv_text: str) -> dict:
    """Bytes read from and written to device memory, by Nsight Compute's CSV. Lines before the header are the program's."""
    lines = csv_text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    rows = [row for row in csv.DictReader(lines[begin:]) if row["Metric Name"].startswith("dram__bytes_")]
    amounts = [float(row["Metric Value"].replace(",", "")) for row in rows]
    return {"kernels": len({(row["Process ID"], row["ID"]) for row in rows}), "device_memory_bytes": sum(amounts)}


def part(folder: pathlib.Path, name: str) -> dict:
    """A part's tests, or its JSON as it is; the end of its output if it did not pass or gave neither."""
    entry = {"outcome": text_of(folder / f"{name}.status").strip()}
    if seconds := text_of(folder / f"{name}.seconds").strip():
        entry["seconds"] = int(seconds)
    text = text_of(folder / f"{name}.out")
    if counters := text_of(folder / f"{name}.csv"):
        entry |= traffic_of(counters)
    entry |= tests_of(text)
    if results := json_of(text):
        entry["results"] = results
    if entry["outcome"] != "passed" or not ("passed" in entry or results):
        if lines := (text + text_of(folder / f"{name}.log")).strip().splitlines():
            entry["output"] = [line[:1000] for line in lines[-40:]]
    return entry


def ops_of(parts: dict) -> list:
    """Every op that a benchmark timed: a table to lay beside what was predicted."""
    return [
        {"part": name, "benchmark": result["name"], "op": op["name"], "kind": op["kind"], "median_ms": op["median_ms"]}
        for name, entry in parts.items()
        for result in entry.get("results", [])
        if isinstance(result, dict)
        for op in result.get("ops", [])
    ]


def slowest(parts: dict) -> str:
    """The ops of the last step that lose the most time to the roofline, as a table; empty without such a step. The last
    is the one with fusions, if both calls ran."""
    for entry in reversed(parts.values()):
        for result in entry.get("results", []):
            ops = [op for op in result.get("ops", []) if "share_of_roofline" in op] if isinstance(result, dict) else []
            if len(ops) < 4:  # a single convolution
                continue
            lost = sorted(((op["median_ms"] * (1 - op["share_of_roofline"]), op) for op in ops), key=lambda pair: -pair[0])
            lines = [f"{result['name']}: the ops that lose the most time to the roofline, ms", "    lost  median  op (kind)"]
            lines += [f"{ms:8.3f}{op['median_ms']:8.3f}  {op['name']} ({op['kind']})" for ms, op in lost[:MOST_OPS]]
            return "\n".join(lines) + "\n"
    return ""


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    call = text_of(folder / "call").strip()
    info = json_of(text_of(folder / "info.out")) or {}
    unknown = {"name": "unknown", "libraries": "unknown"}
    gpu = next((device for device in info.get("devices", []) if device["kind"] == "cuda"), unknown)
    report = {
        "call": call,
        "commit": " ".join(text_of(folder / "commit").split()) or "unknown",
        "device": gpu["name"],
        "driver": text_of(folder / "driver").strip() or "unknown",
        "libraries": gpu["libraries"],
        "build": info.get("build"),
        "parts": {name: part(folder, name) for name in text_of(folder / "parts").split()},
    }
    report["ops"] = ops_of(report["parts"])
    (folder / "slowest").write_text(slowest(report["parts"]))
    short = re.sub(r"[^A-Za-z0-9]+", "-", gpu["name"].split(",")[0]).strip("-").lower()
    which = "" if call == "all" else f"-{call}"
    given = sys.argv[2] if len(sys.argv) > 2 else ""
    path = pathlib.Path(given or f"docs/gpu/{short}-{report['commit'][:10]}{which}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    temporary.rename(path)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
