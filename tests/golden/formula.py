"""Numbers that Python and C++ (tests/support/formula.h) compute alike, bit for bit, so that weights need no file.

u(stream, i) is a hash of two integers (the finaliser of MurmurHash3) cut to 24 bits: a multiple of
2^-23 in [-1, 1), exact in float32.
"""
import numpy as np

IMAGES, LATENTS = 1000, 1001  # streams of inputs; those of weights count from 0


def u(stream, n):
    """u(stream, 0) to u(stream, n - 1), float64."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B9) * np.uint64(stream)) & mask
    h ^= h >> np.uint64(16)
    h = h * np.uint64(0x85EBCA6B) & mask
    h ^= h >> np.uint64(13)
    h = h * np.uint64(0xC2B2AE35) & mask
    h ^= h >> np.uint64(16)
    return (h >> np.uint64(8)).astype(np.float64) / 2.0**23 - 1


def state_entry(name, stream, shape):
    """The entry `name` of a state dict in PyTorch's layout, float32 (int64 for a count)."""
    if name.endswith("num_batches_tracked"):
        return np.array(7, np.int64)
    values = u(stream, int(np.prod(shape))).reshape(shape)
    gan = name.startswith(("generator.", "discriminator."))
    if len(shape) >= 2:
        values *= 0.04 if gan else np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1 + 0.5 * values
    elif gan and name.endswith("weight"):  # batch norm's gamma
        values = 1 + 0.1 * values
    else:  # bias, running_mean
        values *= 0.1
    return values.astype(np.float32)


def state(shapes):
    """{name: shape} -> {name: array}. The stream of a name is its place in the alphabet."""
    return {name: state_entry(name, i, shapes[name]) for i, name in enumerate(sorted(shapes))}


def images(n, size, channels):
    """In [0,1); counted in NHWC order, given as (N,C,H,W) float32."""
    x = (1 + u(IMAGES, n * size * size * channels)) / 2
    return x.reshape(n, size, size, channels).transpose(0, 3, 1, 2).astype(np.float32)


def signed_images(n, size, channels):
    """In [-1,1), as images()."""
    return 2 * images(n, size, channels) - 1


def latents(n, length):
    """Of unit variance; (N,length,1,1) float32."""
    return (np.sqrt(3) * u(LATENTS, n * length)).reshape(n, length, 1, 1).astype(np.float32)
