"""Writes lpd.json: LPD's features, pose and leave-one-out scores, from SciPy and NumPy.

    python3 tests/golden/make_lpd.py        (made with numpy 2.4.6, scipy 1.17.1)

"features": (H/4, W/4, channels), flat, of a crop (32,40,3) whose element i is .5 + .5 u(3000, i), with 4
filters a scale, weight i of scale s being u(3001 + s, i) in (K,5,5,3) order, power .4, floor .002.
"poses": of images (64,64,3), a bright teardrop on a dark ground in a direction of its own: "angle",
"x", "y", "length", "spread" in pixels, and the number of pixels of its foreground.
"distances": (images, cells) leave-one-out distances, not squared, of 6 images on a 2 x 3 grid with 5
channels, feature (image, cell, channel) i being u(3010, i), window 3, ridge 1.
"""
import json
import pathlib

import numpy as np
from formula import u
from scipy import ndimage as ndi


def blur(x, sigma, radius, mode):
    return ndi.gaussian_filter(x, (sigma, sigma, 0), mode=mode, radius=radius)


def halve(x):
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return (x[0:h:2, 0:w:2] + x[1:h:2, 0:w:2] + x[0:h:2, 1:w:2] + x[1:h:2, 1:w:2]) / 4


def grid(x, scale):
    if scale == 2:
        return blur(x, .8, 2, "nearest")
    soft = blur(halve(x) if scale == 0 else x, 1., 3, "nearest")
    return (soft[::2, ::2] + soft[1::2, 1::2]) / 2


def features(rgb, filters):
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    x, out = np.stack([(r + g + b) / 3, r - g, b - (r + g) / 2], -1), []
    for scale, weights in enumerate(filters):
        response = np.stack([sum(ndi.correlate(x[..., c], w[..., c], mode="nearest") for c in range(3))
                             for w in weights], -1)
        signs = np.concatenate([np.maximum(response, 0), np.maximum(-response, 0)], -1)
        out += [(grid(signs, scale) + .002) ** .4, grid(blur(x, .7, 2, "nearest"), scale)]
        x = halve(x)
    return np.concatenate(out, -1)


def foreground(image):
    edge = np.concatenate([image[:4].reshape(-1, 3), image[-4:].reshape(-1, 3),
                           image[:, :4].reshape(-1, 3), image[:, -4:].reshape(-1, 3)])
    distance = ndi.gaussian_filter(np.abs(image - np.median(edge, 0)).max(-1), 1., radius=4)
    counts, edges = np.histogram(distance, 256)
    share, ends = counts / counts.sum(), edges[1:]
    weight, mean = np.cumsum(share), np.cumsum(share * ends)
    threshold = ends[np.argmax((mean[-1] * weight - mean) ** 2 / (weight * (1 - weight) + 1e-9))]
    labels, n = ndi.label(distance > threshold)
    sizes = ndi.sum_labels(np.ones_like(labels), labels, range(1, n + 1))
    return ndi.binary_fill_holes(labels == 1 + np.argmax(sizes))


def pose(image):
    mask = foreground(image)
    y, x = np.nonzero(mask)
    cx, cy = x.mean(), y.mean()
    dx, dy = x - cx, y - cy
    angle = .5 * np.arctan2(2 * (dx * dy).mean(), (dx * dx).mean() - (dy * dy).mean())
    c, s = np.cos(angle), np.sin(angle)
    along, across = dx * c + dy * s, dy * c - dx * s
    low, high = np.percentile(along, [.3, 99.7])
    middle, v_middle = (low + high) / 2, np.percentile(across, [.5, 99.5]).mean()
    left, right = across[along < middle], across[along >= middle]
    if (right ** 2).mean() > (left ** 2).mean():
        angle += np.pi
    return {"angle": angle, "x": cx + middle * c - v_middle * s, "y": cy + middle * s + v_middle * c,
            "length": high - low, "spread": np.percentile(np.abs(across - v_middle), 99.5),
            "pixels": int(mask.sum())}


def teardrop(angle, cx, cy):
    y, x = np.mgrid[:64, :64]
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    inside = (np.abs(along) < 20) & (np.abs(across) < 6 - .2 * along)
    return np.where(inside[..., None], [.9, .6, .3], [.1, .1, .12])


def leave_one_out(x, height, width):
    n, cells, C = x.shape
    out = np.zeros((n, cells))
    for cell in range(cells):
        near = [min(max(cell // width + dy, 0), height - 1) * width + min(max(cell % width + dx, 0), width - 1)
                for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        bank = x[:, near]  # (n, 9, C)
        flat = bank.reshape(-1, C) - bank.reshape(-1, C).mean(0)
        metric = np.linalg.inv(flat.T @ flat / len(flat) + np.eye(C))
        for i in range(n):
            d = x[i, cell] - np.delete(bank, i, 0).reshape(-1, C)
            out[i, cell] = np.sqrt(np.einsum("ia,ab,ib->i", d, metric, d).min())
    return out


crop = (.5 + .5 * u(3000, 32 * 40 * 3)).astype(np.float32).astype(np.float64).reshape(32, 40, 3)
weights = [u(3001 + s, 4 * 75).astype(np.float32).astype(np.float64).reshape(4, 5, 5, 3) for s in range(3)]
drops = [(.3, 31, 30), (2.2, 33, 32), (-1.9, 30, 34)]
golden = {"features": features(crop, weights).ravel().tolist(),
          "drops": drops, "poses": [pose(teardrop(*d)) for d in drops],
          "distances": leave_one_out(u(3010, 6 * 6 * 5).reshape(6, 6, 5), 2, 3).ravel().tolist()}
out = pathlib.Path(__file__).with_name("lpd.json")
out.write_text(json.dumps(golden) + "\n")
print(out, out.stat().st_size, "bytes")
