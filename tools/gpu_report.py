"""Puts the parts of a gpu_check into one JSON report: gpu_report.py FOLDER [REPORT]. Prints the report's path."""

import json
import pathlib
import re
import subprocess
import sys


def output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit() -> str:
    bundled = pathlib.Path("COMMIT")
    if bundled.is_file():
        return bundled.read_text().strip()
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    return output("git", "rev-parse", "HEAD") + (" with changes" if changed else "")


def tests_of(path: pathlib.Path) -> dict:
    suites = json.loads(path.read_text())
    failed = [
        f"{suite['name']}.{test['name']}"
        for suite in suites["testsuites"]
        for test in suite["testsuite"]
        if test.get("failures")
    ]
    return {"passed": suites["tests"] - len(failed), "failed": failed}


def part(folder: pathlib.Path, name: str) -> dict:
    text = (folder / f"{name}.out").read_text()
    entry = {
        "exit_status": int((folder / f"{name}.status").read_text()),
        "seconds": int((folder / f"{name}.seconds").read_text()),
    }
    if name == "tests" and (folder / "tests.json").is_file():
        return entry | tests_of(folder / "tests.json")
    try:
        entry["results"] = json.loads(text)
    except ValueError:
        lines = (text + (folder / f"{name}.log").read_text()).strip().splitlines()
        entry["output"] = lines[-20:]
    return entry


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    info = json.loads((folder / "info.json").read_text())
    gpu = next(device for device in info["devices"] if device["kind"] == "cuda")
    driver = output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    names = sorted(path.stem for path in folder.glob("*.status"))
    report = {
        "commit": commit(),
        "device": gpu["name"],
        "driver": driver or "unknown",
        "libraries": gpu["libraries"],
        "build": info["build"],
        "parts": {name: part(folder, name) for name in names},
    }
    short = re.sub(r"[^A-Za-z0-9]+", "-", gpu["name"].split(",")[0]).strip("-").lower()
    path = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else f"docs/gpu/{short}-{report['commit'][:10]}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    temporary.rename(path)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
