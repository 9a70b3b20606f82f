"""What the quality_*.py scripts share: reading, training with early stopping, verdicts.

The same protocol as Assay's: one model per class, trained on good images only (but for the CNN),
early stopping and calibration on held-out good images, test images touched by nothing but the
score. Each script prints one JSON line a run.
"""
import argparse
import json
import pathlib
import time

import numpy as np
import torch
from PIL import Image

from models import initialise


def parser(description):
    p = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=pathlib.Path, help="folder in MVTec's layout")
    p.add_argument("object_class", metavar="class")
    p.add_argument("--split", type=pathlib.Path,
                   help="split.json of an Assay run; otherwise drawn from the seed")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--epochs", type=int, default=200, help="at most")
    p.add_argument("--patience", type=int, default=5)
    p.add_argument("--min-steps", type=int, default=400, help="no early stop before")
    p.add_argument("--max-steps", type=int, default=0, help="stop after these; 0: no limit")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--init", choices=("he", "keras"), default="he")
    p.add_argument("--threads", type=int, default=2)
    return p


def start(arguments):
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)


class Rmsprop(torch.optim.Optimizer):
    """As Keras has it: g / sqrt(v + eps). PyTorch's own divides by sqrt(v) + eps, which for
    gradients of the size of sqrt(eps) is another step."""

    def __init__(self, parameters, lr=1e-3, rho=0.9, eps=1e-7):
        super().__init__(parameters, dict(lr=lr, rho=rho, eps=eps))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                v.lerp_(p.grad.square(), 1 - group["rho"])
                p.sub_(group["lr"] * p.grad / torch.sqrt(v + group["eps"]))


class Adam(torch.optim.Optimizer):
    """As Keras has it: eps is added to sqrt(v) before v's bias is corrected. PyTorch's own corrects
    first, which at the first steps makes eps 30 times as small beside the gradient."""

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-7):
        super().__init__(parameters, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                m, v = (state.setdefault(k, torch.zeros_like(p)) for k in "mv")
                t = state["t"] = state.get("t", 0) + 1
                m.lerp_(p.grad, 1 - b1)
                v.lerp_(p.grad.square(), 1 - b2)
                p.sub_(group["lr"] * (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v.sqrt() + group["eps"]))


class Images:
    """Paths of a class, relative to its folder, and their pixels."""

    def __init__(self, data, object_class):
        self.root = data / object_class
        found = lambda pattern: sorted(
            p.relative_to(self.root).as_posix() for p in self.root.glob(pattern))
        self.train, self.test = found("train/good/*.png"), found("test/*/*.png")
        if not self.train:
            raise SystemExit(f"{self.root}: has no train/good/*.png")

    def read(self, names, size, channels):
        """(N,channels,size,size) in [0,1]."""
        def pixels(name):
            image = Image.open(self.root / name).convert("RGB" if channels == 3 else "L")
            image = image.resize((size, size), Image.BILINEAR)
            return np.asarray(image, np.float32).reshape(size, size, channels)
        x = torch.from_numpy(np.stack([pixels(n) for n in names]) / 255)
        return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def defective(names):
        return np.array([pathlib.PurePosixPath(n).parent.name != "good" for n in names])

    def split(self, file, seed):
        """Names of the training and of the validation images."""
        if file:
            split = json.loads(file.read_text())
            return split["train"], split["validation"]
        order = np.random.default_rng(seed).permutation(len(self.train))
        held_out = max(8, round(0.15 * len(self.train)))
        pick = lambda part: [self.train[i] for i in sorted(part)]
        return pick(order[held_out:]), pick(order[:held_out])


def train(network, optimizer, step_loss, n, validation_loss, a):
    """step_loss(indices) is the loss of a batch of the n images. Leaves the best weights in the
    network; returns facts for the JSON line."""
    best, best_epoch, best_weights, steps, begin = np.inf, 0, None, 0, time.time()
    for epoch in range(a.epochs):
        network.train()
        for batch in torch.randperm(n).split(a.batch):
            optimizer.zero_grad(set_to_none=True)
            step_loss(batch).backward()
            optimizer.step()
            steps += 1
            if steps == a.max_steps:
                break
        network.eval()
        with torch.inference_mode():
            loss = validation_loss()
        if loss < best:
            best, best_epoch = loss, epoch
            best_weights = {name: t.clone() for name, t in network.state_dict().items()}
        elif epoch - best_epoch >= a.patience and steps >= a.min_steps:
            break
        if steps == a.max_steps:
            break
    seconds = time.time() - begin
    network.load_state_dict(best_weights)
    network.eval()
    return dict(epochs=epoch + 1, steps=steps, best_epoch=best_epoch + 1, validation_loss=best,
                seconds_train=seconds, seconds_per_epoch=seconds / (epoch + 1))


def train_autoencoder(network, x, target, x_validation, target_validation, a):
    """MSE by Adam, from the initial weights."""
    initialise(network, a.init).to(memory_format=torch.channels_last)
    optimizer = Adam(network.parameters())
    mse = torch.nn.functional.mse_loss
    facts = train(network, optimizer, lambda i: mse(network(x[i]), target[i]), len(x),
                  lambda: mse(reconstruct(network, x_validation), target_validation).item(), a)
    spread = reconstruct(network, x_validation).std().item()
    return facts | dict(collapsed=spread < 1e-3)


@torch.inference_mode()
def reconstruct(network, x):
    return torch.cat([network(part) for part in x.split(32)])


def auroc(scores, positive):
    """Ties by midrank."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    p = positive.sum()
    return (rank[positive].sum() - p * (p + 1) / 2) / (p * (len(positive) - p))


def f1(scores, positive, threshold):
    found = scores > threshold
    tp, wrong = (found & positive).sum(), (found != positive).sum()
    return 2 * tp / (2 * tp + wrong) if tp else 0.0


def verdict(scores, positive, threshold):
    below = np.nextafter(scores, -np.inf)  # a threshold just under each score
    return dict(image_auroc=auroc(scores, positive), threshold=threshold,
                f1=f1(scores, positive, threshold),
                f1_max=max(f1(scores, positive, t) for t in below),
                f1_all_positive=f1(np.ones(len(scores)), positive, 0))


def deviations(validation, test):
    """Scores in standard deviations of the held-out good images."""
    return (test - validation.mean()) / validation.std(ddof=1)


def print_line(model, a, **values):
    plain = lambda v: v.item() if isinstance(v, np.generic) else v
    line = {"model": model, "framework": f"torch {torch.__version__}",
            "class": a.object_class, "seed": a.seed}
    print(json.dumps(line | {k: plain(v) for k, v in values.items()}), flush=True)
