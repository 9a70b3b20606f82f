"""Writes kde.safetensors: Gaussian kernel densities by scikit-learn.

    python3 tests/golden/make_kde.py        (made with scikit-learn 1.9.1, scipy 1.17.1)

"<case>.log_density" (m) in nats, "<case>.shape" n, m, D and "<case>.bandwidth". The points are not
stored: training point element i (row-major, (n,D)) is scale * u(2000, i), that of the queries (m,D)
scale * u(2001, i), rounded to float32; see formula.py. "<case>.scale".

With more training points than leaf_size scikit-learn's tree stops early and is wrong in many
dimensions; one leaf makes it sum over all points.
"""
import pathlib

import numpy as np
from formula import u
from safetensors.numpy import save_file
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

golden = {}


def points(stream, rows, D, scale):
    return (scale * u(stream, rows * D)).astype(np.float32).astype(np.float64).reshape(rows, D)


def case(name, n, m, D, h, scale=1.0):
    train, queries = points(2000, n, D, scale), points(2001, m, D, scale)
    queries[0] = train[0]  # a query on a training point
    density = KernelDensity(bandwidth=h, leaf_size=n).fit(train).score_samples(queries)
    squared = ((queries[:, None] - train[None]) ** 2).sum(2)
    normaliser = np.log(n) + D / 2 * np.log(2 * np.pi * h * h)
    direct = logsumexp(-squared / (2 * h * h), axis=1) - normaliser
    assert np.allclose(density, direct, rtol=1e-12, atol=1e-9), (name, density, direct)
    golden.update({f"{name}.log_density": density, f"{name}.shape": np.array([n, m, D]),
                   f"{name}.bandwidth": np.array([h]), f"{name}.scale": np.array([scale])})


case("few_dimensions", 40, 9, 3, 0.3)
case("one_point", 1, 4, 5, 0.5)
case("64_dimensions", 50, 8, 64, 0.2)
case("latents", 24, 6, 8192, 0.2)
case("wide_latents", 24, 6, 8192, 5.0)
case("small_latents", 24, 6, 8192, 0.2, scale=0.01)
case("far", 8, 3, 100, 0.01, scale=50.0)
out = pathlib.Path(__file__).with_name("kde.safetensors")
save_file(golden, out)
print(out, len(golden), "tensors,", out.stat().st_size, "bytes")
