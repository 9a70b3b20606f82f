"""Times whole training steps of our networks in PyTorch on a CUDA GPU, PyTorch at its best.

    python3 bench/pytorch/train_step_gpu.py                     # every cell, one JSON line each
    python3 bench/pytorch/train_step_gpu.py --cells FILE        # as bench/gpu/run.py calls it

A cell is pytorch/<network>-b<batch>/<setting>/<mode>. Settings: eager in NCHW and in NHWC (channels_last),
torch.compile (max-autotune, with CUDA graphs of its own), and eager recorded into a CUDA graph by hand.
Modes: fp32 (TF32 off), tf32, bf16 (autocast). cudnn.benchmark is on, Adam is fused and capturable,
data and labels stay on the device. Times are CUDA events around enough steps for 200 ms, the median of
`--rounds`. Every cell first checks that 20 steps lower the loss (a GAN's: that it stays finite).
"""
import argparse
import json
import statistics
import sys
import time

NETWORKS = ("cnn", "kd-cae", "ni-cae", "dcgan")
SETTINGS = ("eager-nchw", "eager-nhwc", "compile-nhwc", "graph-nhwc")
MODES = ("fp32", "tf32", "bf16")

parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--list", action="store_true", help="print the names of the cells")
parser.add_argument("--cells", metavar="FILE", help="only these")
parser.add_argument("--seconds", type=float, default=0, help="start nothing after so long")
parser.add_argument("--rounds", type=int, default=25)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--device", default="cuda", help="cpu: to try the script, eager only")
a = parser.parse_args()

import torch  # noqa: E402  (--help works without it)
import torch.nn.functional as F  # noqa: E402

import models  # noqa: E402

if a.device == "cuda" and not torch.cuda.is_available():
    sys.exit("train_step_gpu: PyTorch finds no CUDA device")


class Trainer:
    """A network and everything that a step of it needs, on the device."""

    def __init__(self, name, layout, wrap):
        move = lambda t: t.to(a.device).contiguous(memory_format=layout)
        self.gan = name == "dcgan"
        kind = "dcgan" if self.gan else "he"
        net = models.initialise(models.build(name), kind).to(a.device, memory_format=layout)
        _, size, channels, _, _ = models.PRESETS[name]
        x = move(torch.rand(a.batch, channels, size, size))
        capturable = {"capturable": True} if a.device == "cuda" else {}
        fused = {"fused": True, **capturable} if capturable else {}
        if self.gan:
            self.G, self.D = net.generator, net.discriminator
            z = torch.randn(a.batch, net.LATENT, 1, 1, device=a.device)
            one, zero = (torch.full((a.batch, 1), v, device=a.device) for v in (1.0, 0.0))
            bce = F.binary_cross_entropy_with_logits
            real = 2 * x - 1
            self.make = wrap(lambda: self.G(z))
            self.loss_d = wrap(lambda fake: bce(self.D(real), one) + bce(self.D(fake), zero))
            self.loss_g = wrap(lambda fake: bce(self.D(fake), one))
            self.adam_d, self.adam_g = (torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999), **fused)
                                        for part in (self.D, self.G))
        elif name == "cnn":
            label = (torch.arange(a.batch, device=a.device) % 2).float().reshape(-1, 1)
            self.loss = wrap(lambda: F.binary_cross_entropy_with_logits(net(x), label))
            self.optimizer = torch.optim.RMSprop(net.parameters(), 1e-3, 0.9, **capturable)
        else:
            self.loss = wrap(lambda: F.mse_loss(net(x), x))
            self.optimizer = torch.optim.Adam(net.parameters(), 1e-3, (0.9, 0.999), **fused)

    def step(self, autocast):
        """The loss; a GAN's is the sum of D's and G's."""
        bf16 = lambda: torch.autocast(a.device, torch.bfloat16, enabled=autocast)
        if not self.gan:
            return self.minimise(self.optimizer, bf16, self.loss)
        with bf16():
            fake = self.make()  # once, for both losses
        of_d = self.minimise(self.adam_d, bf16, lambda: self.loss_d(fake.detach()))
        self.D.requires_grad_(False)
        of_g = self.minimise(self.adam_g, bf16, lambda: self.loss_g(fake))
        self.D.requires_grad_(True)
        return of_d + of_g

    @staticmethod
    def minimise(optimizer, bf16, loss):
        optimizer.zero_grad(set_to_none=True)
        with bf16():
            value = loss()
        value.backward()
        optimizer.step()
        return value.detach()


def recorded(step):
    """The step as a CUDA graph: warmed up on another stream, recorded, replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss
    return replay


def time_us(step):
    """Microseconds of a step: one sample for each round."""
    if a.device == "cpu":
        def sample(n):
            start = time.perf_counter()
            for _ in range(n):
                step()
            return (time.perf_counter() - start) * 1e6 / n
        return [sample(1) for _ in range(a.rounds)]

    def sample(n):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(n):
            step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e3 / n
    sample(5)
    steps = max(1, int(200e3 / sample(5)))
    return [sample(steps) for _ in range(a.rounds)]


def measure(name, setting, mode):
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode == "tf32"
    layout = torch.contiguous_format if setting.endswith("nchw") else torch.channels_last
    wrap = ((lambda f: torch.compile(f, mode="max-autotune")) if setting.startswith("compile")
            else (lambda f: f))
    trainer = Trainer(name, layout, wrap)
    step = lambda: trainer.step(mode == "bf16")
    first = float(step())
    if setting.startswith("graph"):
        step = recorded(step)
    for _ in range(20):
        last = step()
    last = float(last)
    if not (last == last and abs(last) < 1e6 and (trainer.gan or last < first)):
        raise RuntimeError(f"the loss went from {first} to {last}")
    us = sorted(time_us(step))
    row = dict(us=statistics.median(us), p10_us=us[len(us) // 10], p90_us=us[-1 - len(us) // 10],
               samples=len(us), batch=a.batch, mode=mode, framework=f"torch {torch.__version__}",
               first_loss=first, last_loss=last)
    if a.device == "cuda":
        row.update(cudnn=torch.backends.cudnn.version(), gpu=torch.cuda.get_device_name(),
                   peak_bytes=torch.cuda.max_memory_allocated())
    return row


def main():
    names = [f"pytorch/{n}-b{a.batch}/{s}/{m}" for n in NETWORKS for s in SETTINGS for m in MODES]
    if a.list:
        print("\n".join(names))
        return
    if a.cells:
        wanted = open(a.cells).read().split()
        names = [n for n in names if n in wanted]
    start = time.monotonic()
    for cell in names:
        if a.seconds and time.monotonic() - start > a.seconds:
            break
        print(json.dumps({"begin": cell}), flush=True)
        _, network, setting, mode = cell.split("/")
        try:
            row = measure(network.rsplit("-b", 1)[0], setting, mode)
        except Exception as error:  # a setting that cannot do this network is a result
            row = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        print(json.dumps({"cell": cell, **row}), flush=True)
        torch.compiler.reset()


if __name__ == "__main__":
    main()
