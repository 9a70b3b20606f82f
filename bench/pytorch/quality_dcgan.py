"""The DCGAN in PyTorch: losses, D(x), D(G(z)) and memorisation at the end of training.

    python3 bench/pytorch/quality_dcgan.py DATA bottle --steps 4000 --seed 1 [--images out/samples]

Memorisation: the distance of each generated image to its nearest training image, beside that of
each training image to the nearest other one; root mean squared difference of pixels in [0,1].
"""
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import models
import protocol


@torch.inference_mode()
def nearest(a, b, same=False):
    """Root mean squared distance of each row of a to its nearest row of b (another one if same)."""
    distance = torch.cdist(a.flatten(1), b.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    if same:
        distance.fill_diagonal_(torch.inf)
    return distance.min(1).values / a[0].numel() ** 0.5


def main():
    p = protocol.parser(__doc__)
    p.add_argument("--preset", choices=("dcgan", "dcgan-128"), default="dcgan")
    p.add_argument("--steps", type=int, default=4000, help="of the generator")
    p.add_argument("--k-steps", type=int, default=1, help="discriminator steps a generator step")
    p.add_argument("--images", type=pathlib.Path, help="folder for 64 generated images")
    a = p.parse_args()
    protocol.start(a)
    images = protocol.Images(a.data, a.object_class)
    train = images.split(a.split, a.seed)[0]
    x = images.read(train, models.PRESETS[a.preset][1], 3) * 2 - 1
    network = models.initialise(models.build(a.preset), "dcgan")
    network.to(memory_format=torch.channels_last)
    G, D = network.generator, network.discriminator
    adam = lambda part: protocol.Adam(part.parameters(), 2e-4, (0.5, 0.999))
    optimizer_g, optimizer_d = adam(G), adam(D)
    bce = F.binary_cross_entropy_with_logits
    noise = lambda: torch.randn(a.batch, network.LATENT, 1, 1)
    order, log, begin = [], [], time.time()

    def real_batch():
        if not order:
            batches = torch.randperm(len(x)).split(a.batch)
            order.extend(i for i in batches if len(i) == len(batches[0]))
        return x[order.pop()]

    for _ in range(a.steps):
        for _ in range(a.k_steps):
            optimizer_d.zero_grad(set_to_none=True)
            real, fake = D(real_batch()), G(noise())
            on_fake = D(fake.detach())
            loss_d = bce(real, torch.ones_like(real)) + bce(on_fake, torch.zeros_like(on_fake))
            loss_d.backward()
            optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        D.requires_grad_(False)
        verdict = D(fake)
        loss_g = bce(verdict, torch.ones_like(verdict))
        loss_g.backward()
        D.requires_grad_(True)
        optimizer_g.step()
        d_real, d_fake = real.sigmoid().mean(), on_fake.sigmoid().mean()
        log.append([t.item() for t in (loss_d, loss_g, d_real, d_fake)])

    seconds = time.time() - begin
    G.eval()
    with torch.inference_mode():
        made = torch.cat([G(noise()) for _ in range(-(-64 // a.batch))])[:64] / 2 + 0.5
    to_training, own = nearest(made, x / 2 + 0.5), nearest(x / 2 + 0.5, x / 2 + 0.5, same=True)
    last = np.mean(log[-100:], axis=0)
    protocol.print_line(a.preset, a, steps=a.steps, loss_d=last[0], loss_g=last[1],
                        d_real=last[2], d_fake=last[3],
                        distance_to_training=to_training.median().item(),
                        distance_within_training=own.median().item(), seconds_train=seconds)
    if a.images:
        a.images.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(made.permute(0, 2, 3, 1).clamp(0, 1).numpy()):
            Image.fromarray((image * 255).round().astype(np.uint8)).save(a.images / f"{i:02d}.png")


if __name__ == "__main__":
    main()
