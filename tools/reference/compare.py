"""Our benchmarks and PyTorch's (librosa's for logmel), taking turns on one machine.

    python tools/reference/compare.py [--threads 2] [--rounds 7] [--out results] [--peer onnxruntime] [NAME ...]

Both sides stay loaded and take turns (A B A B ...), so that a busy neighbour slows both. A turn is one repetition, or the
median of seven for a single clip. Measures, per name, the medians, the median over the rounds of (their seconds / our
seconds), and the peak resident memory of each side in a process of its own. logmel runs on one thread on both sides, as
librosa does. Writes OUT.json and OUT.md and prints the table.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ["fcnn_train_b16", "se_trans_train_b16", "se_trans_train_b64", "fcnn_infer_b16", "fcnn_infer_b1",
         "se_trans_infer_b16", "se_trans_infer_b1", "logmel"]  # fmt: skip


class Side:
    """A process that answers lines with JSON lines."""

    def __init__(self, command: list[str]):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        text = self.process.stdout.readline()
        answer = json.loads(text) if text else {"error": "it ended"}
        if "error" in answer:
            raise SystemExit(f"compare.py: {' '.join(self.command)}: '{line}': {answer['error']}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def output_of(command: list[str]):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def peer_command(arguments, threads: int) -> list[str]:
    command = [sys.executable, str(HERE / "bench_peer.py"), "--threads", str(threads)]
    return command + (["--no-compile"] if arguments.no_compile else [])


def in_a_row(name: str) -> int:
    """Repetitions per turn. A single clip takes tens of milliseconds, and for a while the other side's threads still spin,
    waiting for work."""
    return 7 if name.endswith("_b1") else 1


def measure(name: str, arguments) -> dict:
    threads = 1 if name == "logmel" else arguments.threads
    ours_command = [arguments.scene, "bench", "--threads", str(threads)]
    seconds = {"ours": [], "peer": []}
    with Side([*ours_command, "--serve"]) as ours, Side(peer_command(arguments, threads)) as peer:
        chosen = peer.ask(f"prepare {name} {'' if arguments.peer == 'pytorch' else arguments.peer}")
        for side in (ours, peer):
            side.ask(f"run {name}")  # loads and warms up
        for _ in range(arguments.rounds):
            for key, side in (("ours", ours), ("peer", peer)):
                answers = [side.ask(f"run {name}") for _ in range(in_a_row(name))]
                seconds[key].append(statistics.median(answer["seconds"] for answer in answers))
                answer = answers[0]
        clips = answer["clips"]

    result = {"name": name, "threads": threads, "clips": clips, "rounds": arguments.rounds, "seconds": seconds,
              "peer_variant": chosen["variant"], "peer_tried": chosen["tried"]}  # fmt: skip
    for key, values in seconds.items():
        result[f"{key}_median_ms"] = 1e3 * statistics.median(values)
        result[f"{key}_clips_per_s"] = clips / statistics.median(values)
    ratios = [theirs / our for our, theirs in zip(seconds["ours"], seconds["peer"])]
    result |= {"speedup": statistics.median(ratios), "speedup_min": min(ratios), "speedup_max": max(ratios)}

    if name != "logmel":
        bench = output_of([*ours_command, "--json", "--quiet", "--filter", name, "--repetitions", "3"])[0]
        memory = output_of([*peer_command(arguments, threads), "--memory", name, "--variant", chosen["variant"]])
        result["ours_peak_bytes"], result["peer_peak_bytes"] = bench["peak_bytes"], memory["peak_bytes"]
        result["peer_net_bytes"] = memory["net_bytes"]
        result["memory_ratio"] = bench["peak_bytes"] / memory["peak_bytes"]
        result["memory_ratio_net"] = bench["peak_bytes"] / memory["net_bytes"]
        for key in ("peak_gflops", "share_of_peak", "calibration_plausible"):
            result[key] = bench[key]
    return result


def table(results: list[dict]) -> str:
    head = ["benchmark", "ours clips/s", "peer clips/s", "times the peer (min to max)", "peer's fastest variant",
            "ours peak MB", "peer peak MB (without imports)", "memory ratio (without the peer's imports)"]  # fmt: skip
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for r in results:
        row = [r["name"], f"{r['ours_clips_per_s']:.2f}", f"{r['peer_clips_per_s']:.2f}",
               f"{r['speedup']:.2f} ({r['speedup_min']:.2f} to {r['speedup_max']:.2f})", r["peer_variant"]]  # fmt: skip
        if "memory_ratio" in r:
            row += [f"{r['ours_peak_bytes'] / 1e6:.0f}",
                    f"{r['peer_peak_bytes'] / 1e6:.0f} ({r['peer_net_bytes'] / 1e6:.0f})",
                    f"{r['memory_ratio']:.2f} ({r['memory_ratio_net']:.2f})"]  # fmt: skip
        else:
            row += ["", "", ""]
        rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def machine() -> dict:
    with open("/proc/cpuinfo") as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.processor(), "cores": os.cpu_count(), "system": platform.platform(),
            "load_average": os.getloadavg()}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}; all when none is given")
    parser.add_argument("--scene", default="build/scene")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", choices=["pytorch", "onnxruntime"], default="pytorch", help="the latter infers only")
    parser.add_argument("--no-compile", action="store_true", help="do not let the peer try torch.compile")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("comparison"), help="without extension")
    arguments = parser.parse_args()
    if arguments.rounds < 5:
        parser.error("at least 5 rounds")
    report = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "results": []}
    for name in arguments.names or [n for n in NAMES if arguments.peer == "pytorch" or "infer" in n]:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        report["results"].append(measure(name, arguments))
    arguments.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    text = table(report["results"])
    arguments.out.with_suffix(".md").write_text(f"`{report['command']}` on {report['machine']['cpu']}\n\n{text}")
    print(text, end="")


if __name__ == "__main__":
    main()
