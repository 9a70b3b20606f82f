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
and a step adds GAP_US for every launch in bench/gpu/launches.h. Algorithms without a bound (direct)
count with the peak and are named below the table. What hopper and winograd write and read between
kernels (dz of a dgrad behind an activation, sums of parts) is added. Weights that are packed and
the latency of the first and last stages are not in it.
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
# The static report lacks their kernels, which run where a layer has few channels.
NO_BOUND = {"direct", "direct_bf16"}
PRECISIONS = {  # precision: (unit, products, Math of the mma.sync tiles, Math of wgmma)
    "fp32": ("fp32", 1, None, None),
    "tf32": ("tf32", 1, "Tf32", "WgmmaTf32"),
    "tf32x3": ("tf32", 3, "Tf32x3", "WgmmaTf32x3"),
    "bf16": ("bf16", 1, "Bf16", "WgmmaBf16"),
}
ROW = re.compile(r"^(\S+)\s+(.*?)\s+\(([\d, ]+)\)\s+(\d+)\s+([\d.]+)\s+([\d.]+)$")
CHOSEN = re.compile(r"^  (fprop|dgrad|wgrad) +(\S+(?: \S+)?) +\S+/")  # pass, algorithm, file
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
        elif layer is not None and (chosen := CHOSEN.match(line)):
            layer[chosen[1]] = chosen[2]
    return found


def channels_of(layer):
    """(in, out) of a convolution, also of a transposed one."""
    out_channels = layer["output"][-1]
    return max(1, layer["weights"] // (layer["filter"] * out_channels)), out_channels


def conv_pass_of(layer, what):
    """The pass of the convolution that a pass of the layer runs."""
    return {"fprop": "dgrad", "dgrad": "fprop"}.get(what, what) if "transposed" in layer["what"] else what


def sizes_of(layer, what):
    """(rows, columns) of the matrix that a pass of a convolution computes; None for wgrad and matrix
    products, whose blocks fill the device by a cut of the sum, and for other layers."""
    if "filter" not in layer or what == "wgrad":
        return None
    in_channels, out_channels = channels_of(layer)
    # Products: pixels of the convolution's output x filter x channels, also where it is transposed.
    # `describe` rounds to 10 kFLOP, so these are rounded to whole pixels.
    pixels = round(layer["flops"] / (2 * layer["filter"] * in_channels * out_channels))
    image = round(pixels * layer["stride"] ** 2 / layer["upsample"] ** 2)
    if "transposed" in layer["what"]:
        return (image, out_channels) if what == "fprop" else (pixels, in_channels)
    return (pixels, out_channels) if what == "fprop" else (image, in_channels)


def filter_sizes_of(layer):
    """(filters, taps and channels of a phase) of a convolution: the sizes of wgrad's matrix."""
    in_channels, out_channels = channels_of(layer)
    if "transposed" in layer["what"]:
        in_channels, out_channels = out_channels, in_channels
    side, up = math.isqrt(layer["filter"]), layer["upsample"]
    taps = side if up == 1 else (side + up - 2) // up + 1  # PhaseAxis::max_taps()
    return out_channels, taps * taps * in_channels


def product_sizes_of(layer, what):
    """(M, N) of a pass of a dense layer, or of a convolution whose filter is as large as its image."""
    images, width = layer["output"][0], layer["output"][-1]
    if "filter" in layer:
        in_channels, out_channels = channels_of(layer)
        if "transposed" in layer["what"]:
            in_channels, out_channels = out_channels, in_channels
        width, inputs = out_channels, layer["filter"] * in_channels
    else:
        inputs = round(layer["flops"] / (2 * images * width))
    return {"fprop": (images, width), "dgrad": (images, inputs),
            "wgrad": (width, inputs)}[conv_pass_of(layer, what)]


def is_behind(layer):
    """Whether dz of a convolution is not dy: it is behind an activation or a pool."""
    return bool(re.search(r"ReLU|sigmoid|tanh|max-pool", layer["what"])) and "transposed" not in layer["what"]


def precision_of(algorithm, precision):
    """The precision in which an algorithm multiplies: fp32 without tensor cores, TF32 on float
    tensors beside bf16 ones."""
    version = algorithm.split()[-1]
    if version.removesuffix("_bf16") not in ("tensor_core", "hopper"):
        return "fp32"
    return "tf32" if precision == "bf16" and not version.endswith("_bf16") else precision


def kernel_of(baseline, algorithm, layer, what, precision):
    """(name, kept values, rows and columns of its tile) of the kernel that should run, or None if the
    report has no bound of it. ValueError for an algorithm that this file does not know."""
    if algorithm in NO_BOUND:
        return None
    if algorithm.startswith("gemm "):
        start, part, tile = product_kernel(algorithm.removeprefix("gemm "), layer, what, precision)
    else:
        start, part, tile = conv_kernel(algorithm, layer, what, precision)
    name = next((k for k in baseline if k.startswith(start) and part in k and baseline[k]["bound"]), None)
    return name and (name, baseline[name], tile)


def tile_name(version, math_of_tile, tile):
    """The start of a tile's name, up to its sizes."""
    m, n = tile
    return {"hoisted": f"OneStage<FmaTile<{m}, {n}, ", "pipelined": f"FmaTile<{m}, {n}, ",
            "tensor_core": f"MmaTile<{math_of_tile}, {m}, {n}, "}[version]


def product_kernel(algorithm, layer, what, precision):
    """(start of the name, a part of it, tile) of a kernel of kernels/gemm/cuda."""
    version, on_bf16 = algorithm.removesuffix("_bf16"), algorithm.endswith("_bf16")
    _, _, mma, wgmma = PRECISIONS[precision_of(algorithm, precision)]
    rows, columns = product_sizes_of(layer, what)
    tile = next((t for t in ((128, 128), (128, 64))  # gemm_tile() of dispatch.cu
                 if rows > 64 and columns > t[1] // 2 and blocks_of((rows, columns), t) >= SMS), (64, 64))
    if version == "hopper":
        return f"hopper_product<{wgmma}, {tile[1]}>", "", (128, tile[1])
    if version == "tiled":
        return "tiled_product<{}, {}>".format(*tile), "", tile
    if version == "naive":
        return "naive_product", "", (1, 256)
    if version not in ("hoisted", "pipelined", "tensor_core"):
        raise ValueError(f"'gemm {algorithm}' is no algorithm that predict.py knows")
    # Whether the depth is contiguous in A and in B.
    layout = {"fprop": "true, true", "dgrad": "true, false",
              "wgrad": "false, false"}[conv_pass_of(layer, what)]
    result = "bf16>" if on_bf16 and what != "wgrad" else "float>"
    return f"product_of_tile<{tile_name(version, mma, tile)}{layout}", f", {result}", tile


def conv_kernel(algorithm, layer, what, precision):
    """(start of the name, a part of it, tile) of a kernel of kernels/conv2d/cuda."""
    version, on_bf16 = algorithm.removesuffix("_bf16"), algorithm.endswith("_bf16")
    _, _, mma, wgmma = PRECISIONS[precision_of(algorithm, precision)]
    conv_pass, sizes = conv_pass_of(layer, what), sizes_of(layer, what)
    if version == "hopper":  # plan_of() of hopper.cu
        if on_bf16 and stage_of(layer, what, "bf16") == 32:
            wgmma += "Narrow"

        def blocks(tile):
            parts = 1 if tile[1] == 128 else parts_of(layer, what, sizes, tile, "bf16" if on_bf16 else "tf32")
            return blocks_of(sizes, tile) * parts
        enough = {128: SMS, 64: SMS * 2 // 3}
        n = next((n for n in enough if sizes[1] > n // 2 and blocks((128, n)) >= enough[n]), 32)
        return f"hopper::conv2d_hopper<{wgmma}, {n}>", "", (128, n)
    if version == "winograd":  # 32 tiles of 4 x 4 outputs
        return "winograd::conv2d_winograd", "", (512, 32)
    if version == "naive":
        return f"conv2d_{conv_pass}_naive", "", (256, 1)
    if version == "tiled":
        return {"fprop": "conv2d_tiled<ImageView", "dgrad": "conv2d_tiled<GradientOfZ",
                "wgrad": "conv2d_wgrad_tiled"}[conv_pass], "", (64, 64)
    if version not in ("hoisted", "pipelined", "tensor_core"):
        raise ValueError(f"'{algorithm}' is no algorithm that predict.py knows")
    pool = re.search(r"max-pool (\d)", layer["what"])
    # Activations whose slope follows from the sign of y are applied to dy while it is copied.
    by_sign = "ReLU" in layer["what"]
    if what == "wgrad":
        filters, depth = filter_sizes_of(layer)
        if filters <= 32 or depth <= 64:
            tile = (32, 64)
        elif on_bf16:
            tile = (64, 256) if filters <= 64 else (128, 128)
        else:
            tile = (64, 128)
        masked = is_behind(layer) and (not on_bf16 or pool or by_sign)
        gradient = f"MaskedGradient<{'true' if pool else 'false'}, " if masked else "PlainGradient"
        return f"conv2d_wgrad_pipeline<{tile_name(version, mma, tile)}", gradient, tile
    source, tiles = "ImageSource", [(128, 64), (64, 32)]
    if conv_pass == "dgrad" and is_behind(layer) and (not on_bf16 or pool or by_sign):
        source = f"GradientSource<{ {None: 1, '2': 2}.get(pool and pool[1], 0)}, true"
        if mma == "Tf32x3":
            tiles = tiles[1:]
        mma = "RoundedTf32" if mma == "Tf32" else mma
    elif on_bf16:
        tiles.insert(0, (128, 128))
    # The largest tile that gives every multiprocessor a block.
    tile = next((t for t in tiles[:-1] if sizes[1] > t[1] // 2 and blocks_of(sizes, t) >= SMS), tiles[-1])
    return f"conv2d_pipeline<{tile_name(version, mma, tile)}", source, tile


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
    unit, products, _, _ = PRECISIONS[precision_of(algorithm, precision)]
    if algorithm == "winograd":  # 36 products in place of 144
        products = 0.25
    kernel = kernel_of(baseline, algorithm, layer, what, precision)
    row, algorithm = algorithm, algorithm.removesuffix("_bf16")
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
    unbound = {}  # algorithm: its layers and passes
    for r in rows:
        if r["algorithm"] and not r["bound"]:
            unbound.setdefault(r["algorithm"], []).append(f"{r['layer']} {r['pass']}")
    lines += [f"No bound is known of {name}, which counts with the peak: {', '.join(passes)}."
              for name, passes in unbound.items()]
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
    algorithms = algorithms_of(describe("--algorithms", "--device", "cuda", "--precision", a.precision))
    kernels = json.loads(STATIC.read_text())["kernels"]["sm_90a"]
    try:
        rows = predict(layers_of(describe()), algorithms, kernels, a.precision, BANDWIDTH[a.gpu])
    except ValueError as e:
        sys.exit(f"predict: {e}")
    print(f"# {a.model}, batch {a.batch}, {a.precision}, {a.gpu}: predicted, not measured\n")
    print(table(rows, launches_of(a.model)))
    if a.json:
        a.json.write_text(json.dumps({"label": "predicted, not measured", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
