"""PyTorch on the CPU doing what `scene bench` measures, tuned as its best user would.

    python bench_peer.py --threads 2                  answers lines on stdin (below)
    python bench_peer.py --threads 2 --memory NAME    peak memory of NAME in this process, as JSON

Each line of stdin is answered by one line of JSON, so that a driver (compare.py) can take turns with `scene bench --serve`:
    prepare NAME               tries every variant, keeps the fastest, drops the others:
                               {"name", "variant", "tried": {variant: seconds}}
    prepare NAME onnxruntime   the same network exported to ONNX and run by ONNX Runtime instead (inference only)
    run NAME                   one repetition of it: {"name", "seconds", "clips"} (prepares first if needed)

Names, at the paper's full size (500 frames, 64 bands, 10 classes), audio-only, fp32:
    fcnn_train_b16, se_trans_train_b16, se_trans_train_b64
        zero_grad, forward with dropout, weighted label-smoothed loss, backward, Adam
    fcnn_infer_b16, fcnn_infer_b1, se_trans_infer_b16, se_trans_infer_b1
        logits and softmax
    logmel
        librosa, 16 clips

Variants: contiguous or channels-last activations and weights; eager or torch.compile (training: default mode; inference: with
freezing, which folds batch norms into convolutions and packs weights once). Adam's fused kernel. ONNX Runtime runs with all
graph optimisations, which fold batch norms too.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--memory", metavar="NAME", help="measure peak memory instead of time")
parser.add_argument("--variant", default="eager channels_last", help="of --memory")
parser.add_argument("--no-compile", action="store_true", help="do not try torch.compile")
arguments = parser.parse_args()
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)

import numpy as np
import torch

import models

torch.set_num_threads(arguments.threads)

FRAMES, BANDS, CLASSES = 500, 64, 10
CLIPS_OF_LOGMEL = 16
MEMORY_STEPS = 5
NAMES = ("fcnn_train_b16", "se_trans_train_b16", "se_trans_train_b64", "fcnn_infer_b16", "fcnn_infer_b1",
         "se_trans_infer_b16", "se_trans_infer_b1", "logmel")  # fmt: skip
ONNXRUNTIME = "onnxruntime"


class Training:
    def __init__(self, model, batch: int, compiled: bool):
        self.model = model.train()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
        self.logmel = 20 * torch.randn(batch, FRAMES, BANDS) - 40
        self.labels = torch.arange(batch) % CLASSES
        self.weights = torch.ones(batch)
        self.loss = torch.compile(self.forward) if compiled else self.forward

    def forward(self):
        return models.scene_loss(self.model(self.logmel), self.labels, self.weights).mean()

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()


class Inference:
    def __init__(self, model, batch: int, compiled: bool):
        self.model = model.eval()
        self.logmel = 20 * torch.randn(batch, FRAMES, BANDS) - 40
        self.probabilities = torch.compile(self.forward, options={"freezing": True}) if compiled else self.forward

    def forward(self, logmel):
        return self.model(logmel).softmax(1)

    @torch.inference_mode()
    def eager(self):
        self.probabilities(self.logmel)

    @torch.no_grad()  # freezing does not work in inference mode
    def frozen(self):
        self.probabilities(self.logmel)


class OnnxRuntime:
    def __init__(self, model, batch: int):
        import onnxruntime

        logmel = 20 * torch.randn(batch, FRAMES, BANDS) - 40
        model = torch.nn.Sequential(model.eval(), torch.nn.Softmax(1))
        torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no operator for it
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            file = os.path.join(folder, "model.onnx")
            torch.onnx.export(model, (logmel,), file, input_names=["logmel"], dynamo=True, external_data=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = arguments.threads
            options.inter_op_num_threads = 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        with torch.inference_mode():
            expected = model(logmel).numpy()
        self.inputs = {"logmel": logmel.numpy()}
        np.testing.assert_allclose(self.session.run(None, self.inputs)[0], expected, atol=1e-4)

    def __call__(self):
        self.session.run(None, self.inputs)


class LogMel:
    """librosa as make_logmel_goldens.py calls it, or with the filter bank kept between clips."""

    def __init__(self, keep_filters: bool):
        import librosa
        from make_logmel_goldens import PAPER, log_mel, noise

        self.librosa, self.paper, self.log_mel = librosa, PAPER, log_mel
        self.waves = [noise(441000).astype(np.float32) for _ in range(CLIPS_OF_LOGMEL)]
        self.filters = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=64, fmin=50.0) if keep_filters else None

    def __call__(self):
        for wave in self.waves:
            if self.filters is None:
                self.log_mel(wave, **self.paper)
                continue
            spectrum = self.librosa.stft(wave, n_fft=2048, win_length=1764, hop_length=882, pad_mode="constant")
            self.librosa.power_to_db(self.filters @ np.abs(spectrum), ref=1.0, amin=1e-10, top_db=80.0)


def variants(name: str) -> list[str]:
    if name == "logmel":
        return ["melspectrogram", "kept filters"]
    eager = ["eager channels_last", "eager contiguous"]
    return eager if arguments.no_compile else [*eager, "compiled channels_last", "compiled contiguous"]


def build(name: str, variant: str):
    """A callable that does one repetition, and its clips."""
    if name == "logmel":
        return LogMel(variant == "kept filters"), CLIPS_OF_LOGMEL
    if variant == ONNXRUNTIME:
        architecture, batch = re.fullmatch(r"(\w+)_infer_b(\d+)", name).groups()
        torch.manual_seed(1)
        return OnnxRuntime(models.MODELS[architecture]().initialize(), int(batch)), int(batch)
    architecture, kind, batch = re.fullmatch(r"(\w+)_(train|infer)_b(\d+)", name).groups()
    torch.manual_seed(1)
    model = models.MODELS[architecture]().initialize()
    if variant.endswith("channels_last"):
        model = model.to(memory_format=torch.channels_last)
    else:
        # The input norm returns NCHW with channels-last strides; this variant needs contiguous memory.
        model.input_norm.register_forward_hook(lambda _module, _inputs, out: out.contiguous())
    compiled = variant.startswith("compiled")
    # torch 2.15 compiles the encoder's fused kernel with wrong strides and fails an assertion; eager mode is faster with it.
    torch.backends.mha.set_fastpath_enabled(not compiled)
    if kind == "train":
        return Training(model, int(batch), compiled), int(batch)
    inference = Inference(model, int(batch), compiled)
    return inference.frozen if compiled else inference.eager, int(batch)


def timed(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def only(name: str, variant: str):
    step, clips = build(name, variant)
    for _ in range(2):
        step()
    return step, clips, variant, {}


def fastest(name: str):
    """(step, clips, variant, {variant: best of three seconds}); a variant that cannot be built is reported as such."""
    tried, best = {}, None
    for variant in variants(name):
        torch.compiler.reset()
        try:
            step, clips = build(name, variant)
            for _ in range(2):
                step()
            seconds = min(timed(step) for _ in range(3))
        except Exception as error:  # torch.compile fails in many ways; eager must not
            if not variant.startswith("compiled"):
                raise
            tried[variant] = f"failed: {type(error).__name__}"
            continue
        tried[variant] = round(seconds, 4)
        if best is None or seconds < best[0]:
            best = (seconds, variant)
        del step
    torch.compiler.reset()
    step, clips = build(name, best[1])
    for _ in range(2):
        step()
    return step, clips, best[1], tried


def serve():
    ready = {}
    for line in sys.stdin:
        command, name, variant = (line.split() + ["", "", ""])[:3]
        if command not in ("prepare", "run") or name not in NAMES:
            answer = {"error": f"expected 'prepare NAME' or 'run NAME', not '{line.strip()}'"}
        else:
            if name not in ready:
                ready.clear()  # one at a time, so that memory is free for the other side
                ready[name] = only(name, variant) if variant else fastest(name)
            step, clips, variant, tried = ready[name]
            if command == "prepare":
                answer = {"name": name, "variant": variant, "tried": tried}
            else:
                answer = {"name": name, "seconds": timed(step), "clips": clips}
        print(json.dumps(answer), flush=True)


def resident(key: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(rf"^{key}:\s+(\d+) kB", status.read(), re.MULTILINE)[1])


def measure_memory(name: str, variant: str):
    """Peak resident memory after some steps; `import_bytes` is the resident memory after importing torch."""
    imported = resident("VmRSS")
    step, _ = build(name, variant)
    for _ in range(MEMORY_STEPS):
        step()
    peak = resident("VmHWM")
    result = {"name": name, "variant": variant, "peak_bytes": peak, "import_bytes": imported}
    print(json.dumps(result | {"net_bytes": peak - imported}))


if __name__ == "__main__":
    if arguments.memory:
        measure_memory(arguments.memory, arguments.variant)
    else:
        serve()
