"""Writes networks.safetensors: outputs and a training step of the networks in bench/pytorch/models.py.

    python3 tests/golden/make_networks.py        (made with torch 2.15.0)

Weights and inputs come from formula.py, so no weight is stored; all is computed in float64. Cases
are small images through the networks of the presets; "<case>.input" = images, side, channels.
    <case>.y          output in inference mode (N,H,W,C), (N,1) for the CNN's logits; float32
    <case>.d          the DCGAN: the discriminator's logits of signed_images(), inference mode
and where a step was trained (from the same weights, in training mode):
    <case>.loss                        MSE against the input (autoencoders), BCE on logits with the
                                       labels 0, 1, 0, 1 ... (CNN)
    <case>.loss_d, <case>.loss_g       DCGAN: BCE(D(real), 1) + BCE(D(fake), 0), real and fake as
                                       separate batches in this order; after D's update BCE(D(fake), 1)
                                       of the same fake
    <case>.gradient_norm.<parameter>   Euclidean, of the whole gradient
    <case>.at.<parameter>              up to 16 positions, counted in PyTorch's layout; there:
    <case>.gradient.<parameter>        the gradient
    <case>.keras.<parameter>           the weight after the step, epsilon placed as in Keras
    <case>.torch.<parameter>           the same by torch.optim
    <case>.running.<buffer>            DCGAN: batch norm's statistics after both steps, whole
RMSprop(1e-3, rho .9) for the CNN, Adam(1e-3, .9, .999) for the autoencoders, Adam(2e-4, .5, .999)
for the DCGAN; eps = 1e-7 in both placements. The DCGAN's G step sees D after its Keras update; the
gradients of D are those of the D step.
"""
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from formula import latents, images, signed_images, state
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent.parent / "bench" / "peers"))
import models

SAMPLE, EPS = 16, 1e-7
golden = {}


def with_formula_weights(preset, size, channels):
    network = models.build(preset, size, channels)
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    network.load_state_dict({name: torch.from_numpy(a) for name, a in state(shapes).items()})
    return network.double()


def torch64(array):
    return torch.from_numpy(array).double()


def nhwc(t):
    t = t.detach()
    return np.ascontiguousarray((t.permute(0, 2, 3, 1) if t.dim() == 4 else t).numpy().astype("f4"))


def rmsprop_keras_first(g):
    return 1e-3 * g / torch.sqrt(0.1 * g**2 + EPS)


def adam_keras_first(lr, beta1, beta2=0.999):
    def change(g):
        rate = lr * np.sqrt(1 - beta2) / (1 - beta1)
        return rate * (1 - beta1) * g / (torch.sqrt((1 - beta2) * g**2) + EPS)
    return change


def record_step(case, named_parameters, keras_change, torch_optimizer):
    """Stores the gradients that the parameters hold and both kinds of update; leaves the weights
    after Keras' update."""
    named = list(named_parameters)
    before = [p.detach().clone() for _, p in named]
    torch_optimizer([p for _, p in named]).step()
    for (name, p), start in zip(named, before):
        g, n = p.grad, p.numel()
        assert g.norm() > 0, f"{case}: {name} gets no gradient"
        at = np.arange(min(n, SAMPLE)) * n // min(n, SAMPLE)
        golden[f"{case}.gradient_norm.{name}"] = g.norm().reshape(1).numpy()
        golden[f"{case}.at.{name}"] = at
        golden[f"{case}.gradient.{name}"] = g.flatten()[at].numpy()
        golden[f"{case}.torch.{name}"] = p.detach().flatten()[at].numpy().copy()
        with torch.no_grad():
            p.copy_(start - keras_change(g))
        golden[f"{case}.keras.{name}"] = p.detach().flatten()[at].numpy().copy()


def network(preset, size, n, train, channels):
    net = with_formula_weights(preset, size, channels)
    x = torch64(images(n, size, channels))
    golden[f"{preset}.input"] = np.array([n, size, channels])
    golden[f"{preset}.y"] = nhwc(net.eval()(x))
    if not train:
        return
    if preset == "cnn":
        labels = (torch.arange(n, dtype=torch.float64) % 2).reshape(n, 1)
        loss = F.binary_cross_entropy_with_logits(net(x), labels)
        change = rmsprop_keras_first
        optimizer = lambda p: torch.optim.RMSprop(p, 1e-3, alpha=0.9, eps=EPS)
    else:
        loss = F.mse_loss(net(x), x)
        change = adam_keras_first(1e-3, 0.9)
        optimizer = lambda p: torch.optim.Adam(p, 1e-3, (0.9, 0.999), eps=EPS)
    loss.backward()
    golden[f"{preset}.loss"] = loss.detach().reshape(1).numpy()
    record_step(preset, net.named_parameters(), change, optimizer)


def dcgan(preset, size, n, train):
    net = with_formula_weights(preset, size, 3)
    z, real = torch64(latents(n, net.LATENT)), torch64(signed_images(n, size, 3))
    golden[f"{preset}.input"] = np.array([n, size, 3])
    net.eval()
    golden[f"{preset}.y"], golden[f"{preset}.d"] = nhwc(net(z)), nhwc(net.discriminator(real))
    if not train:
        return
    net.train()
    one, zero = torch.ones(n, 1, dtype=torch.float64), torch.zeros(n, 1, dtype=torch.float64)
    bce = F.binary_cross_entropy_with_logits
    change = adam_keras_first(2e-4, 0.5)
    optimizer = lambda p: torch.optim.Adam(p, 2e-4, (0.5, 0.999), eps=EPS)
    of = lambda part: [(k, p) for k, p in net.named_parameters() if k.startswith(part)]

    loss_d = bce(net.discriminator(real), one)
    fake = net.generator(z)
    loss_d = loss_d + bce(net.discriminator(fake.detach()), zero)
    loss_d.backward()
    record_step(preset, of("discriminator."), change, optimizer)
    loss_g = bce(net.discriminator(fake), one)
    loss_g.backward()
    record_step(preset, of("generator."), change, optimizer)

    golden[f"{preset}.loss_d"] = loss_d.detach().reshape(1).numpy()
    golden[f"{preset}.loss_g"] = loss_g.detach().reshape(1).numpy()
    for name, buffer in net.named_buffers():
        golden[f"{preset}.running.{name}"] = buffer.numpy().reshape(-1).astype(
            np.int64 if name.endswith("tracked") else np.float32)


# The smallest sides at which every flatten and reshape still has more than one pixel.
network("cnn", 64, 4, True, 3)
network("cnn-codelab", 126, 1, False, 3)
network("kd-cae", 32, 2, True, 3)
network("kd-cae-strided", 32, 2, True, 1)
network("ni-cae", 64, 2, True, 1)
network("ni-cae-128", 128, 1, False, 1)
dcgan("dcgan", 64, 4, True)
dcgan("dcgan-128", 128, 1, False)
out = here / "networks.safetensors"
save_file(golden, out)
out.chmod(0o644)
print(out, len(golden), "tensors,", out.stat().st_size, "bytes")
if "-v" in sys.argv:
    for name, a in golden.items():
        if "norm" in name or "loss" in name or name.endswith((".y", ".d")):
            print(name, a.shape, a.min(), a.max(), a.std())
