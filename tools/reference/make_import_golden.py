"""Writes tests/goldens/import_weights.safetensors and import_logits.safetensors: weights exactly as PyTorch saves a
state_dict, and the network's output with them, for tests/model/import_test.cpp.

    python tools/reference/make_import_golden.py [--out tests/goldens]

The network is a multimodal SE-Trans at width 0.125 with its initial values, whose running statistics have seen one batch. The
weights are written by safetensors.torch.save_file, so names, layouts (convolutions [K, C, R, S]), the counters
num_batches_tracked and the metadata {"format": "pt"} are PyTorch's. The other file has the inputs `logmel` [N, T, F], `city` [N], `time` [N, 8] and
`logits` [N, K] in evaluation mode, F64.
"""

import argparse
import pathlib

import safetensors.torch
import torch

import models

CLASSES, BANDS, FRAMES, BATCH, WIDTH = 4, 16, 40, 3, 0.125


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/goldens"))
    out = parser.parse_args().out
    torch.manual_seed(7)
    model = models.SETrans(CLASSES, BANDS, width=WIDTH, multimodal=True).initialize()
    logmel = -40 + 12 * torch.randn(BATCH, FRAMES, BANDS)
    city = torch.tensor([3, -1, 21])
    time = torch.rand(BATCH, 8) * 2 - 1
    model.train()
    model(logmel, city, time)
    model.eval()
    safetensors.torch.save_file(model.state_dict(), out / "import_weights.safetensors", metadata={"format": "pt"})
    with torch.no_grad():
        logits = model.double()(logmel.double(), city, time.double())
    tensors = {"logits": logits, "logmel": logmel, "time": time, "city": city.to(torch.int32)}
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "import_logits.safetensors")


if __name__ == "__main__":
    main()
