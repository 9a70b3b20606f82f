"""Writes layers.safetensors: layers and losses with all their gradients, by PyTorch in float64.

    python3 tests/golden/make_layers.py        (made with torch 2.15.0, numpy 2.4.6)

"<layer>.<case>.<tensor>". Images are stored (N,H,W,C), filters (K,R,S,C), transposed filters
(C_in,R,S,C_out). x, w, b, dy hold float32 values. The options of a case are an int64 tensor:
    conv2d            stride, pad, upsample, activation, pool    (in order: upsample, convolution,
                      activation, max-pool)
    conv_transpose2d  stride, pad, activation
    batch_norm        activation
    max_pool2d, avg_pool2d    window, stride
    upsample2d        factor
    linear            activation
activation counts as Assay's enum: 0 none, 1 ReLU, 2 leaky ReLU (.2), 3 sigmoid, 4 tanh.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

rng = np.random.default_rng(2107)
golden = {}
NONE, RELU, LEAKY_RELU, SIGMOID, TANH = range(5)
ACTIVATIONS = [lambda z: z, F.relu, lambda z: F.leaky_relu(z, 0.2), torch.sigmoid, torch.tanh]


def random(*shape):
    """Float64 numbers that float32 holds exactly; a leaf that wants a gradient."""
    values = rng.uniform(-1, 1, shape).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values).requires_grad_()


def ours(t):
    """(N,C,H,W) -> (N,H,W,C), and (K,C,R,S) -> (K,R,S,C)."""
    t = t.detach()
    return np.ascontiguousarray((t.permute(0, 2, 3, 1) if t.dim() == 4 else t).numpy())


def record(name, options, y, **leaves):
    """Stores the case, with the gradients of sum(y * dy) for a random dy."""
    dy = random(*y.shape)
    y.backward(dy)
    if options:
        golden[f"{name}.options"] = np.array(options, np.int64)
    golden[f"{name}.y"], golden[f"{name}.dy"] = ours(y), ours(dy)
    for key, leaf in leaves.items():
        if leaf is not None:
            golden[f"{name}.{key}"], golden[f"{name}.d{key}"] = ours(leaf), ours(leaf.grad)


def conv2d(case, N, H, W, C, K, R, S, stride=1, pad=0, upsample=1, activation=NONE, pool=1,
           bias=True):
    x, w, b = random(N, C, H, W), random(K, C, R, S), random(K) if bias else None
    source = F.interpolate(x, scale_factor=upsample) if upsample > 1 else x
    y = ACTIVATIONS[activation](F.conv2d(source, w, b, stride, pad))
    y = F.max_pool2d(y, pool) if pool > 1 else y
    record(f"conv2d.{case}", [stride, pad, upsample, activation, pool], y, x=x, w=w, b=b)


conv2d("same_3x3", 2, 9, 7, 5, 6, 3, 3, pad=1)
conv2d("valid_3x3", 2, 7, 8, 3, 16, 3, 3)
conv2d("1x1", 2, 5, 4, 8, 3, 1, 1)
conv2d("5x5_from_1_channel", 2, 8, 9, 1, 4, 5, 5, pad=2)
conv2d("2x3", 1, 6, 5, 3, 4, 2, 3, pad=1)
conv2d("stride_2", 2, 9, 8, 4, 8, 3, 3, stride=2, pad=1)
conv2d("stride_3", 1, 10, 11, 3, 5, 3, 3, stride=3)
conv2d("4x4_stride_2", 2, 8, 6, 3, 16, 4, 4, stride=2, pad=1, activation=LEAKY_RELU, bias=False)
conv2d("4x4_to_a_logit", 2, 4, 4, 16, 1, 4, 4, bias=False)
conv2d("1x1_image", 3, 1, 1, 4, 5, 3, 3, pad=1)
conv2d("relu_pool_2", 2, 9, 8, 3, 16, 3, 3, pad=1, activation=RELU, pool=2)
conv2d("relu_pool_4", 1, 8, 12, 8, 16, 3, 3, pad=1, activation=RELU, pool=4)
conv2d("stride_2_relu_pool_2", 1, 12, 8, 8, 8, 3, 3, stride=2, pad=1, activation=RELU, pool=2)
conv2d("upsample_2_relu", 2, 5, 4, 8, 6, 3, 3, pad=1, upsample=2, activation=RELU)
conv2d("upsample_4_relu", 1, 3, 2, 8, 4, 3, 3, pad=1, upsample=4, activation=RELU)
conv2d("upsample_2_sigmoid", 2, 4, 5, 16, 3, 3, 3, pad=1, upsample=2, activation=SIGMOID)
conv2d("upsample_2_1x1_sigmoid", 2, 4, 5, 16, 1, 1, 1, upsample=2, activation=SIGMOID)
conv2d("upsample_2_pool_2", 1, 3, 4, 4, 8, 3, 3, pad=1, upsample=2, activation=RELU, pool=2)


def conv_transpose2d(case, N, P, Q, C_in, C_out, R, stride, pad, activation=NONE, bias=False):
    x, w, b = random(N, C_in, P, Q), random(C_in, C_out, R, R), random(C_out) if bias else None
    y = ACTIVATIONS[activation](F.conv_transpose2d(x, w, b, stride, pad))
    record(f"conv_transpose2d.{case}", [stride, pad, activation], y, x=x, w=w, b=b)


conv_transpose2d("4x4_from_1x1", 3, 1, 1, 10, 8, 4, 1, 0)
conv_transpose2d("4x4_stride_2", 2, 4, 3, 6, 5, 4, 2, 1)
conv_transpose2d("4x4_stride_2_tanh", 2, 5, 4, 8, 3, 4, 2, 1, TANH)
conv_transpose2d("3x3_bias_relu", 1, 4, 5, 4, 6, 3, 1, 1, RELU, bias=True)


def batch_norm(case, shape, activation):
    """Two training steps, then inference; "step1.", "step2." and "inference." before the tensors."""
    name = f"batch_norm.{case}"
    layer = torch.nn.BatchNorm2d(shape[1], eps=1e-5, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(random(shape[1]) + 1.5)
        layer.bias.copy_(random(shape[1]))
        for p in layer.parameters():
            p.copy_(p.float())
    for step in ("step1", "step2"):
        layer.zero_grad()
        x = random(*shape)
        y = ACTIVATIONS[activation](layer(x))
        record(f"{name}.{step}", [activation], y, x=x, gamma=layer.weight, beta=layer.bias)
        golden[f"{name}.{step}.running_mean"] = layer.running_mean.numpy().copy()
        golden[f"{name}.{step}.running_var"] = layer.running_var.numpy().copy()
    layer.eval()
    x = random(*shape)
    golden[f"{name}.inference.x"] = ours(x)
    golden[f"{name}.inference.y"] = ours(ACTIVATIONS[activation](layer(x)))


batch_norm("plain", (3, 5, 4, 6), NONE)
batch_norm("relu", (2, 16, 3, 3), RELU)
batch_norm("leaky_relu", (4, 7, 2, 2), LEAKY_RELU)

for window, stride in ((2, 2), (3, 2), (3, 3), (4, 4)):
    for layer, pool in (("max_pool2d", F.max_pool2d), ("avg_pool2d", F.avg_pool2d)):
        x = random(2, 3, 9, 10)
        record(f"{layer}.{window}_by_{stride}", [window, stride], pool(x, window, stride), x=x)

for factor in (2, 3, 4):
    x = random(2, 5, 3, 4)
    record(f"upsample2d.{factor}", [factor], F.interpolate(x, scale_factor=factor), x=x)

for case, activation, bias in (("plain", NONE, True), ("no_bias", NONE, False),
                               ("relu", RELU, True)):
    x, w, b = random(5, 7), random(6, 7), random(6) if bias else None
    y = ACTIVATIONS[activation](F.linear(x, w, b))
    record(f"linear.{case}", [activation], y, x=x, w=w, b=b)

for name, activation in (("relu", RELU), ("leaky_relu", LEAKY_RELU), ("sigmoid", SIGMOID),
                         ("tanh", TANH)):
    extremes = [-100, -30, -5, -1e-6, 1e-6, 5, 30, 100]
    values = np.r_[extremes, rng.normal(size=24)].astype("f4").astype("f8")
    x = torch.from_numpy(values).requires_grad_()
    record(f"activation.{name}", [activation], ACTIVATIONS[activation](x), x=x)


def loss(name, value, x):
    """The gradient of the loss itself, so no dy."""
    value.backward()
    golden[f"{name}.loss"], golden[f"{name}.dx"] = value.detach().reshape(1).numpy(), ours(x.grad)


x, target = random(3, 4, 5, 2), random(3, 4, 5, 2)
loss("mse_loss.plain", F.mse_loss(x, target.detach()), x)
golden["mse_loss.plain.x"], golden["mse_loss.plain.target"] = ours(x), ours(target)

for case, pos_weight in (("plain", 1.0), ("weighted", 3.5)):
    logits = np.r_[-100, -40, -1e-5, 1e-5, 40, 100, rng.normal(scale=3, size=14)]
    x = torch.from_numpy(logits.astype("f4").astype("f8")).requires_grad_()
    soft = rng.uniform(size=4)
    labels = np.r_[np.arange(16) % 2, soft].astype("f4").astype("f8")
    value = F.binary_cross_entropy_with_logits(
        x, torch.from_numpy(labels), pos_weight=torch.tensor(pos_weight, dtype=torch.float64))
    loss(f"bce_with_logits_loss.{case}", value, x)
    golden[f"bce_with_logits_loss.{case}.x"] = ours(x)
    golden[f"bce_with_logits_loss.{case}.target"] = labels
    golden[f"bce_with_logits_loss.{case}.pos_weight"] = np.array([pos_weight])

out = pathlib.Path(__file__).with_name("layers.safetensors")
save_file(golden, out)
print(out, len(golden), "tensors,", out.stat().st_size, "bytes")
