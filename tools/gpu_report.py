"""Puts the parts of a gpu_check, so far as they have run, into one JSON report: gpu_report.py FOLDER [REPORT]. Prints the
report's path."""

import csv
import json
import pathlib
import re
import sys


def text_of(path: pathlib.Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def json_of(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return None


def outcome(status: str) -> str:
    if not status.isdigit():
        return status  # "unfinished" or "left out"
    known = {0: "passed", 124: "stopped at its limit", 137: "killed at its limit"}
    return known.get(int(status), f"failed with exit status {status}")


def tests_of(suites: dict) -> dict:
    tests = [test for suite in suites["testsuites"] for test in suite["testsuite"]]
    skipped = sum(test["result"] == "SKIPPED" for test in tests)
    failed = {
        f"{test['classname']}.{test['name']}": test["failures"][0]["failure"][:1000]
        for test in tests
        if test.get("failures")
    }
    return {"passed": len(tests) - skipped - len(failed), "skipped": skipped, "failed": failed}


def traffic_of(csv_text: str) -> dict:
    """Bytes that went to and from device memory, by Nsight Compute's CSV: lines before the header are the program's."""
    lines = csv_text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    rows = [row for row in csv.DictReader(lines[begin:]) if row["Metric Name"].startswith("dram__bytes_")]
    amounts = [float(row["Metric Value"].replace(",", "")) for row in rows]
    return {"kernels": len({(row["Process ID"], row["ID"]) for row in rows}), "device_memory_bytes": sum(amounts)}


def part(folder: pathlib.Path, name: str) -> dict:
    """What a part gave: tests counted, JSON as it is, and the end of its output where there is neither."""
    entry = {"outcome": outcome(text_of(folder / f"{name}.status").strip())}
    if seconds := text_of(folder / f"{name}.seconds").strip():
        entry["seconds"] = int(seconds)
    text = text_of(folder / f"{name}.out")
    if counters := text_of(folder / f"{name}.csv"):
        entry |= traffic_of(counters)
    if tests := json_of(text_of(folder / f"{name}.json")):
        entry |= tests_of(tests)
    elif results := json_of(text):
        entry["results"] = results
    elif lines := (text + text_of(folder / f"{name}.log")).strip().splitlines():
        entry["output"] = lines[-20:]
    return entry


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    info = json.loads((folder / "info.json").read_text())
    gpu = next(device for device in info["devices"] if device["kind"] == "cuda")
    report = {
        "commit": " ".join(text_of(folder / "commit").split()) or "unknown",
        "device": gpu["name"],
        "driver": text_of(folder / "driver").strip() or "unknown",
        "libraries": gpu["libraries"],
        "build": info["build"],
        "parts": {name: part(folder, name) for name in text_of(folder / "parts").split()},
    }
    short = re.sub(r"[^A-Za-z0-9]+", "-", gpu["name"].split(",")[0]).strip("-").lower()
    given = sys.argv[2] if len(sys.argv) > 2 else ""
    path = pathlib.Path(given or f"docs/gpu/{short}-{report['commit'][:10]}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    temporary.rename(path)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
