#!/usr/bin/env python3
"""Compares two builds by a Google Benchmark program.

  bench/compare.py A.json B.json                       two outputs of --benchmark_format=json
  bench/compare.py --run PROGRAM_A PROGRAM_B [options] [-- FLAGS OF BOTH PROGRAMS]

With --run the programs take turns, one benchmark group (the name up to the first '/') at a time, so that what else the machine does
meets both alike. A time is the minimum over all repetitions; by default the CPU time of the main thread, so give the programs one
thread. Prints time B / time A for each benchmark and ends with 1 if one is above --max-ratio.
"""
import argparse
import json
import subprocess
import sys


def times_of(report, clock):
    """name -> minimum time of a parsed JSON report, in its own unit."""
    times = {}
    for row in report["benchmarks"]:
        if row.get("run_type") == "aggregate":
            continue
        name = row.get("run_name", row["name"])
        if row.get("error_occurred"):
            raise SystemExit(f"{name}: {row.get('error_message')}")
        times[name] = min(row[clock], times.get(name, float("inf")))
    return times


def merge(into, more):
    for name, time in more.items():
        into[name] = min(time, into.get(name, float("inf")))


def run_in_turns(a, b, options):
    flags = options.flags
    listed = subprocess.run([b, *flags, "--benchmark_list_tests=true"], check=True, capture_output=True, text=True)
    groups = []
    for line in listed.stdout.splitlines():
        if "/" in line and " " not in line and line.split("/")[0] not in groups:
            groups.append(line.split("/")[0])
    results = {}, {}
    for group in groups:
        for turn in range(options.rounds):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                out = subprocess.run(
                    [(a, b)[side], *flags, f"--benchmark_filter=^{group}/", "--benchmark_format=json",
                     f"--benchmark_min_time={options.min_time}", f"--benchmark_repetitions={options.repetitions}"],
                    check=True, capture_output=True, text=True).stdout
                merge(results[side], times_of(json.loads(out[out.index("{\n"):]), options.clock))
        print(f"{group} done", file=sys.stderr, flush=True)
    return results


def print_table(a, b, max_ratio):
    """Returns the names whose ratio is above max_ratio."""
    common = [name for name in a if name in b]
    slower = [name for name in common if b[name] > max_ratio * a[name]]
    print(f"| benchmark | A | B | B / A |\n|--|--|--|--|")
    for name in common:
        mark = " **slower**" if name in slower else ""
        print(f"| {name} | {a[name]:.4g} | {b[name]:.4g} | {b[name] / a[name]:.3f}{mark} |")
    for name in sorted((set(a) | set(b)) - set(common)):
        print(f"| {name} | {'only in A' if name in a else 'only in B'} | | |")
    ratios = sorted(b[name] / a[name] for name in common)
    if ratios:
        print(f"\n{len(ratios)} benchmarks, ratio median {ratios[len(ratios) // 2]:.3f}, max {ratios[-1]:.3f}")
    return slower


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--run", action="store_true", help="A and B are programs, run in turns")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each program")
    parser.add_argument("--repetitions", type=int, default=5, help="in each turn")
    parser.add_argument("--min-time", type=float, default=0.05, help="seconds of a repetition")
    parser.add_argument("--clock", choices=["cpu_time", "real_time"], default="cpu_time")
    parser.add_argument("--max-ratio", type=float, default=1.03)
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.flags = arguments[split + 1:]
    if options.run:
        a, b = run_in_turns(options.a, options.b, options)
    else:
        with open(options.a) as left, open(options.b) as right:
            a, b = times_of(json.load(left), options.clock), times_of(json.load(right), options.clock)
    sys.exit(1 if print_table(a, b, options.max_ratio) else 0)


if __name__ == "__main__":
    main()
