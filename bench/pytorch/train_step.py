"""Times inference and the whole training step of our networks in PyTorch on the CPU.

    python3 bench/pytorch/train_step.py kd-cae --batch 32 --channels-last [--compile] [--stock]

Without --stock PyTorch gets its best: it runs again in an environment where nothing is left that
slows it down (see clean_environment). --stock is PyTorch as it comes, in the environment as it is,
but for the number of threads. Prints one line a measurement; --json FILE appends it with versions.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("preset")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--warmup", type=int, default=3)
parser.add_argument("--channels-last", action="store_true", help="NHWC memory; otherwise NCHW")
parser.add_argument("--compile", action="store_true", help="torch.compile")
parser.add_argument("--bf16", action="store_true", help="forward pass under autocast to bfloat16")
parser.add_argument("--stock", action="store_true", help="PyTorch out of the box")
parser.add_argument("--mode", choices=("infer", "train", "all"), default="train",
                    help="all: training, then inference at batch 1 and at --batch")
parser.add_argument("--seconds", type=float, default=float("inf"),
                    help="measure no longer than that, but two steps")
parser.add_argument("--json", metavar="FILE")
a = parser.parse_args()


def clean_environment():
    """What a PyTorch user would set who cares for speed."""
    env = dict(os.environ, ASSAY_CLEAN_MALLOC="1", OMP_NUM_THREADS=str(a.threads))
    if a.stock:
        return env
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ATEN_CPU_CAPABILITY",
                 "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_DEBUG_CPU_TYPE"):
        env.pop(name, None)  # each of them can force an older instruction set
    # glibc gives large blocks back to the system after each step, and the page faults of the next
    # one can cost as much as the arithmetic.
    env.update(MALLOC_MMAP_THRESHOLD_="17179869184", MALLOC_TRIM_THRESHOLD_="17179869184",
               MALLOC_TOP_PAD_="67108864")
    return env


if os.environ.get("ASSAY_CLEAN_MALLOC") != "1":
    os.execve(sys.executable, [sys.executable] + sys.argv, clean_environment())

import torch
import torch.nn.functional as F

import models

torch.set_num_threads(a.threads)
torch.manual_seed(0)
layout = torch.channels_last if a.channels_last else torch.contiguous_format
compiled_or_not = torch.compile if a.compile else (lambda f: f)


def wrap(f):
    """What is timed of a network: compiled, under autocast, or as it is."""
    made = compiled_or_not(f)
    if not a.bf16:
        return made

    def under_autocast(*operands):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return made(*operands)
    return under_autocast


def time_it(name, step, flops, batch=a.batch):
    resident_before = resident()
    step()
    begin = time.perf_counter()
    for _ in range(1, a.warmup):
        if time.perf_counter() - begin < a.seconds / 2:
            step()
    seconds = []
    while len(seconds) < 2 or len(seconds) < a.steps and sum(seconds) < a.seconds:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    fastest, median = min(seconds), statistics.median(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - resident_before
    setting = " ".join(("nhwc" if a.channels_last else "nchw", "compile" if a.compile else "eager",
                        "stock" if a.stock else "tuned", *(["bf16"] if a.bf16 else [])))
    print(f"{a.preset:14s} b{batch:<3d} {setting:19s} {name:13s} min {fastest * 1e3:8.1f} ms  "
          f"median {median * 1e3:8.1f} ms  {batch / fastest:7.1f} img/s  "
          f"{flops / fastest / 1e9:6.1f} GFLOP/s  memory {peak:6.0f} MiB", flush=True)
    if a.json:
        with open(a.json, "a") as out:
            print(json.dumps(dict(
                preset=a.preset, batch=batch, setting=setting, what=name, threads=a.threads,
                torch=torch.__version__, min_ms=fastest * 1e3, median_ms=median * 1e3,
                quartiles_ms=[q * 1e3 for q in statistics.quantiles(seconds, n=4)],
                images_per_second=batch / fastest, gflops=flops / fastest / 1e9,
                memory_mib=peak, load=os.getloadavg()[0])), file=out)


def resident():
    """MiB; peak memory is measured against that before the first step."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def inference(network, x):
    network.eval()
    compiled = wrap(network)

    def step():
        with torch.inference_mode():
            compiled(x)
    return step


def time_network():
    """CNN and autoencoders."""
    network = models.initialise(models.build(a.preset)).to(memory_format=layout)
    _, size, channels, _, _ = models.PRESETS[a.preset]
    x = torch.rand(a.batch, channels, size, size).contiguous(memory_format=layout)
    forward, first = (a.batch * f for f in models.forward_flops(network, x[:1]))
    if a.mode != "infer":
        time_training(network, x, 3 * forward - first)
    if a.mode == "all":
        time_it("infer", inference(network, x[:1].contiguous(memory_format=layout)),
                forward / a.batch, 1)
    if a.mode != "train":
        time_it("infer", inference(network, x), forward)


def time_training(network, x, flops):
    if a.preset.startswith("cnn"):
        target, loss = torch.randint(0, 2, (a.batch, 1)).float(), F.binary_cross_entropy_with_logits
        optimizer = torch.optim.RMSprop(network.parameters(), 1e-3, alpha=0.9)
    else:
        target, loss = x, F.mse_loss
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    compiled = wrap(lambda x, target: loss(network(x), target))

    def step():
        optimizer.zero_grad(set_to_none=True)
        compiled(x, target).backward()
        optimizer.step()
    time_it("train", step, flops)


def time_dcgan():
    """One discriminator step and one generator step; the latter leaves out D's weight gradients."""
    network = models.initialise(models.build(a.preset), "dcgan").to(memory_format=layout)
    G, D = network.generator, network.discriminator
    z = torch.randn(a.batch, network.LATENT, 1, 1)
    size = models.PRESETS[a.preset][1]
    real = (torch.rand(a.batch, 3, size, size) * 2 - 1).contiguous(memory_format=layout)
    # Of two images: batch norm in training mode needs them.
    (flops_g, first_g), (flops_d, first_d) = (
        [a.batch / 2 * f for f in models.forward_flops(part, x[:2])]
        for part, x in ((G, z), (D, real)))
    if a.mode != "infer":
        time_adversaries(network, real, 3 * flops_g - first_g, 3 * flops_d - first_d, flops_d)
    if a.mode == "all":
        time_it("infer G", inference(G, z[:1]), flops_g / a.batch, 1)
    if a.mode != "train":
        time_it("infer G", inference(G, z), flops_g)
        time_it("infer D", inference(D, real), flops_d)


def time_adversaries(network, real, backward_g, backward_d, flops_d):
    G, D = network.generator, network.discriminator
    adam = lambda part: torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999))
    optimizer_g, optimizer_d = adam(G), adam(D)
    one, zero = torch.ones(a.batch, 1), torch.zeros(a.batch, 1)
    make = wrap(G)
    bce_of = wrap(lambda x, label: F.binary_cross_entropy_with_logits(D(x), label))

    def step():
        optimizer_d.zero_grad(set_to_none=True)
        bce_of(real, one).backward()
        fake = make(torch.randn(a.batch, network.LATENT, 1, 1))
        bce_of(fake.detach(), zero).backward()
        optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        D.requires_grad_(False)
        bce_of(fake, one).backward()
        D.requires_grad_(True)
        optimizer_g.step()
    # G: forward and both gradients, D's forward and input gradient. D: two whole passes.
    time_it("train D and G", step, backward_g + 2 * flops_d + 2 * backward_d)


time_dcgan() if a.preset.startswith("dcgan") else time_network()
