"""Training steps and inference against PyTorch, in fp32 and in bf16."""
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import clean

SETTINGS = {f"{layout} {how}": flags + more
            for how, more in {"eager": [], "compile": ["--compile"]}.items()
            for layout, flags in {"nchw": [], "nhwc": ["--channels-last"]}.items()}
STOCK = "out of the box"  # nchw eager
PRECISIONS = {"fp32": [], "bf16": ["--bf16"]}  # of PyTorch
BATCH, MIN_ROUNDS, MAX_ROUNDS = 32, 3, 7
CASES = [("train", BATCH), ("infer", 1), ("infer", BATCH)]
MEASURE_SECONDS, MAX_SECONDS = 2, 300  # of one value; of one process of PyTorch


def theirs(a, preset, flags):
    """(what, batch) -> measurement, of one process. The DCGAN's inference is its generator's."""
    script = pathlib.Path(__file__).with_name("train_step.py")
    with tempfile.NamedTemporaryFile() as out:
        command = [sys.executable, script, preset, "--mode", "all", "--batch", BATCH, "--steps", 9,
                   "--threads", a.threads, "--seconds", MEASURE_SECONDS, "--json", out.name, *flags]
        subprocess.run([str(part) for part in command], check=True, timeout=MAX_SECONDS,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = [json.loads(line) for line in open(out.name)]
    return {(m["what"].split()[0], m["batch"]): m for m in found if m["what"] != "infer D"}


def bench_step(a, cases, seconds):
    """The rows of Google Benchmark for the cases that match the expression `cases`."""
    command = [a.build / "bench" / "bench_step", "--benchmark_format=json",
               f"--benchmark_filter=^{cases}/", f"--benchmark_min_time={seconds}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = json.loads(out[out.index("{"):])["benchmarks"] if "{" in out else []
    for r in rows:
        if r.get("error_occurred"):
            raise RuntimeError(f"{r['name']}: {r['error_message']}")
    return rows


def inference(a, preset, batch):
    """Our milliseconds in fp32."""
    return bench_step(a, f"{preset}/infer/{batch}", MEASURE_SECONDS / 2)[0]["real_time"]


def ours(a, preset, precision):
    """(what, batch) -> milliseconds, MiB and the precision: without AMX we have no bf16 on a CPU."""
    ending = "" if precision == "fp32" else f"-{precision}"
    results = {}
    for r in bench_step(a, f"{preset}/(train{ending}/{BATCH}|infer{ending}/(1|{BATCH}))",
                        MEASURE_SECONDS / 2):
        _, what, batch = r["name"].split("/")[:3]
        results[what.removesuffix(ending), int(batch)] = {
            "median_ms": r["real_time"], "memory_mib": r["MiB"], "precision": precision}
    return results or ours(a, preset, "fp32")


def search(a, preset, precision):
    """All settings once: the best of each case, and everything measured."""
    found = {}
    for name, flags in SETTINGS.items():
        try:
            found[name] = theirs(a, preset, flags + PRECISIONS[precision])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
            print(f"{preset}: {name} gave no times: {e}", file=sys.stderr)
    best = {case: min(found, key=lambda name: found[name][case]["median_ms"]) for case in CASES}
    found[STOCK] = theirs(a, preset, ["--stock", *PRECISIONS[precision]])
    return best, found


def settings_rows(preset, precision, found):
    """What each setting of PyTorch took, the fastest in bold."""
    rows = []
    for case in CASES:
        times = {name: found[name][case]["median_ms"] if name in found else None
                 for name in [*SETTINGS, STOCK]}
        fastest = min(t for t in times.values() if t is not None)
        cells = ["failed" if t is None else f"**{t:.1f}**" if t == fastest else f"{t:.1f}"
                 for t in times.values()]
        rows.append(f"| {preset} | {case[0]} {case[1]} {precision} | {' | '.join(cells)} |")
    return rows


def compare(a, preset, precision, deadline):
    best, first = search(a, preset, precision)
    mine, pytorch = collections.defaultdict(list), collections.defaultdict(list)
    rounds = 0
    while rounds < MIN_ROUNDS or rounds < MAX_ROUNDS and time.time() < deadline:
        found = ours(a, preset, precision)
        runs = {name: theirs(a, preset, SETTINGS[name] + PRECISIONS[precision])
                for name in set(best.values())}
        for case in CASES:
            mine[case].append(found[case])
            pytorch[case].append(runs[best[case]][case])
        rounds += 1
    rows, raw = [], {"search": {n: {f"{w} {b}": m for (w, b), m in f.items()}
                                for n, f in first.items()}}
    for case in CASES:
        what, batch = case
        milliseconds = [[m["median_ms"] for m in side[case]] for side in (mine, pytorch)]
        memory = [f"{max(m['memory_mib'] for m in side[case]):.0f}" if what == "train" else ""
                  for side in (mine, pytorch)]
        stock = first[STOCK][case]["median_ms"] / statistics.median(milliseconds[0])
        rows.append(
            f"| {preset} | {what} {batch} | {mine[case][0]['precision']} | {precision} "
            f"| {statistics.median(milliseconds[0]):.1f} "
            f"| {statistics.median(milliseconds[1]):.1f} ({best[case]}) "
            f"| {clean.spread(clean.ratio(*milliseconds))} | {stock:.2f} | {memory[0]} | {memory[1]} |")
        raw[f"{what} {batch}"] = {"ours_ms": milliseconds[0], "baseline_ms": milliseconds[1],
                                  "ours": mine[case][0]["precision"],
                                  "baseline_setting": best[case]}
        print(rows[-1], file=sys.stderr, flush=True)
    version = first[STOCK]["train", BATCH]["torch"]
    return rows, settings_rows(preset, precision, first), raw, version


def build(a, seconds):
    cells = [(preset, precision) for precision in a.precisions.split(",")
             for preset in a.presets.split(",")]
    start, rows, settings, raw = time.time(), [], [], {}
    for i, (preset, precision) in enumerate(cells):
        found, searched, raw[f"{preset} {precision}"], version = compare(
            a, preset, precision, start + seconds * (i + 1) / len(cells))
        rows += found
        settings += searched
    return [
        f"## Training steps and inference against PyTorch {version}", "",
        f"Each value from a process of its own, {MIN_ROUNDS} to {MAX_ROUNDS} rounds. PyTorch at its best: "
        "no environment variable that slows it, a malloc that keeps its memory, and the fastest of both "
        "layouts, eager and through torch.compile; bf16 is its autocast. Ours has bf16 on a CPU with AMX; "
        "elsewhere our fp32 stands beside PyTorch's bf16. Out of the box: one run of it as it comes. The "
        "DCGAN's step is one of D and one of G, its inference the generator's. Memory: peak resident "
        "size less that before the first step.", "",
        "| network | what | ours in | PyTorch in | ours ms | PyTorch ms (its best setting) | ratio | ratio "
        "to PyTorch out of the box | ours MiB | PyTorch MiB |", "|--|--|--|--|--|--|--|--|--|--|", *rows, "",
        "PyTorch's settings, each run once, milliseconds (this search chose the settings above):", "",
        f"| network | what | {' | '.join([*SETTINGS, STOCK])} |", "|--|--|" + "--|" * (len(SETTINGS) + 1),
        *settings], raw
