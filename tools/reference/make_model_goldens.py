"""Writes tests/goldens/<case>.safetensors: the expected results of a training step and an evaluation of each model.

    python tools/reference/make_model_goldens.py [--out tests/goldens] [case ...]
    python tools/reference/make_model_goldens.py --search CASE     seeds whose case is smooth (see below)

Parameters and inputs are generated, so that a golden of a 12-million-parameter model is small. The test,
tests/model/golden_test.cpp, generates the same numbers. The truth is PyTorch in double precision on these float32 values,
with dropout 0.

Recipe. draw(stream, i) = 2*uniform_of(random_word(seed, stream, 0, i)) - 1 (philox.py, kernels/philox.h), i the row-major
index in OUR layout: convolution weights [K, R, S, C], everything else as in PyTorch. All values are float32. Where a sum
follows a product, the factor is a power of two, so that a fused multiply-add gives the same bits.
- Parameter number s of the metadata's comma-separated list `parameters` draws from stream s:
      two or more axes   draw * float(sqrt(6 / fan_in)), fan_in = elements / first extent
      one axis, `weight` 1 + draw/8          one axis, otherwise   draw/8
- Running statistics start at mean 0 and variance 1; input_norm at mean -40 and variance 128.
- Log-mel [N, T, F], value at (n, t, f) = (-40 + 32*coarse) + 8*fine; fine = draw(1000, index of the value);
  coarse = draw(1001, index of (n, t/25, f/8) in [N, ceil(T/25), F/8]): clips, tokens and bands differ. With `deltas` the input's
  channels are log-mel, delta and delta-delta (librosa.feature.delta, width 9, along time, in double).
- Label of clip n: (3n + 1) mod K. Clip weight: 1 + draw(1003, n)/2.
- Multimodal: city of clip n is -1 (unknown) where n mod 3 = 1, else (7n + 5) mod 22; time features [N, 8] = draw(1002, .).
- Loss: mean over clips of weight x cross-entropy with label smoothing 0.1. Batch-norm momentum 0.1, every epsilon 1e-5.

Order: one training-mode forward and backward (which moves the running statistics once), then `eval_logits` in evaluation mode
with the same parameters and the new running statistics.

Tensors, all F64: `logits`, `probabilities`, `eval_logits` [N, K]; `loss` [N] (weighted, per clip); `mean_loss` [1]; and for every
parameter's gradient `gradient/<name>` and every new running statistic `running/<name>`, in our layout, flattened to E elements:
- `<...>/samples` [min(E, 64)]: all elements, or if E > 64 the elements random_word(seed, 2000 + s, 0, j) mod E, j = 0 .. 63;
- `<...>/summary` [3]: L2 norm, largest absolute value, and sum_i element_i * draw(3000 + s, i), which depends on every
  element and its index. s is the parameter's number; for running statistics, 500 + the index in the list `statistics`.

Tolerances. The gradient jumps where a ReLU's input is 0 or two values share a maximum. Of tens of millions of ReLU inputs some
are within float32 rounding of 0, and there float32 and double decide differently. One flip moves a weight gradient (a sum of N
terms of either sign, of size about sqrt(N)) by 1/sqrt(N) of itself: 1e-3 and not 1e-7. That is a property of the function, not
of an implementation: with SiLU instead of ReLU the same comparison gives 1e-5. So there are two kinds of cases:
- Smooth cases use seeds at which no input of a kink is within SMOOTH_MARGIN (asserted here), and few enough elements for such
  seeds to exist. There, float32 with batch norm in double has every gradient within SMOOTH_ERROR of the truth (asserted; 1e-6
  to 1e-5 is usual). PyTorch's float32 batch norm loses up to 3e-4 in SE-Trans by plain summation.
- The `_500` full-width cases are for logits, loss, probabilities and statistics at the real size. Their gradients can be
  compared only as closely as PyTorch's own float32 allows.

Metadata:
- `fp32_error` (JSON): PyTorch's float32 error per tensor, as a share of its largest value
- `fp32_gradient_error`: the largest error of the gradients, in L2 or maximum norm
- `stable_gradient_error`: the same with batch norm in double
- `kink_margin`: the distance from the nearest kink
"""

import argparse
import contextlib
import itertools
import json
import math
import pathlib

import librosa
import numpy as np
import safetensors.numpy
import torch
import torch.nn.functional as F

import models
import philox

CLASSES, BANDS = 10, 64
SMOOTHING = 0.1
SAMPLES = 64
FINE, COARSE, TIME, WEIGHT = 1000, 1001, 1002, 1003
SAMPLE_STREAM, PROJECTION_STREAM, STATISTICS_STREAM = 2000, 3000, 500
SMOOTH_MARGIN = 2.5e-6
SMOOTH_ERROR = 3e-5

DEFAULTS = dict(width=1.0, deltas=False, multimodal=False)
SMOOTH_CASES = {  # at the first seeds that --search found
    "se_trans_multimodal": dict(model="se_trans", multimodal=True, batch=2, frames=64, seed=1321),
    "se_trans_deltas": dict(model="se_trans", width=0.25, deltas=True, batch=2, frames=99, seed=15),
    "fcnn_multimodal": dict(model="fcnn", multimodal=True, batch=2, frames=64, seed=5),
    "fcnn_narrow": dict(model="fcnn", width=0.125, batch=5, frames=101, seed=6),
    "fcnn_narrow_500": dict(model="fcnn", width=0.125, batch=2, frames=500, seed=14),
    "small_cnn_multimodal": dict(model="small_cnn", multimodal=True, batch=2, frames=500, seed=1481),
}
CASES = SMOOTH_CASES | {
    "se_trans_500": dict(model="se_trans", batch=3, frames=500, seed=1),
    "fcnn_500": dict(model="fcnn", batch=2, frames=500, seed=1),
}


def to_ours(x: torch.Tensor) -> np.ndarray:
    """Our layout, flattened, float64."""
    if x.dim() == 4:
        x = x.permute(0, 2, 3, 1)
    return x.detach().to(torch.float64).contiguous().numpy().reshape(-1)


def from_ours(values: np.ndarray, shape: torch.Size) -> torch.Tensor:
    if len(shape) == 4:
        k, c, r, s = shape
        return torch.from_numpy(values.reshape(k, r, s, c)).permute(0, 3, 1, 2)
    return torch.from_numpy(values.reshape(shape))


def parameter_values(name: str, shape: torch.Size, seed: int, stream: int) -> np.ndarray:
    elements = math.prod(shape)
    draw = philox.symmetric(seed, stream, 0, elements)
    if len(shape) >= 2:
        return draw * np.float32(math.sqrt(6.0 / (elements // shape[0])))
    if name.endswith("weight"):
        return 1 + draw / 8
    return draw / 8


@torch.no_grad()
def fill(model: torch.nn.Module, seed: int):
    for stream, (name, parameter) in enumerate(model.named_parameters()):
        parameter.copy_(from_ours(parameter_values(name, parameter.shape, seed, stream), parameter.shape))
    model.input_norm.running_mean.fill_(-40)
    model.input_norm.running_var.fill_(128)


def inputs(seed: int, batch: int, frames: int, deltas: bool, multimodal: bool) -> dict:
    shape, coarse_shape = (batch, frames, BANDS), (batch, -(-frames // 25), BANDS // 8)
    coarse = philox.symmetric(seed, COARSE, 0, math.prod(coarse_shape)).reshape(coarse_shape)
    coarse = np.repeat(np.repeat(coarse, 25, axis=1)[:, :frames], 8, axis=2)
    fine = philox.symmetric(seed, FINE, 0, math.prod(shape)).reshape(shape)
    logmel = (np.float32(-40) + np.float32(32) * coarse) + np.float32(8) * fine
    if deltas:
        logmel = logmel.astype(np.float64)
        rates = [librosa.feature.delta(logmel, width=9, order=order, axis=1) for order in (1, 2)]
        logmel = np.stack([logmel, *rates], axis=3)
    clip = np.arange(batch)
    out = {
        "logmel": torch.from_numpy(logmel),
        "labels": torch.from_numpy((3 * clip + 1) % CLASSES),
        "weights": torch.from_numpy(1 + philox.symmetric(seed, WEIGHT, 0, batch) / 2),
    }
    if multimodal:
        out["city"] = torch.from_numpy(np.where(clip % 3 == 1, -1, (7 * clip + 5) % models.CITIES))
        out["time"] = torch.from_numpy(philox.symmetric(seed, TIME, 0, batch * 8).reshape(batch, 8))
    return out


class KinkMargin(torch.overrides.TorchFunctionMode):
    """The smallest distance from a kink over the ReLUs and maxima that are called inside of the context."""

    def __init__(self):
        super().__init__()
        self.smallest = math.inf

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        x = args[0].detach() if args and isinstance(args[0], torch.Tensor) else None
        if function is F.relu:
            self.note(x.abs())
        elif function is F.max_pool2d:
            windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
            best = windows.topk(2, dim=4).values
            # The input is the output of a ReLU: where all four values are 0, no gradient passes.
            self.note((best[..., 0] - best[..., 1])[best[..., 0] > 0])
        elif function is torch.Tensor.max and len(args) == 2:
            best = x.topk(2, dim=args[1]).values
            gap = best.select(args[1], 0) - best.select(args[1], 1)
            # Short inputs repeat tokens exactly; which of them takes the gradient changes no parameter's gradient.
            self.note(gap[gap > 0])
        return out

    def note(self, distances):
        if distances.numel():
            self.smallest = min(self.smallest, distances.min().item())


class DoubleBatchNorm(torch.overrides.TorchFunctionMode):
    """Batch norms called inside of the context compute in double; activations stay float32. Running statistics do not change."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not F.batch_norm:
            return function(*args, **(kwargs or {}))
        scale, shift = kwargs["weight"].double(), kwargs["bias"].double()
        return function(args[0].double(), None, None, scale, shift, training=True, eps=kwargs["eps"]).float()


def prepare(case: dict, dtype: torch.dtype):
    """The filled model, the batch and the model's arguments."""
    case = DEFAULTS | case
    settings = {"width": case["width"], "multimodal": case["multimodal"], "in_channels": 3 if case["deltas"] else 1}
    if case["model"] == "fcnn":
        settings["dropout"] = 0.0
    model = models.MODELS[case["model"]](CLASSES, BANDS, encoder_dropout=0.0, **settings)
    fill(model, case["seed"])
    batch = inputs(case["seed"], case["batch"], case["frames"], case["deltas"], case["multimodal"])
    batch = {key: value.to(dtype) if value.is_floating_point() else value for key, value in batch.items()}
    return model.to(dtype), batch, [batch[key] for key in ("logmel", "city", "time") if key in batch]


def run(case: dict, dtype: torch.dtype, double_batch_norm=False) -> tuple[dict, float]:
    """Every result of a case as flat or [N, K] float64 arrays in our layout, and the kink margin."""
    model, batch, arguments = prepare(case, dtype)
    model.train()
    with KinkMargin() as margin, DoubleBatchNorm() if double_batch_norm else contextlib.nullcontext():
        logits = model(*arguments)
    loss = models.scene_loss(logits, batch["labels"], batch["weights"], SMOOTHING)
    loss.mean().backward()
    model.eval()
    with torch.no_grad():
        eval_logits = model(*arguments)

    def shaped(x):
        return x.detach().to(torch.float64).contiguous().numpy()

    out = {
        "logits": shaped(logits),
        "probabilities": shaped(logits.softmax(1)),
        "eval_logits": shaped(eval_logits),
        "loss": shaped(loss),
        "mean_loss": shaped(loss.mean().reshape(1)),
    }
    out |= {f"gradient/{name}": to_ours(parameter.grad) for name, parameter in model.named_parameters()}
    out |= {f"running/{name}": to_ours(buffer) for name, buffer in model.named_buffers() if "running" in name}
    return out, margin.smallest


def sampled(values: np.ndarray, seed: int, number: int) -> dict:
    elements = len(values)
    if elements > SAMPLES:
        places = philox.random_words(seed, SAMPLE_STREAM + number, 0, SAMPLES) % np.uint32(elements)
    else:
        places = np.arange(elements)
    projection = values @ philox.symmetric(seed, PROJECTION_STREAM + number, 0, elements).astype(np.float64)
    summary = np.array([np.linalg.norm(values), np.abs(values).max(), projection])
    return {"samples": values[places], "summary": summary}


def write(path: pathlib.Path, tensors: dict, metadata: dict):
    temporary = path.with_suffix(".tmp")
    tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    safetensors.numpy.save_file(tensors, temporary, {key: str(value) for key, value in metadata.items()})
    temporary.rename(path)


def gradient_errors(truth: dict, single: dict) -> dict:
    """Of every parameter's gradient: the larger of the relative errors in L2 and in maximum norm."""
    errors = {}
    for key in truth:
        if key.startswith("gradient/"):
            error = single[key] - truth[key]
            by_norm = (norm(error) / norm(truth[key]) for norm in (np.linalg.norm, lambda x: np.abs(x).max()))
            errors[key.removeprefix("gradient/")] = max(by_norm)
    return errors


def useful(results: dict) -> bool:
    return all(np.isfinite(values).all() and np.abs(values).max() > 0 for values in results.values())


def make_model_golden(out: pathlib.Path, name: str):
    case = CASES[name]
    (truth, margin), (single, _) = run(case, torch.float64), run(case, torch.float32)
    stable_error = max(gradient_errors(truth, run(case, torch.float32, double_batch_norm=True)[0]).values())
    assert useful(truth), f"{name} has a tensor of zeros; find another seed with --search"
    parameters = [key.removeprefix("gradient/") for key in truth if key.startswith("gradient/")]
    statistics = [key.removeprefix("running/") for key in truth if key.startswith("running/")]

    tensors, fp32_error = {}, {}
    for key, values in truth.items():
        fp32_error[key] = float(f"{np.abs(single[key] - values).max() / np.abs(values).max():.2e}")
        kind, _, of = key.partition("/")
        if kind == "gradient":
            parts = sampled(values, case["seed"], parameters.index(of))
        elif kind == "running":
            parts = sampled(values, case["seed"], STATISTICS_STREAM + statistics.index(of))
        else:
            tensors[key] = values
            continue
        tensors |= {f"{key}/{part}": array for part, array in parts.items()}

    errors = gradient_errors(truth, single)
    worst = max(errors, key=errors.get)
    report = f"kink margin {margin:.1e}, worst float32 gradient error {errors[worst]:.1e} ({worst}), "
    report += f"with batch norm in double {stable_error:.1e}"
    if name in SMOOTH_CASES:
        assert margin >= SMOOTH_MARGIN and stable_error <= SMOOTH_ERROR, f"{name} is not smooth: {report}; find another seed with --search"
    metadata = DEFAULTS | case | {
        "classes": CLASSES,
        "bands": BANDS,
        "parameters": ",".join(parameters),
        "statistics": ",".join(statistics),
        "made_by": f"make_model_goldens.py, torch {torch.__version__}",
        "smooth": name in SMOOTH_CASES,
        "kink_margin": f"{margin:.2e}",
        "fp32_gradient_error": f"{errors[worst]:.2e}",
        "stable_gradient_error": f"{stable_error:.2e}",
        "fp32_error": json.dumps(fp32_error),
    }
    write(out / f"{name}.safetensors", tensors, metadata)
    size = (out / f"{name}.safetensors").stat().st_size
    print(f"{name}: {size / 1000:.0f} kB, loss {truth['mean_loss'][0]:.4f}, {report}", flush=True)


def search(name: str):
    """Prints every seed found at which the case is smooth, until stopped."""
    for seed in itertools.count(CASES[name]["seed"]):
        case = {**CASES[name], "seed": seed}
        model, _, arguments = prepare(case, torch.float32)
        with KinkMargin() as margin, torch.no_grad():
            model(*arguments)
        if margin.smallest < SMOOTH_MARGIN:
            continue
        truth, exact_margin = run(case, torch.float64)
        if not useful(truth):
            continue
        worst = max(gradient_errors(truth, run(case, torch.float32, double_batch_norm=True)[0]).values())
        if exact_margin >= SMOOTH_MARGIN and worst <= SMOOTH_ERROR:
            print(f"{name}: seed {seed} has margin {exact_margin:.2e}, float32 error {worst:.1e}", flush=True)


def make_adam_golden(out: pathlib.Path):
    """Five steps of torch.optim.Adam in double precision on float32 inputs, without and with L2 weight decay.

    Parameters draw(0, i), i < 37; the gradient of step t (0-based) is draw(1 + t, i) * 10^(i mod 7 - 5), float32.
    """
    elements, steps, seed, rate, decay = 37, 5, 31, 0.01, 0.01
    scale = (10.0 ** (np.arange(elements) % 7 - 5)).astype(np.float32)
    start = philox.symmetric(seed, 0, 0, elements)
    gradients = np.stack([philox.symmetric(seed, 1 + t, 0, elements) * scale for t in range(steps)])
    tensors = {"parameters": start, "gradients": gradients}
    for suffix, weight_decay in (("", 0.0), ("_decay", decay)):
        parameter = torch.nn.Parameter(torch.from_numpy(start).double())
        optimizer = torch.optim.Adam([parameter], lr=rate, weight_decay=weight_decay)
        history = []
        for gradient in gradients:
            parameter.grad = torch.from_numpy(gradient).double()
            optimizer.step()
            history.append(parameter.detach().numpy().copy())
        state = optimizer.state[parameter]
        tensors[f"after{suffix}"] = np.stack(history)
        tensors[f"first_moment{suffix}"] = state["exp_avg"].numpy()
        tensors[f"second_moment{suffix}"] = state["exp_avg_sq"].numpy()
    made_by = f"make_model_goldens.py, torch {torch.__version__}"
    write(out / "adam.safetensors", tensors, dict(learning_rate=rate, weight_decay=decay, made_by=made_by))
    print("adam: written", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help=f"of: {', '.join(CASES)}, adam; all when none is given")
    parser.add_argument("--out", type=pathlib.Path, help="folder of the goldens (default: tests/goldens)",
                        default=pathlib.Path(__file__).resolve().parents[2] / "tests" / "goldens")  # fmt: skip
    parser.add_argument("--search", metavar="CASE", help="look for seeds at which a case is smooth")
    arguments = parser.parse_args()
    if arguments.search:
        search(arguments.search)
    for wanted in arguments.cases or [*CASES, "adam"]:
        if wanted == "adam":
            make_adam_golden(arguments.out)
        else:
            make_model_golden(arguments.out, wanted)
