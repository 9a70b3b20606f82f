"""Every convolution of our models against oneDNN's faster kernel, for each release in the build."""
import collections
import json
import re
import statistics
import subprocess

import clean

BELOW, GOAL = 0.9, 1.3


def build(a, _seconds):
    """The tables of Debian's oneDNN and of the build's ASSAY_ONEDNN_NEWEST; names what is missing."""
    lines, raw = [], {}
    for program, how in (("bench_onednn", "install Debian's libdnnl-dev"),
                         ("bench_onednn_newest", "set ASSAY_ONEDNN_NEWEST")):
        path = a.build / "bench" / program
        if not path.exists():
            lines += [f"Not measured: {program} is missing; {how} and build.", ""]
            continue
        try:
            table, raw[program] = table_of(a, path)
        except RuntimeError as e:  # leaves the other release its table
            table = [f"Not measured: {e}."]
        lines += table + [""]
    if not raw:
        raise RuntimeError(" ".join(line for line in lines if line))
    return lines[:-1], raw


def environment(a, program):
    """PyPI's oneDNN runs its kernels through OpenCL, which must find Intel's driver beside it."""
    env = clean.environment(a.threads)
    cache = (a.build / "CMakeCache.txt").read_text()
    newest = re.search(r"^ASSAY_ONEDNN_NEWEST:PATH=(.+)$", cache, re.MULTILINE)
    if program.name == "bench_onednn_newest" and newest:
        env |= {"LD_LIBRARY_PATH": f"{newest[1]}/lib", "OCL_ICD_FILENAMES": f"{newest[1]}/lib/libintelocl.so"}
    return env


def table_of(a, program):
    found = subprocess.run([program, "--threads", str(a.threads)], stdout=subprocess.PIPE, text=True,
                           env=environment(a, program))
    cells = [json.loads(line) for line in found.stdout.splitlines()]
    if not cells:
        raise RuntimeError(f"{program.name} exited with {found.returncode}")
    wrong = [] if found.returncode == 0 else [
        f"**{program.name} exited with {found.returncode}: cells are missing below.**", ""]
    first = cells[0]
    rows, by_pass, below = [], collections.defaultdict(list), []
    for c in cells:
        ratios = clean.ratio(c["ours_ms"], c["baseline_ms"])
        by_pass[c["pass"]].append(statistics.median(ratios))
        if clean.quartiles(ratios)[1] < BELOW:
            below.append(f"{c['layer']} {c['pass']}")
        ours = statistics.median(c["ours_ms"])
        share = {"FMA": c["flops"] / c["fma_flops"], "copy": c["bytes"] / c["copy_bytes"]}
        limit = max(share, key=share.get)
        rows.append(
            f"| {c['layer']} | {c['pass']} | {ours:.2f} | {statistics.median(c['baseline_ms']):.2f} "
            f"| {c['baseline_kernel']} | {clean.spread(ratios)} "
            f"| {100 * share[limit] / ours * 1e3:.0f} % {limit} |")
    everything = [r for ratios in by_pass.values() for r in ratios]
    means = ", ".join(f"{name} {statistics.geometric_mean(r):.2f}" for name, r in by_pass.items())
    return [
        f"## Layers against oneDNN {first['onednn']}", "",
        f"Batch {first['batch']}, {first['isa']}, {len(first['ours_ms'])} rounds. oneDNN runs the faster "
        "of its direct and its Winograd kernel in the layouts it likes best; its time is the "
        "convolution's alone, ours includes activation, pool and upsampling. Peak: share that our "
        f"nominal work has of what was measured, {first['fma_flops'] * 1e-9:.0f} GFLOP/s of "
        f"multiply-adds or {first['copy_bytes'] * 1e-9:.0f} GB/s of copying, whichever is nearer; above "
        "100 % work was saved.", "", *wrong,
        f"Geometric mean {statistics.geometric_mean(everything):.2f} (goal {GOAL}; {means}). Below "
        f"{BELOW} with the whole inter-quartile range: {', '.join(below) or 'none'}.", "",
        "| layer | pass | ours ms | oneDNN ms | its kernel | ratio | of peak |",
        "|--|--|--|--|--|--|--|", *rows], cells
