"""Writes ssim.safetensors: structural similarity by scikit-image, its gradient by PyTorch.

    python3 tests/golden/make_ssim.py        (made with scikit-image 0.26.0, torch 2.15.0)

"<case>.<tensor>", float64: x, y (N,H,W,C); map (N,H,W,C), border included; value (N), the mean over
channels and all pixels but a border of 5; dx, the gradient of the loss 1 - mean(value). x and y hold
float32 values.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from skimage.metrics import structural_similarity

RADIUS, SIGMA, C1, C2 = 5, 1.5, 0.01**2, 0.03**2


def by_scikit_image(x, y):
    """Of (H,W,C): the mean without the border, and the map."""
    return structural_similarity(x, y, data_range=1, gaussian_weights=True, sigma=SIGMA,
                                 use_sample_covariance=False, full=True, channel_axis=-1)


def moment(t):
    """Gaussian mean of (N,1,H,W) with symmetric edges (d c b a | a b c d)."""
    taps = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1, dtype=t.dtype) / SIGMA) ** 2)
    taps = taps / taps.sum()
    for dim, kernel in ((2, taps.view(1, 1, -1, 1)), (3, taps.view(1, 1, 1, -1))):
        n = t.shape[dim]
        index = [-1 - i if i < 0 else 2 * n - 1 - i if i >= n else i for i in range(-RADIUS, n + RADIUS)]
        t = F.conv2d(t.index_select(dim, torch.tensor(index)), kernel)
    return t


def by_torch(x, y):
    """Of (N,H,W,C): value (N) and map, differentiable."""
    N, H, W, C = x.shape
    x, y = (t.permute(0, 3, 1, 2).reshape(N * C, 1, H, W) for t in (x, y))
    mx, my = moment(x), moment(y)
    sx, sy, sxy = moment(x * x) - mx * mx, moment(y * y) - my * my, moment(x * y) - mx * my
    at = (2 * mx * my + C1) * (2 * sxy + C2) / ((mx * mx + my * my + C1) * (sx + sy + C2))
    at = at.reshape(N, C, H, W).permute(0, 2, 3, 1)
    return at[:, RADIUS:-RADIUS, RADIUS:-RADIUS].mean((1, 2, 3)), at


def case(name, shape, noise):
    rng = np.random.default_rng(len(golden))
    N, H, W, C = shape
    h, w = np.mgrid[0:H, 0:W]
    smooth = 0.5 + 0.4 * np.sin(h / 4)[..., None] * np.cos(w[..., None] / 3 + np.arange(C))
    x = np.clip(smooth + rng.normal(scale=noise, size=shape), 0, 1).astype("f4").astype("f8")
    y = np.clip(smooth + rng.normal(scale=0.02, size=shape), 0, 1).astype("f4").astype("f8")
    leaf = torch.from_numpy(x).requires_grad_()
    value, at = by_torch(leaf, torch.from_numpy(y))
    (1 - value.mean()).backward()
    values, maps = zip(*(by_scikit_image(a, b) for a, b in zip(x, y)))
    assert np.allclose(values, value.detach(), rtol=0, atol=1e-13)
    assert np.allclose(maps, at.detach(), rtol=0, atol=1e-12)
    golden.update({f"{name}.x": x, f"{name}.y": y, f"{name}.value": np.array(values),
                   f"{name}.map": np.stack(maps), f"{name}.dx": leaf.grad.numpy()})


golden = {}
case("grey", (2, 24, 19, 1), 0.05)
case("rgb", (1, 13, 21, 3), 0.2)
case("smallest", (1, 11, 11, 1), 0.1)
case("close", (1, 16, 16, 1), 0.001)
out = pathlib.Path(__file__).with_name("ssim.safetensors")
save_file(golden, out)
print(out, len(golden), "tensors,", out.stat().st_size, "bytes")
