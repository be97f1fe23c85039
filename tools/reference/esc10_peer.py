"""Systems #1 to #4 in PyTorch on the features and the split that `scene` wrote: the same protocol, for comparison.

    scene prepare ../shared/data/esc10 esc10.store
    scene train esc10.store --config configs/system1.toml --split fold:4 --run run      (writes run/split.json)
    python tools/reference/esc10_peer.py esc10.store run/split.json --width 0.25 --epochs 20 --batch 16 --learning-rate 1e-3

The protocol is that of `scene train` with training.choose_by=paper:
- A fifth of the labelled clips of each class, and a fifth of the unlabelled clips, validate; the others train.
- Stage 1 trains on the labelled clips. Its best model labels the unlabelled clips.
- Stage 2 continues from that model, with a new optimiser, on all training clips. All validation clips validate, the
  unlabelled ones with their pseudo labels as truth.
- In each stage the epoch with the best validation balanced accuracy is kept, the latest among equals. Adam, learning rate
  x 0.9 every 2 epochs, early stop after 10 epochs without a better score.
- The best model of stage 2 is tested.
- Systems #3 and #4 weight each training clip by 1/(confidence + 1e-8) of a System #1 teacher, scaled to mean 1 over the
  stage's training clips. System #4 smooths labels by 0.1.

Shuffles and initial values of `scene` are not reproduced: same distributions, other draws.
"""

import argparse
import copy
import json
import os
import statistics
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("store", help="feature store (safetensors with logmel, label)")
parser.add_argument("split", nargs="+", help="split.json of a run; several: one per seed, in order")
parser.add_argument("--systems", default="1,2,3,4")
parser.add_argument("--seeds", default="1,2,3")
parser.add_argument("--width", type=float, default=1.0)
parser.add_argument("--epochs", type=int, default=20, help="of each stage, at most")
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--conv-dropout", type=float, default=0.2)
parser.add_argument("--encoder-dropout", type=float, default=0.1)
parser.add_argument("--early-stop", type=int, default=10, help="epochs without a better score; 0: never")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--out", help="also write the results there, as JSON")
arguments = parser.parse_args()

import numpy as np
import torch
from safetensors import safe_open

import models

torch.set_num_threads(arguments.threads)

DECAY, DECAY_EVERY = 0.9, 2
VALIDATION_SHARE = 0.2
SYSTEMS = {  # architecture, hard samples, label smoothing
    1: ("se_trans", False, 0.0),
    2: ("fcnn", False, 0.0),
    3: ("fcnn", True, 0.0),
    4: ("fcnn", True, 0.1),
}


class Data:
    """Features and labels of every clip; `label` may be overwritten with pseudo labels."""

    def __init__(self, path: str):
        with safe_open(path, "np") as store:
            self.logmel = torch.from_numpy(store.get_tensor("logmel").astype(np.float32))
            self.label = torch.from_numpy(store.get_tensor("label").astype(np.int64))
        self.classes = int(self.label.max()) + 1

    def batches(self, clips: np.ndarray):
        for start in range(0, len(clips), arguments.batch):
            yield torch.from_numpy(clips[start : start + arguments.batch])


def held_out(clips: np.ndarray, groups: np.ndarray, random: np.random.Generator):
    """(train, validation): a fifth of every group is held out, at least one clip of groups that have two."""
    train, validation = [], []
    for group in np.unique(groups):
        members = random.permutation(clips[groups == group])
        count = min(max(1, round(VALIDATION_SHARE * len(members))), len(members) - 1)
        validation += members[:count].tolist()
        train += members[count:].tolist()
    return np.array(sorted(train), dtype=np.int64), np.array(sorted(validation), dtype=np.int64)


@torch.inference_mode()
def probabilities(model, data: Data, clips: np.ndarray) -> torch.Tensor:
    model.eval()
    return torch.cat([model(data.logmel[batch]).softmax(1) for batch in data.batches(clips)])


def balanced_accuracy(predicted: torch.Tensor, truth: torch.Tensor) -> float:
    recalls = [(predicted[truth == label] == label).double().mean().item() for label in truth.unique()]
    return statistics.mean(recalls)


def score(model, data: Data, label: torch.Tensor, clips: np.ndarray) -> float:
    return balanced_accuracy(probabilities(model, data, clips).argmax(1), label[clips])


def train_stage(model, data, label, weight, train, validation, smoothing, random):
    """Trains in place and leaves the best epoch's state; returns its score."""
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate, fused=True)
    best, best_state, since_rise = -1.0, None, 0
    for epoch in range(arguments.epochs):
        for group in optimizer.param_groups:
            group["lr"] = arguments.learning_rate * DECAY ** (epoch // DECAY_EVERY)
        model.train()
        for batch in data.batches(random.permutation(train)):
            optimizer.zero_grad(set_to_none=True)
            logits = model(data.logmel[batch])
            models.scene_loss(logits, label[batch], weight[batch], smoothing).mean().backward()
            optimizer.step()
        reached = score(model, data, label, validation)
        since_rise = 0 if reached > best else since_rise + 1
        if reached >= best:
            best, best_state = reached, copy.deepcopy(model.state_dict())
        if arguments.early_stop and since_rise >= arguments.early_stop:
            break
    model.load_state_dict(best_state)
    return best


def hard_weights(teacher, data: Data, train: np.ndarray) -> torch.Tensor:
    weight = torch.ones(len(data.label))
    inverse = 1 / (probabilities(teacher, data, train).amax(1) + 1e-8)
    weight[train] = inverse / inverse.mean()
    return weight


def run_system(number: int, data: Data, split: dict, seed: int, teacher=None):
    """One system from start to test: its model and scores. Hard-sample systems need a System #1 `teacher`."""
    architecture, hard, smoothing = SYSTEMS[number]
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    labelled, unlabelled = (np.array(split[part], dtype=np.int64) for part in ("labelled", "unlabelled"))
    labelled_train, labelled_validation = held_out(labelled, data.label[labelled].numpy(), random)
    unlabelled_train, unlabelled_validation = held_out(unlabelled, np.zeros(len(unlabelled)), random)

    settings = {"dropout": arguments.conv_dropout} if architecture == "fcnn" else {}
    model = models.MODELS[architecture](
        data.classes, data.logmel.shape[2], width=arguments.width, encoder_dropout=arguments.encoder_dropout, **settings
    ).initialize()
    label, weight = data.label.clone(), torch.ones(len(data.label))
    if hard:
        weight = hard_weights(teacher, data, labelled_train)
    train_score = train_stage(model, data, label, weight, labelled_train, labelled_validation, smoothing, random)

    label[unlabelled] = probabilities(model, data, unlabelled).argmax(1)
    train = np.concatenate([labelled_train, unlabelled_train])
    validation = np.concatenate([labelled_validation, unlabelled_validation])
    if hard:
        weight = hard_weights(teacher, data, train)
    pseudo_score = train_stage(model, data, label, weight, train, validation, smoothing, random)
    test = np.array(split["test"], dtype=np.int64)
    return model, {"train": train_score, "pseudo": pseudo_score, "test": score(model, data, data.label, test)}


def main():
    data = Data(arguments.store)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    systems = [int(system) for system in arguments.systems.split(",")]
    splits = [json.load(open(path)) for path in arguments.split]
    if len(splits) not in (1, len(seeds)):
        parser.error(f"{len(splits)} splits for {len(seeds)} seeds; give one, or one per seed")
    results = {system: [] for system in systems}
    for place, seed in enumerate(seeds):
        split = splits[place % len(splits)]
        teacher = None
        # System #1 first: it is the others' teacher.
        for system in sorted({*systems, *([1] if {3, 4} & {*systems} else [])}):
            start = time.perf_counter()
            model, scores = run_system(system, data, split, seed, teacher)
            if system == 1:
                teacher = model
            scores["seconds"] = time.perf_counter() - start
            print(f"seed {seed} system #{system}: "
                  + ", ".join(f"{key} {value:.3f}" for key, value in scores.items()), flush=True)  # fmt: skip
            if system in results:
                results[system].append(scores)

    print("\n| system | train | pseudo | test mean | test std | seconds |\n|---|---:|---:|---:|---:|---:|")
    for system, rows in results.items():
        mean = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
        deviation = statistics.stdev(row["test"] for row in rows) if len(rows) > 1 else 0.0
        print(f"| #{system} | {mean['train']:.3f} | {mean['pseudo']:.3f} | {mean['test']:.3f} | {deviation:.3f} "
              f"| {mean['seconds']:.0f} |")  # fmt: skip
    if arguments.out:
        with open(arguments.out, "w") as out:
            json.dump({"arguments": vars(arguments), "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
