"""Measures PyTorch's table of this machine and writes it as Markdown.

    python3 bench/pytorch/measure.py --out bench/results/<cpu>/pytorch.md [--presets kd-cae,cnn]

Runs train_step.py in each setting in turn, and all of that several times over (interleaved), each
run a process of its own. The values are the minimum and the median over all rounds. A machine that
does other work gives no values worth keeping, so it refuses one whose load is above --max-load.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

SETTINGS = {
    "nchw eager": [],
    "nhwc eager": ["--channels-last"],
    "nchw compile": ["--compile"],
    "nhwc compile": ["--channels-last", "--compile"],
    "nchw eager, out of the box": ["--stock"],
}


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        facts = dict(line.strip().split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    family = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown CPU')} ({family}), {os.cpu_count()} cores"


def run(preset, batch, mode, flags, steps, out):
    script = pathlib.Path(__file__).with_name("train_step.py")
    command = [sys.executable, script, preset, "--batch", batch, "--mode", mode, "--steps", steps,
               "--json", out, *flags]
    subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--presets", default="cnn,kd-cae,ni-cae,dcgan")
    p.add_argument("--modes", default="train,infer")
    p.add_argument("--batches", default="32", help="of inference; training always takes 32")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=7)
    p.add_argument("--max-load", type=float, default=0.5)
    p.add_argument("--out", type=pathlib.Path, required=True)
    a = p.parse_args()
    load = os.getloadavg()[0]
    if load > a.max_load:
        sys.exit(f"the load is {load:.1f}; wait until the machine is idle, or raise --max-load")

    cases = [(preset, batch, mode) for preset in a.presets.split(",") for mode in a.modes.split(",")
             for batch in (a.batches.split(",") if mode == "infer" else ["32"])]
    found_by_case = collections.defaultdict(list)  # (preset, what, batch, setting) -> measurements
    for case in cases:
        for _ in range(a.rounds):
            for setting, flags in SETTINGS.items():
                with tempfile.NamedTemporaryFile() as out:
                    run(*case, flags, a.steps, out.name)
                    for line in open(out.name):
                        m = json.loads(line)
                        found_by_case[m["preset"], m["what"], m["batch"], setting].append(m)

    lines = [
        f"# PyTorch {m['torch']} on {cpu_name()}", "",
        f"{datetime.date.today()}, fp32, {m['threads']} threads, {a.rounds} interleaved rounds of "
        f"{a.steps} steps, load before {load:.2f}. `python3 {' '.join(sys.argv)}`", "",
        "Median: of the rounds' medians. Memory: peak resident size less that before the first "
        "step.", "",
        "| network | what | batch | setting | min ms | median ms | images/s | GFLOP/s "
        "| memory MiB |", "|--|--|--|--|--|--|--|--|--|"]
    for (preset, what, batch, setting), found in found_by_case.items():
        best = min(found, key=lambda m: m["min_ms"])
        median = statistics.median(m["median_ms"] for m in found)
        lines.append(f"| {preset} | {what} | {batch} | {setting} | {best['min_ms']:.1f} | {median:.1f} "
                     f"| {best['images_per_second']:.0f} | {best['gflops']:.0f} "
                     f"| {max(m['memory_mib'] for m in found):.0f} |")
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text("\n".join(lines) + "\n")
    print(a.out.read_text())


if __name__ == "__main__":
    main()
