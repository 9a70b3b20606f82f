"""The supervised CNN in PyTorch: stratified cross-validation on the pooled images of a class.

    python3 bench/pytorch/quality_cnn.py DATA toothbrush --seed 1 [--split out/run/split.json]

A split.json with "folds": [{"train", "validation", "test"}, ...] is followed; without one, five
folds are drawn from the seed. Prints a line a fold and one for the scores of all folds pooled.
"""
import json

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold, train_test_split

import models
import protocol


def draw_folds(names, positive, k, seed):
    names = np.array(names)
    for rest, test in StratifiedKFold(k, shuffle=True, random_state=seed).split(names, positive):
        train, validation = train_test_split(
            rest, test_size=0.15, stratify=positive[rest], random_state=seed)
        yield {"train": names[train], "validation": names[validation], "test": names[test]}


@torch.inference_mode()
def probabilities(network, x):
    return torch.cat([network(part) for part in x.split(32)]).sigmoid().double().numpy().ravel()


def main():
    p = protocol.parser(__doc__)
    p.add_argument("--preset", choices=("cnn", "cnn-codelab"), default="cnn")
    p.add_argument("--folds", type=int, default=5)
    p.add_argument("--class-weights", action="store_true")
    a = p.parse_args()
    protocol.start(a)
    images = protocol.Images(a.data, a.object_class)
    names = images.train + images.test
    positive = images.defective(names)
    if a.split:
        folds = json.loads(a.split.read_text())["folds"]
    else:
        folds = draw_folds(names, positive, a.folds, a.seed)
    size = models.PRESETS[a.preset][1]
    x = images.read(names, size, 3)
    labels = torch.from_numpy(positive).float().reshape(-1, 1)
    position = {name: i for i, name in enumerate(names)}
    pooled = np.full(len(names), np.nan)

    for number, fold in enumerate(folds):
        train, validation, test = (torch.tensor([position[n] for n in fold[part]])
                                   for part in ("train", "validation", "test"))
        network = models.initialise(models.build(a.preset), a.init)
        network.to(memory_format=torch.channels_last)
        share = labels[train].mean()
        weight = (1 - share) / share if a.class_weights else None
        bce = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
        loss = lambda i: bce(network(x[i]), labels[i])
        optimizer = protocol.Rmsprop(network.parameters())
        facts = protocol.train(network, optimizer, lambda i: loss(train[i]), len(train),
                               lambda: loss(validation).item(), a)
        pooled[test] = scores = probabilities(network, x[test])
        protocol.print_line(a.preset, a, fold=number,
                            **protocol.verdict(scores, positive[test], 0.5), **facts)
    scored = ~np.isnan(pooled)
    protocol.print_line(a.preset, a, fold="pooled", images=int(scored.sum()),
                        **protocol.verdict(pooled[scored], positive[scored], 0.5))


if __name__ == "__main__":
    main()
