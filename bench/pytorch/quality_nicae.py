r"""NI-CAE in PyTorch: AUROC of 1 - mean SSIM (or of the squared error), with or without noise.

    python3 bench/pytorch/quality_nicae.py DATA toothbrush --split out/run/split.json \
        --train-noise noisy --test-noise noisy
"""
import numpy as np
import torch
from skimage.metrics import structural_similarity

import models
import protocol

NOISE_SHARE, NOISE_VARIANCE = 0.10, 0.001


def noisy(x, rng):
    """Gaussian noise on floor(10 %) of the images, drawn without replacement, clipped to [0,1]."""
    x = x.clone()
    for i in rng.choice(len(x), int(NOISE_SHARE * len(x)), replace=False):
        noise = rng.normal(scale=NOISE_VARIANCE**0.5, size=tuple(x[i].shape)).astype(np.float32)
        x[i] = (x[i] + torch.from_numpy(noise)).clamp(0, 1)
    return x


def ssim_scores(x, y):
    value = lambda a, b: structural_similarity(a, b, data_range=1, gaussian_weights=True, sigma=1.5,
                                               use_sample_covariance=False)
    return np.array([1 - value(a[0].double().numpy(), b[0].double().numpy()) for a, b in zip(x, y)])


def main():
    p = protocol.parser(__doc__)
    p.add_argument("--preset", choices=("ni-cae", "ni-cae-128"), default="ni-cae")
    p.add_argument("--train-noise", choices=("clean", "noisy"), default="clean")
    p.add_argument("--test-noise", choices=("clean", "noisy"), default="clean")
    p.add_argument("--denoise", action="store_true", help="the target is the clean image")
    p.add_argument("--score", choices=("ssim", "mse"), default="ssim")
    a = p.parse_args()
    protocol.start(a)
    rng = np.random.default_rng(a.seed)
    size = models.PRESETS[a.preset][1]
    images = protocol.Images(a.data, a.object_class)
    train, validation = images.split(a.split, a.seed)
    clean, clean_validation, clean_test = (images.read(part, size, 1)
                                           for part in (train, validation, images.test))
    with_noise = lambda x, condition: noisy(x, rng) if condition == "noisy" else x
    x, x_validation = with_noise(clean, a.train_noise), with_noise(clean_validation, a.train_noise)
    x_test = with_noise(clean_test, a.test_noise)
    positive = images.defective(images.test)

    network = models.build(a.preset)
    targets = (clean, clean_validation) if a.denoise else (x, x_validation)
    facts = protocol.train_autoencoder(network, x, targets[0], x_validation, targets[1], a)

    def scores(x):
        y = protocol.reconstruct(network, x)
        if a.score == "ssim":
            return ssim_scores(x, y)
        return ((y - x) ** 2).mean((1, 2, 3)).double().numpy()

    s = protocol.deviations(scores(x_validation), scores(x_test))
    protocol.print_line(a.preset, a, score=a.score,
                        conditions=dict(train=a.train_noise, test=a.test_noise),
                        **protocol.verdict(s, positive, 3.0), **facts)


if __name__ == "__main__":
    main()
