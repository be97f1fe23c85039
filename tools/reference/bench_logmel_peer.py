"""Times librosa's log-mel of one 10-second clip with the paper's settings, on one thread.

Run from the root of the repository:  python tools/reference/bench_logmel_peer.py [REPEATS]
Prints one JSON object with name, median_ms and clips_per_s, as `scene bench --json` does for ours.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import json
import statistics
import sys
import time

import numpy as np

from make_logmel_goldens import PAPER, log_mel, noise


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    wave = noise(441000).astype(np.float32)
    log_mel(wave, **PAPER)  # librosa imports and caches on the first call
    milliseconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        log_mel(wave, **PAPER)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    median = statistics.median(milliseconds)
    print(json.dumps({"name": "log-mel librosa", "median_ms": round(median, 3), "clips_per_s": round(1e3 / median, 1)}))


if __name__ == "__main__":
    main()
