"""The networks of Assay as plain PyTorch modules, with the names of its model.safetensors.

build("kd-cae") gives the network of a preset. load_state_dict(strict=True) of a model.safetensors
that `assay train` wrote gives the same outputs, and back. Here images are (N,C,H,W).

    python3 bench/pytorch/models.py        prints the presets with their numbers of parameters
"""
import math

import torch
from torch import nn


def relu():
    return nn.ReLU(inplace=True)  # the kinder choice for PyTorch's memory and speed


def upsample(factor):
    return nn.Upsample(scale_factor=factor, mode="nearest")


class Cnn(nn.Module):
    """(N,c,size,size) in [0,1] -> logits (N,1); positive = defective."""

    def __init__(self, size=200, channels=3, filters=(16, 16, 16, 16, 16), pad=1):
        super().__init__()
        layers, c = [], channels
        for k in filters:
            layers += [nn.Conv2d(c, k, 3, padding=pad), relu(), nn.MaxPool2d(2)]
            c, size = k, (size + 2 * pad - 2) // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(c * size * size, 512), relu(), nn.Linear(512, 1))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class KdCae(nn.Module):
    """(N,c,size,size) in [0,1] -> its reconstruction. The latent is (N,128,size/16,size/16)."""

    def __init__(self, size=128, channels=3, strided=False):
        super().__init__()
        assert size % 16 == 0
        stride, last_pool, first_up, last_up = (2, 2, 2, 4) if strided else (1, 4, 4, 2)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), relu(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), relu(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1, stride=stride), relu(), nn.MaxPool2d(last_pool))
        self.decoder = nn.Sequential(
            nn.Conv2d(128, 128, 3, padding=1), relu(), upsample(first_up),
            nn.Conv2d(128, 64, 3, padding=1), relu(), upsample(2),
            nn.Conv2d(64, 32, 3, padding=1), relu(), upsample(last_up),
            nn.Conv2d(32, channels, 3, padding=1), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


class NiCae(nn.Module):
    """(N,c,size,size) in [0,1] -> its reconstruction. The latent is (N,4,size/32,size/32)."""

    FILTERS = (128, 64, 16, 8, 4)

    def __init__(self, size=256, channels=1):
        super().__init__()
        assert size % 32 == 0
        self.side, c = size // 32, channels
        flat = self.FILTERS[-1] * self.side**2
        encoder, decoder = [], []
        for k in self.FILTERS:
            encoder += [nn.Conv2d(c, k, 3, padding=1), relu(), nn.MaxPool2d(2)]
            c = k
        for k in reversed(self.FILTERS):
            decoder += [nn.Conv2d(c, k, 3, padding=1), relu(), upsample(2)]
            c = k
        self.encoder = nn.Sequential(*encoder)
        self.fc1, self.fc2 = nn.Linear(flat, 512), nn.Linear(512, flat)
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(c, channels, 1), nn.Sigmoid())

    def forward(self, x):
        hidden = torch.relu(self.fc1(self.encoder(x).flatten(1)))
        z = torch.relu(self.fc2(hidden)).view(-1, self.FILTERS[-1], self.side, self.side)
        return self.decoder(z)


class Dcgan(nn.Module):
    """generator: z (N,100,1,1) -> (N,c,size,size) in [-1,1]. discriminator: back to logits."""

    LATENT = 100

    def __init__(self, size=64, channels=3):
        super().__init__()
        stages = int(math.log2(size)) - 2  # doublings of a side of 4
        widths = [64 << i for i in range(stages)]  # of D: 64, 128, 256, 512 for 64 px

        c = widths[-1]
        generator = [nn.ConvTranspose2d(self.LATENT, c, 4, 1, 0, bias=False)]
        for k in widths[-2::-1]:
            generator += [nn.BatchNorm2d(c), relu(), nn.ConvTranspose2d(c, k, 4, 2, 1, bias=False)]
            c = k
        generator += [nn.BatchNorm2d(c), relu(),
                      nn.ConvTranspose2d(c, channels, 4, 2, 1, bias=False), nn.Tanh()]

        discriminator, c = [], channels
        for k in widths:
            discriminator += [nn.Conv2d(c, k, 4, 2, 1, bias=False)]
            discriminator += [nn.BatchNorm2d(k)] if c != channels else []
            discriminator += [nn.LeakyReLU(0.2, inplace=True)]
            c = k
        discriminator += [nn.Conv2d(c, 1, 4, 1, 0, bias=False), nn.Flatten()]  # (N,1)

        self.generator = nn.Sequential(*generator)
        self.discriminator = nn.Sequential(*discriminator)

    def forward(self, z):
        return self.generator(z)


# Preset: class, size, channels, further arguments, parameters.
PRESETS = {
    "cnn": (Cnn, 200, 3, {}, 305_665),
    "cnn-codelab": (Cnn, 200, 3, dict(filters=(16, 32, 64, 64, 64), pad=0), 622_753),
    "kd-cae": (KdCae, 128, 3, {}, 333_955),
    "kd-cae-strided": (KdCae, 128, 3, dict(strided=True), 333_955),
    "ni-cae": (NiCae, 256, 1, {}, 433_545),
    "ni-cae-128": (NiCae, 128, 1, {}, 236_745),
    "dcgan": (Dcgan, 64, 3, {}, 3_576_704 + 2_765_568),
    "dcgan-128": (Dcgan, 128, 3, {}, 12_786_560 + 11_164_416),
}


def build(preset, size=None, channels=None):
    make, default_size, default_channels, arguments, _ = PRESETS[preset]
    return make(size or default_size, channels or default_channels, **arguments)


def initialise(network, init="he"):
    """he: uniform of He for weights in front of a ReLU, else of Glorot, zero biases.
    keras: Glorot everywhere. dcgan: N(0, .02), batch norm's gamma N(1, .02)."""
    weighted = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [m for m in network.modules() if isinstance(m, weighted + (nn.BatchNorm2d,))]
    # The last layer of each of our networks, and only that one, has no ReLU behind it.
    for layer in layers:
        if init == "dcgan":
            nn.init.normal_(layer.weight, float(isinstance(layer, nn.BatchNorm2d)), 0.02)
        elif init == "he" and layer is not layers[-1]:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


def forward_flops(network, x):
    """Of one forward pass, by convolutions and dense layers (a multiply-add counts as two), and
    the share of the first of them, whose input needs no gradient."""
    flops = []

    def count(layer, inputs, output):
        positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        pixels = positions[0, 0].numel() if positions.dim() == 4 else 1
        flops.append(2 * len(output) * pixels * layer.weight.numel())

    weighted = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, weighted)]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return sum(flops), flops[0]


if __name__ == "__main__":
    for name, (_, size, channels, _, expected) in PRESETS.items():
        network = build(name)
        count = sum(p.numel() for p in network.parameters())
        assert count == expected, f"{name}: {count} parameters, not {expected}"
        image = torch.zeros(1, Dcgan.LATENT, 1, 1) if name.startswith("dcgan") else \
            torch.zeros(1, channels, size, size)
        print(f"{name:15s} {size:3d} px, {channels} channels, {count:10,d} parameters, "
              f"{forward_flops(network, image)[0] / 1e9:.3f} GFLOP forward")
