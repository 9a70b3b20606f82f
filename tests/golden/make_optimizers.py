"""Writes optimizers.safetensors: ten steps of each optimizer in both placements of epsilon.

    python3 tests/golden/make_optimizers.py        (made with torch 2.15.0, numpy 2.4.6)

"gradients" (10,n) and "start" (n) are common to all and hold float32 values. "<case>.weights"
(10,n): after each step. "<case>.options": RMSprop lr, rho, eps; Adam lr, beta1, beta2, eps. Cases
named torch come from torch.optim, those named keras from the formulas below; all in float64.
"""
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

STEPS, N = 10, 24
rng = np.random.default_rng(2015)
# From 1 down to 1e-9, so that epsilon is felt; one weight has no gradient at all.
scale = np.r_[np.geomspace(1, 1e-9, N - 1), 0]
gradients = (rng.normal(size=(STEPS, N)) * scale).astype("f4").astype("f8")
start = rng.normal(size=N).astype("f4").astype("f8")


def by_torch(make):
    w = torch.from_numpy(start.copy()).requires_grad_()
    optimizer, weights = make([w]), []
    for g in gradients:
        w.grad = torch.from_numpy(g.copy())
        optimizer.step()
        weights.append(w.detach().numpy().copy())
    return np.stack(weights)


def rmsprop_keras(lr, rho, eps):
    w, v, weights = start.copy(), np.zeros(N), []
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        w = w - lr * g / np.sqrt(v + eps)
        weights.append(w)
    return np.stack(weights)


def adam_keras(lr, beta1, beta2, eps):
    w, m, v, weights = start.copy(), np.zeros(N), np.zeros(N), []
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        w = w - rate * m / (np.sqrt(v) + eps)
        weights.append(w)
    return np.stack(weights)


golden = {"gradients": gradients, "start": start}


def case(name, options, weights):
    golden[f"{name}.options"], golden[f"{name}.weights"] = np.array(options), weights


for name, lr, rho, eps in (("rmsprop", 1e-3, 0.9, 1e-7), ("rmsprop_fast", 1e-2, 0.99, 1e-5)):
    options = (lr, rho, eps)
    case(f"{name}.keras", options, rmsprop_keras(*options))
    case(f"{name}.torch", options, by_torch(lambda p: torch.optim.RMSprop(p, lr, rho, eps)))
for name, lr, beta1, beta2, eps in (("adam", 1e-3, 0.9, 0.999, 1e-7),
                                    ("adam_gan", 2e-4, 0.5, 0.999, 1e-8)):
    options = (lr, beta1, beta2, eps)
    case(f"{name}.keras", options, adam_keras(*options))
    case(f"{name}.torch", options, by_torch(lambda p: torch.optim.Adam(p, lr, (beta1, beta2), eps)))

out = pathlib.Path(__file__).with_name("optimizers.safetensors")
save_file(golden, out)
print(out, len(golden), "tensors,", out.stat().st_size, "bytes")
