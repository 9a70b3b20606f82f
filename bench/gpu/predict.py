#!/usr/bin/env python3
"""Predicts the milliseconds of a training step on an H100 or H200, layer by layer, from machine code
and datasheets. Nothing in it is measured; it says where time should go, and by how much a later
measurement differs from what the code allows.

    predict.py PROGRAM MODEL [--batch 32] [--precision tf32] [--gpu h100] [--json FILE]

PROGRAM is `assay`, built by a CUDA or emulated preset: its `describe` gives layers and algorithms.

A pass of a layer takes the largest of
    products   flops / (the bound of its kernel in bench/results/static x the datasheet's peak), by
               the share of multiprocessors that work: blocks over whole waves of blocks
    memory     the bytes that fprop must move at least (dgrad and wgrad count as much) / bandwidth
and a step adds GAP_US for every launch in bench/gpu/launches.h. Kernels without a bound (direct)
count with the peak, and are marked. What hopper and winograd write and read between kernels (dz of a dgrad
behind an activation, sums of parts) is added. Weights that are packed and the latency of the first and last stages are not in it.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
STATIC = HERE.parent / "results" / "static" / "sm_90a.json"
LAUNCHES = HERE / "launches.h"
SMS = 132
GAP_US = 1.0  # between kernels of a CUDA graph; an assumption
# Datasheets (SXM): dense FLOP/s and bytes/s.
PEAKS = {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12}
BANDWIDTH = {"h100": 3.35e12, "h200": 4.8e12}
PRECISIONS = {  # precision: (unit, products, Math of the mma.sync tiles, Math of wgmma)
    "fp32": ("fp32", 1, None, None),
    "tf32": ("tf32", 1, "Tf32", "WgmmaTf32"),
    "tf32x3": ("tf32", 3, "Tf32x3", "WgmmaTf32x3"),
    "bf16": ("bf16", 1, "Bf16", "WgmmaBf16"),
}
ROW = re.compile(r"^(\S+)\s+(.*?)\s+\(([\d, ]+)\)\s+(\d+)\s+([\d.]+)\s+([\d.]+)$")
CONV = re.compile(r"conv (\d+)x(\d+)/(\d+)/")


def layers_of(text):
    """The rows of `describe MODEL`."""
    layers = []
    for name, what, output, parameters, mflop, mb in filter(None, map(
            lambda line: (m := ROW.match(line)) and m.groups(), text.splitlines())):
        layer = {"name": name, "what": what, "output": [int(n) for n in output.split(",")],
                 "flops": 1e6 * float(mflop), "bytes": 1e6 * float(mb)}
        if conv := CONV.search(what):
            r, s, stride = map(int, conv.groups())
            up = re.search(r"upsample (\d+)", what)
            layer.update(filter=r * s, stride=stride, upsample=int(up[1]) if up else 1,
                         weights=int(parameters))
        layers.append(layer)
    return layers


def algorithms_of(text):
    """{layer: {pass: algorithm}} of `describe MODEL --algorithms`."""
    found, layer = {}, None
    for line in text.splitlines():
        if named := re.match(r"^(\S+): ", line):
            layer = found.setdefault(named[1], {})
        elif layer is not None and (chosen := re.match(r"^  (fprop|dgrad|wgrad)  (\S+(?: \S+)?)  ", line)):
            layer[chosen[1]] = chosen[2].strip()
    return found


def sizes_of(layer, what):
    """(rows, columns) of the matrix that a pass of a convolution computes; None for wgrad and matrix
    products, whose blocks fill the device by a cut of the sum, and for other layers."""
    if "filter" not in layer or what == "wgrad":
        return None
    transposed = "transposed" in layer["what"]
    out_channels = layer["output"][-1]
    in_channels = max(1, layer["weights"] // (layer["filter"] * out_channels))
    # Products: pixels of the convolution's output x filter x channels, also where it is transposed.
    # `describe` rounds to 10 kFLOP, so these are rounded to whole pixels.
    pixels = round(layer["flops"] / (2 * layer["filter"] * in_channels * out_channels))
    image = round(pixels * layer["stride"] ** 2 / layer["upsample"] ** 2)
    if transposed:
        return (image, out_channels) if what == "fprop" else (pixels, in_channels)
    return (pixels, out_channels) if what == "fprop" else (image, in_channels)


def is_behind(layer):
    """Whether dz of a convolution is not dy: it is behind an activation or a pool."""
    return bool(re.search(r"ReLU|sigmoid|tanh|max-pool", layer["what"])) and "transposed" not in layer["what"]


def kernel_of(baseline, algorithm, layer, what, precision):
    """(name, kept values, rows and columns of its tile) of the kernel that should run, or None."""
    _, _, mma, wgmma = PRECISIONS[precision]
    conv_pass = {"fprop": "dgrad", "dgrad": "fprop"}.get(what, what) if "transposed" in layer["what"] else what
    acts = is_behind(layer)
    pool = re.search(r"max-pool (\d)", layer["what"])
    source = f"GradientSource<{ {None: 1, '2': 2}.get(pool and pool[1], 0)}, true>" if acts else "ImageSource"
    large = (128, 64), (64, 32)
    if algorithm == "hopper":
        if precision == "bf16" and stage_of(layer, what, precision) == 32:
            wgmma += "Narrow"
        patterns = [(f"hopper::conv2d_hopper<{wgmma}, {n}>", (128, n)) for n in (128, 64, 32)]
    elif algorithm == "winograd":  # 32 tiles of 4 x 4 outputs
        patterns = [("winograd::conv2d_winograd", (512, 32))]
    elif algorithm in ("tensor_core", "pipelined"):
        tile = "FmaTile<" if algorithm == "pipelined" else f"MmaTile<{mma}, "
        if conv_pass == "wgrad":
            patterns = [(f"conv2d_wgrad_pipeline<{tile}{m}, {n}, ", (m, n)) for m, n in ((64, 128), (32, 64))]
        elif conv_pass == "dgrad" and acts:
            if algorithm == "tensor_core" and mma == "Tf32":
                tile = "MmaTile<RoundedTf32, "
            patterns = [(f"conv2d_pipeline<{tile}{m}, {n}, .*{source}", (m, n)) for m, n in large]
        else:
            patterns = [(f"conv2d_pipeline<{tile}{m}, {n}, .*ImageSource", (m, n)) for m, n in large]
    elif algorithm.startswith("gemm "):
        tile = "FmaTile<" if mma is None else f"MmaTile<{mma}, "
        patterns = [(f"product_of_tile<{tile}64, 64, true, true", (64, 64))]
    else:
        return None
    found = []
    for pattern, tile in patterns:
        name = next((k for k in baseline if re.search(pattern.replace("<", r"\<"), k)
                     and baseline[k]["bound"]), None)
        if name:
            found.append((name, baseline[name], tile))
    sizes = None if algorithm.startswith("gemm ") else sizes_of(layer, what)
    if algorithm == "hopper" and sizes:  # plan_of() of hopper.cu
        def blocks(tile):
            return blocks_of(sizes, tile) * (1 if tile[1] == 128 else parts_of(layer, what, sizes, tile, precision))
        enough = {128: SMS, 64: SMS * 2 // 3, 32: 0}
        return next(k for k in found if (sizes[1] > k[2][1] // 2 or k[2][1] == 32)
                    and blocks(k[2]) >= enough[k[2][1]])
    for name, kept, (m, n) in found:  # the largest tile that gives every multiprocessor a block
        if sizes is None or (sizes[1] > n // 2 and blocks_of(sizes, (m, n)) >= SMS):
            return name, kept, (m, n)
    return found[-1] if found else None


def blocks_of(sizes, tile):
    return math.ceil(sizes[0] / tile[0]) * math.ceil(sizes[1] / tile[1])


def stage_of(layer, what, precision):
    """Channels of a stage of hopper, by stage_channels() of hopper.cu."""
    read = sizes_of(layer, "dgrad" if what == "fprop" else "fprop")[1]
    return 64 if precision == "bf16" and math.ceil(read / 32) % 2 == 0 else 32


def parts_of(layer, what, sizes, tile, precision="tf32"):
    """Parts into which hopper cuts the sum of a tile, by plan_of() of hopper.cu."""
    if "max-pool" in layer["what"] and what == "fprop":
        return 1
    # Products of an output.
    stages = layer["flops"] / (2 * sizes[0] * sizes[1]) / stage_of(layer, what, precision)
    return max(1, min(SMS // blocks_of(sizes, tile), 8, int(stages) // 8))


def predict_pass(layer, what, algorithm, baseline, precision, bandwidth):
    unit, products, _, _ = PRECISIONS[precision]
    row, algorithm = algorithm, algorithm.removesuffix("_bf16")
    if algorithm == "direct":
        unit, products = "fp32", 1
    if algorithm == "winograd":  # 36 products in place of 144
        products = 0.25
    kernel = kernel_of(baseline, algorithm, layer, what, precision)
    bound, share, beside = 1.0, 1.0, 0.0  # bytes that are moved before or after the products
    if kernel:
        name, kept, tile = kernel
        bound, sizes = kept["bound"], sizes_of(layer, what)
        if sizes and not algorithm.startswith("gemm "):
            slots = SMS * kept["blocks_per_sm"]
            blocks = blocks_of(sizes, tile)
            if algorithm == "hopper":
                parts = parts_of(layer, what, sizes, tile, precision)
                blocks *= parts
                beside += 8 * parts * sizes[0] * sizes[1] if parts > 1 else 0
            share = blocks / (math.ceil(blocks / slots) * slots)
            if blocks < slots:  # less than a wave: multiprocessors with fewer blocks are faster
                share = min(1.0, blocks / SMS / math.ceil(blocks / SMS))
    floor = max(products * layer["flops"] / PEAKS[unit], layer["bytes"] / bandwidth)
    compute = products * layer["flops"] / PEAKS[unit] / bound / share
    memory = layer["bytes"] / bandwidth
    if algorithm in ("hopper", "winograd") and what == "dgrad" and is_behind(layer):
        pixels, channels = sizes_of(layer, "fprop")
        beside += (4 if precision == "bf16" else 8) * pixels * channels  # dz, written and read
    return {"layer": layer["name"], "pass": what, "algorithm": row,
            "kernel": kernel[0] if kernel else None, "bound": bound if kernel else None,
            "waves": share, "us": 1e6 * (max(compute, memory) + beside / bandwidth), "floor_us": 1e6 * floor,
            "binds": "products" if compute > memory else "memory"}


def predict(layers, algorithms, baseline, precision, bandwidth):
    rows = []
    for layer in layers:
        chosen = algorithms.get(layer["name"])
        if chosen:
            rows += [predict_pass(layer, what, name, baseline, precision, bandwidth)
                     for what, name in chosen.items()]
            continue
        for what in ("fprop", "bprop"):  # batch norm and others: bytes alone
            us = 1e6 * layer["bytes"] / bandwidth
            rows.append({"layer": layer["name"], "pass": what, "algorithm": "", "kernel": None,
                         "bound": None, "waves": 1.0, "us": us, "floor_us": us, "binds": "memory"})
    return rows


def launches_of(model):
    stated = re.search(rf'\{{"{re.escape(model)}", (\d+),', LAUNCHES.read_text())
    return int(stated[1]) if stated else 0


def table(rows, launches):
    lines = ["| layer | pass | algorithm | bound, % of peak | waves, % | binds | predicted, us | "
             "roofline, us |", "|" + "--|" * 8]
    for r in rows:
        bound = f"{100 * r['bound']:.0f}" if r["bound"] else "none known" if r["algorithm"] else ""
        lines.append(f"| {r['layer']} | {r['pass']} | {r['algorithm']} | {bound} | "
                     f"{100 * r['waves']:.0f} | {r['binds']} | {r['us']:.1f} | {r['floor_us']:.1f} |")
    work, floor = sum(r["us"] for r in rows), sum(r["floor_us"] for r in rows)
    lines += ["", f"Step: predicted, not measured: {(work + GAP_US * launches) / 1000:.3f} ms = "
              f"{work / 1000:.3f} ms of kernels + {launches} launches (counted in fp32) x {GAP_US:g} us; "
              f"roofline {floor / 1000:.3f} ms."]
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program", metavar="PROGRAM")
    p.add_argument("model", metavar="MODEL")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--precision", choices=PRECISIONS, default="tf32")
    p.add_argument("--gpu", choices=BANDWIDTH, default="h100")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE")
    a = p.parse_args()

    def describe(*more):
        done = subprocess.run([a.program, "describe", a.model, "--batch", str(a.batch), *more],
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"predict: {done.stderr.strip()}")
        return done.stdout
    rows = predict(layers_of(describe()),
                   algorithms_of(describe("--algorithms", "--device", "cuda", "--precision", a.precision)),
                   json.loads(STATIC.read_text())["kernels"]["sm_90a"], a.precision, BANDWIDTH[a.gpu])
    print(f"# {a.model}, batch {a.batch}, {a.precision}, {a.gpu}: predicted, not measured\n")
    print(table(rows, launches_of(a.model)))
    if a.json:
        a.json.write_text(json.dumps({"label": "predicted, not measured", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
