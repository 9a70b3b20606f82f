"""KD-CAE in PyTorch: AUROC of r (reconstruction error), q (-log density of the latent) and
s = max(z_r, z_q).

    python3 bench/pytorch/quality_kdcae.py DATA bottle --split out/bottle/split.json --seed 1
"""
import numpy as np
from scipy.special import logsumexp

import models
import protocol


def squared_distances(a, b):
    """(len(a), len(b)). The mean goes first, or the expansion loses the answer at d = 8192."""
    centre = b.mean(0)
    a, b = a - centre, b - centre
    return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T, 0)


def log_density(squared, h, n, d):
    return logsumexp(-squared / (2 * h * h), axis=1) - np.log(n) - d / 2 * np.log(2 * np.pi * h * h)


def leave_one_out_bandwidth(z):
    """Maximum likelihood over 60 values, 1e-3 to 10 times the median nearest-neighbour distance."""
    squared = squared_distances(z, z)
    np.fill_diagonal(squared, np.inf)
    unit = np.median(np.sqrt(squared.min(1))) or 1.0
    candidates = unit * np.geomspace(1e-3, 10, 60)
    return max(candidates, key=lambda h: log_density(squared, h, len(z) - 1, z.shape[1]).mean())


def main():
    p = protocol.parser(__doc__)
    p.add_argument("--preset", choices=("kd-cae", "kd-cae-strided"), default="kd-cae")
    p.add_argument("--grey", action="store_true")
    a = p.parse_args()
    protocol.start(a)
    channels = 1 if a.grey else 3
    images = protocol.Images(a.data, a.object_class)
    train, validation = images.split(a.split, a.seed)
    x, x_validation, x_test = (images.read(part, 128, channels)
                               for part in (train, validation, images.test))
    positive = images.defective(images.test)

    network = models.build(a.preset, channels=channels)
    facts = protocol.train_autoencoder(network, x, x, x_validation, x_validation, a)

    def parts(x):
        r = ((protocol.reconstruct(network, x) - x) ** 2).mean((1, 2, 3))
        z = protocol.reconstruct(network.encoder, x).flatten(1)
        return r.double().numpy(), z.double().numpy()

    (_, z), (r_validation, z_validation), (r, z_test) = parts(x), parts(x_validation), parts(x_test)
    h, d = leave_one_out_bandwidth(z), z.shape[1]
    q_validation = -log_density(squared_distances(z_validation, z), h, len(z), d)
    q = -log_density(squared_distances(z_test, z), h, len(z), d)
    s = np.maximum(protocol.deviations(r_validation, r), protocol.deviations(q_validation, q))
    protocol.print_line(a.preset, a, **protocol.verdict(s, positive, 3.0),
                        auroc_reconstruction=protocol.auroc(r, positive),
                        auroc_density=protocol.auroc(q, positive), bandwidth=h, **facts)


if __name__ == "__main__":
    main()
