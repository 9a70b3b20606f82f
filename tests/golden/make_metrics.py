"""Writes metrics.json: what scikit-learn, scipy and numpy say about small lists of scores.

    python3 tests/golden/make_metrics.py        (made with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6)
"""
import json
import pathlib

import numpy as np
from scipy import ndimage
from sklearn import metrics as sk

rng = np.random.default_rng(2107)


def at_threshold(scores, labels, threshold):
    predicted = (scores > threshold).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(labels, predicted, labels=[0, 1]).ravel()
    undefined = {"zero_division": np.nan}
    values = {
        "f1": sk.f1_score(labels, predicted, **undefined),
        "precision": sk.precision_score(labels, predicted, **undefined),
        "recall": sk.recall_score(labels, predicted, **undefined),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
    }
    values = {k: None if np.isnan(v) else float(v) for k, v in values.items()}
    return {"tp": int(tp), "fp": int(fp), "tn": int(tn), "fn": int(fn)} | values


def image_case(name, scores, labels, threshold):
    scores, labels = np.asarray(scores, float), np.asarray(labels, int)
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    return {
        "name": name,
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "threshold": threshold,
        "auroc": sk.roc_auc_score(labels, scores),
        "average_precision": sk.average_precision_score(labels, scores),
        "f1_max": f1.max(),
        "f1_all_positive": sk.f1_score(labels, np.ones_like(labels)),
        # The slack keeps a rate of exactly 95 % from being lost to rounding.
        "fpr95": fpr[np.argmax(tpr * labels.sum() >= 0.95 * labels.sum() - 1e-9)],
        "roc": np.stack([fpr, tpr], 1).tolist(),
        # From the highest score down, without scikit-learn's extra point (0, 1).
        "pr": np.stack([recall, precision], 1)[:-1][::-1].tolist(),
        "at_threshold": at_threshold(scores, labels, threshold),
    }


def image_cases():
    def drawn(n_good, n_defective, shift, digits=17):
        labels = np.r_[np.zeros(n_good), np.ones(n_defective)]
        order = rng.permutation(len(labels))
        return np.round(rng.normal(size=len(labels)) + shift * labels, digits)[order], labels[order]

    yield image_case("random", *drawn(25, 25, 1.0), 0.5)
    yield image_case("ties", *drawn(30, 40, 1.0, digits=0), 1.0)  # threshold on a score
    yield image_case("more defective", *drawn(6, 60, 1.5, digits=1), 3.0)
    yield image_case("few defective", *drawn(80, 3, 0.5), 0.0)
    yield image_case("exactly 95 %", *drawn(20, 20, 1.0, digits=1), 0.0)
    yield image_case("constant", np.full(12, 0.25), [0, 1, 1] * 4, 0.25)
    yield image_case("perfect", [-3, -2, -1, 1, 2], [0, 0, 0, 1, 1], 0)
    yield image_case("inverted", [3, 2, 1, -1, -2], [0, 0, 0, 1, 1], 0)
    yield image_case("nothing found", [0.1, 0.4, 0.2, 0.3], [0, 1, 0, 1], 9)
    yield image_case("one of each", [1, 2], [0, 1], 1.5)


def aupro(heats, masks, limit):
    """As MVTec's evaluation code defines it, from the definition: regions of 8 neighbours, every
    distinct heat as a threshold, trapezia up to the limit."""
    regions = []
    for i, mask in enumerate(masks):
        label, n = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(i, label == k) for k in range(1, n + 1)]
    good = np.concatenate([h[m == 0] for h, m in zip(heats, masks)])
    rates, overlaps = [0.0], [0.0]
    for t in np.unique(np.concatenate([h.ravel() for h in heats]))[::-1]:
        rates.append(np.mean(good >= t))
        overlaps.append(np.mean([np.mean(heats[i][r] >= t) for i, r in regions]))
    rates, overlaps = np.array(rates), np.array(overlaps)
    inside = rates <= limit
    x, y = rates[inside], overlaps[inside]
    if x[-1] < limit:
        j = len(x)
        share = (limit - x[-1]) / (rates[j] - x[-1])
        x, y = np.r_[x, limit], np.r_[y, y[-1] + share * (overlaps[j] - y[-1])]
    return float(np.trapezoid(y, x) / limit), len(regions)


def pixel_case(name, shape, n, strength, digits):
    H, W = shape
    heats, masks = [], []
    for i in range(n):
        mask = np.zeros(shape, int)
        if i % 3:  # every third image is good
            for _ in range(2):
                h, w = rng.integers(0, H - 3), rng.integers(0, W - 3)
                mask[h : h + rng.integers(1, 4), w : w + rng.integers(1, 6)] = 1
            mask[0, 0] = mask[1, 1] = 1  # one region by a corner
        heats.append(np.round(ndimage.gaussian_filter(rng.normal(size=shape) + strength * mask, 0.7), digits))
        masks.append(mask)
    pixels = np.concatenate([h.ravel() for h in heats])
    labels = np.concatenate([m.ravel() for m in masks])
    values = {limit: aupro(heats, masks, limit) for limit in (0.05, 0.3, 1.0)}
    return {
        "name": name,
        "H": H,
        "W": W,
        "heats": [h.ravel().tolist() for h in heats],
        "masks": [m.ravel().tolist() for m in masks],
        "regions": values[0.3][1],
        "auroc": sk.roc_auc_score(labels, pixels),
        "average_precision": sk.average_precision_score(labels, pixels),
        "aupro": [{"limit": limit, "value": v[0]} for limit, v in values.items()],
    }


calibration_parts = [np.round(rng.normal(0.004, 0.001, 31), 6), np.round(rng.normal(-2e4, 500, 31), 1)]
z = np.stack([(p - p.mean()) / p.std(ddof=1) for p in calibration_parts])
golden = {
    "images": list(image_cases()),
    "pixels": [pixel_case("weak", (13, 17), 4, 1.0, 2), pixel_case("many ties", (9, 21), 5, 2.0, 1)],
    "calibration": {
        "parts": [p.tolist() for p in calibration_parts],
        "means": [p.mean() for p in calibration_parts],
        "deviations": [p.std(ddof=1) for p in calibration_parts],
        "scores": z.max(0).tolist(),
        "percentile99": np.percentile(z.max(0), 99),
    },
}
out = pathlib.Path(__file__).with_name("metrics.json")
out.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(out, out.stat().st_size, "bytes")
