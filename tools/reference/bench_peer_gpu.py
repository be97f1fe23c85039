"""PyTorch on a GPU doing what `scene bench --device cuda` measures, tuned as its best user would. Prints one JSON array.

    python bench_peer_gpu.py [--names fcnn_train_b256,...] [--precision fp16|bf16|tf32|fp32] [--repetitions 20]
        [--variants eager,compiled]

Names are those of `scene bench`: ARCHITECTURE_train_bN and ARCHITECTURE_infer_bN, audio-only, full size.
Settings: activations and weights channels-last, cudnn.benchmark on, fp16 by autocast with a GradScaler, bf16 by autocast, Adam fused, the data
on the device. Variants: eager, and torch.compile in mode max-autotune (with CUDA graphs).
Times are measured by CUDA events after a warm-up, the median of the repetitions. peak_bytes is
torch.cuda.max_memory_allocated of the variant.
"""

import argparse
import json
import re
import statistics
import sys

import torch

import models

FRAMES, BANDS, CLASSES = 500, 64, 10
WARM_UPS = 5

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--names", default="fcnn_train_b64,fcnn_train_b256,se_trans_train_b256,fcnn_infer_b256")
parser.add_argument("--precision", choices=("fp32", "tf32", "fp16", "bf16"), default="fp16")
parser.add_argument("--repetitions", type=int, default=20)
parser.add_argument("--variants", default="eager,compiled")
arguments = parser.parse_args()

HALF_WIDTH = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(arguments.precision)
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arguments.precision != "fp32"


def autocast():
    return torch.autocast("cuda", HALF_WIDTH or torch.float16, enabled=HALF_WIDTH is not None)


class Training:
    def __init__(self, model, batch: int, compiled: bool):
        self.model = model.train()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
        self.scaler = torch.amp.GradScaler("cuda", enabled=HALF_WIDTH is torch.float16)
        self.logmel = [20 * torch.randn(batch, FRAMES, BANDS, device="cuda") - 40 for _ in range(2)]
        self.labels = torch.arange(batch, device="cuda") % CLASSES
        self.weights = torch.ones(batch, device="cuda")
        self.loss = torch.compile(self.forward, mode="max-autotune") if compiled else self.forward
        self.step = 0

    def forward(self, logmel):
        with autocast():
            logits = self.model(logmel)
        return models.scene_loss(logits.float(), self.labels, self.weights).mean()

    def __call__(self):
        self.step += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(self.loss(self.logmel[self.step % 2])).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()


class Inference:
    def __init__(self, model, batch: int, compiled: bool):
        self.model = model.eval()
        self.logmel = [20 * torch.randn(batch, FRAMES, BANDS, device="cuda") - 40 for _ in range(2)]
        self.probabilities = torch.compile(self.forward, mode="max-autotune") if compiled else self.forward
        self.step = 0

    def forward(self, logmel):
        with autocast():
            return self.model(logmel).float().softmax(1)

    @torch.no_grad()
    def __call__(self):
        self.step += 1
        self.probabilities(self.logmel[self.step % 2])


def milliseconds(step) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    step()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def measure(name: str, compiled: bool) -> dict:
    architecture, kind, batch = re.fullmatch(r"(\w+)_(train|infer)_b(\d+)", name).groups()
    torch.manual_seed(1)
    model = models.MODELS[architecture]().initialize().cuda().to(memory_format=torch.channels_last)
    torch.cuda.reset_peak_memory_stats()
    step = (Training if kind == "train" else Inference)(model, int(batch), compiled)
    for _ in range(WARM_UPS):
        step()
    torch.cuda.synchronize()
    times = [milliseconds(step) for _ in range(arguments.repetitions)]
    median = statistics.median(times)
    return {
        "name": name,
        "variant": "compiled max-autotune" if compiled else "eager",
        "precision": arguments.precision,
        "median_ms": median,
        "min_ms": min(times),
        "clips_per_s": 1e3 * int(batch) / median,
        "peak_bytes": torch.cuda.max_memory_allocated(),
    }


def main() -> int:
    if not torch.cuda.is_available():
        print("bench_peer_gpu.py: PyTorch finds no GPU", file=sys.stderr)
        return 1
    common = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }
    results = []
    for name in arguments.names.split(","):
        for variant in arguments.variants.split(","):
            try:
                results.append(measure(name, variant == "compiled") | common)
            except Exception as error:  # a variant that cannot run is part of the report
                line = str(error).strip().split("\n")[0]
                results.append({"name": name, "variant": variant, "error": line} | common)
            torch._dynamo.reset()
            torch.cuda.empty_cache()
            print(f"{name} {results[-1]['variant']} {results[-1].get('median_ms')}", file=sys.stderr)
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
