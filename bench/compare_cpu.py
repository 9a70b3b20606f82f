"""Training steps and inference, ours beside PyTorch's, interleaved in one run.

    python3 bench/compare_cpu.py --bench build/release/bench/bench_step [--presets kd-cae] \\
        --out bench/results/<cpu>/compare_pytorch.md

A first round finds PyTorch's best setting of each case (layout, eager or compiled); then ours and the
peer's run in turn, each in a process of its own, --rounds times. Ratios are formed round by round, so a
drift of the machine's speed touches both sides. Needs torch for the interpreter that runs it.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peers"))
import measure

STOCK = "nchw eager, out of the box"


def ours(bench, preset, mode, batch):
    """Milliseconds, and MiB of memory."""
    command = [bench, f"--benchmark_filter=^{preset}/{mode}/{batch}/", "--benchmark_format=json",
               "--benchmark_min_time=1"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    [result] = json.loads(out[out.index("{"):])["benchmarks"]
    if result.get("error_occurred"):
        sys.exit(f"{preset}/{mode}/{batch}: {result['error_message']}")
    return result["real_time"], result["MiB"]


def theirs(preset, mode, batch, setting, steps):
    """Median milliseconds of a step (of the DCGAN: D's and G's together), MiB, version."""
    with tempfile.NamedTemporaryFile() as out:
        measure.run(preset, batch, mode, measure.SETTINGS[setting], steps, out.name)
        found = [json.loads(line) for line in open(out.name)]
    return (sum(m["median_ms"] for m in found), max(m["memory_mib"] for m in found),
            found[0]["torch"])


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", required=True)
    p.add_argument("--presets", default="cnn,kd-cae,ni-cae,dcgan")
    p.add_argument("--modes", default="train,infer")
    p.add_argument("--batches", default="32", help="of inference; training takes 32")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--out", type=pathlib.Path)
    a = p.parse_args()
    load = os.getloadavg()[0]
    rows = []
    for preset in a.presets.split(","):
        for mode in a.modes.split(","):
            for batch in a.batches.split(",") if mode == "infer" else ["32"]:
                first = {s: theirs(preset, mode, batch, s, a.steps) for s in measure.SETTINGS}
                best = min((s for s in first if s != STOCK), key=lambda s: first[s][0])
                version = first[best][2]
                mine, peer = [], []
                for _ in range(a.rounds):
                    mine.append(ours(a.bench, preset, mode, batch))
                    peer.append(theirs(preset, mode, batch, best, a.steps))
                ratios = [t[0] / m[0] for t, m in zip(peer, mine)]
                milliseconds = statistics.median(m[0] for m in mine)
                rows.append(
                    f"| {preset} | {mode} {batch} | {milliseconds:.1f} "
                    f"| {statistics.median(t[0] for t in peer):.1f} ({best}) | {spread(ratios)} "
                    f"| {first[STOCK][0] / milliseconds:.2f} | {max(m[1] for m in mine):.0f} "
                    f"| {max(t[1] for t in peer):.0f} |")
                print(rows[-1], flush=True)
    text = "\n".join([
        f"# Assay beside PyTorch {version} on {measure.cpu_name()}", "",
        f"{datetime.date.today()}, fp32, {a.rounds} interleaved rounds, load before {load:.2f}. "
        f"`python3 {' '.join(sys.argv)}`", "",
        "Milliseconds are medians over the rounds. Ratio: PyTorch's time over ours, median (least to "
        "most) over the rounds; above 1 ours is faster. Memory: peak resident size less that before the "
        "first step.", "",
        "| network | what | ours ms | PyTorch ms (its best setting) | ratio | ratio to PyTorch out of "
        "the box | ours MiB | PyTorch MiB |", "|--|--|--|--|--|--|--|--|", *rows, ""])
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
