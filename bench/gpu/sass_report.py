#!/usr/bin/env python3
"""Static report of compiled CUDA kernels: what a warp issues in the main loop, what binds, and the
share of peak that this allows. Needs no GPU. It is a bound and an alarm, not a prediction: latency,
bank conflicts, caches and the last wave of blocks are not in it.

    sass_report.py x.cubin y.cu.o ...                a table of the kernels that multiply
    sass_report.py x.cubin ... --check BASELINE      exit code 1 where a bound fell by 2 points or
                                                     more, a block is lost, a stack or spill appears
    sass_report.py x.cubin ... --write BASELINE      keep today's values as the baseline
    ... --compiler "$(nvcc --version | tail -1)"     kept with --write; --check asks for the same
                                                     one, because another schedules otherwise
    sass_report.py x.cubin --loop REGEX              the main loop itself

The machine is that of the cubin (sm_80 or sm_90a). nvdisasm and cuobjdump come from PATH, the CUDA
toolkit or PyPI (nvidia-cuda-nvdisasm, nvidia-cuda-cuobjdump); exit code 77 without them, or where
--check has a baseline of another compiler.
"""
import argparse
import json
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sass import analysis, listing, loops, machine  # noqa: E402

TOLERANCE = 0.02  # of a bound
KEPT = ("registers", "stack", "shared", "blocks_per_sm", "issued", "bound", "binds")


class Skipped(Exception):
    """What was asked for cannot be done here; the text says why."""


def rows_of(cubin, pattern):
    target, kernels = listing.disassemble(cubin)
    if target not in machine.MACHINES:
        sys.exit(f"sass_report: {cubin} is for {target}; known are {', '.join(machine.MACHINES)}")
    usage = listing.resource_usage(cubin)
    for name, kernel in listing.demangle(list(kernels)).items():
        if re.search(pattern, kernel):
            yield analysis.analyse(machine.MACHINES[target], kernel, *kernels[name], usage[name])


def accesses(row, is_wanted):
    return " ".join(f"{n:.0f}x{name}" for name, n in row["memory"].items() if is_wanted(name))


def table(rows):
    lines = ["| kernel | machine | tile | registers | blocks/SM (limit) | issued | products | moves | integer | "
             "compare + convert | shared loads | copies and global | binds | bound, % of peak |",
             "|" + "--|" * 14]
    for r in sorted((r for r in rows if r["bound"]), key=lambda r: (r["kernel"], r["machine"])):
        mix = r["mix"]
        lines.append(
            f"| {r['kernel']} | {r['machine']} | {r['tile']} | {r['registers']} | {r['blocks_per_sm']} "
            f"({r['limited_by']}) | {r['issued']} | {r['useful']} ({100 * r['useful'] / r['issued']:.0f} %) "
            f"| {mix.get('move', 0):.0f} | {mix.get('integer', 0):.0f} | "
            f"{mix.get('fp compare', 0) + mix.get('convert', 0):.0f} "
            f"| {accesses(r, lambda n: n.startswith('LDS.') or n.startswith('LDSM'))} "
            f"| {accesses(r, lambda n: not n.startswith('LDS.') and not n.startswith('LDSM'))} "
            f"| {r['binds']} | {100 * r['bound']:.0f} |")
    return "\n".join(lines)


def comparable_kernels(baseline, compiler):
    """{machine: {kernel: kept values}} of a baseline that this compiler made; else Skipped."""
    if baseline["compiler"] != compiler:
        raise Skipped(f"the baseline is of '{baseline['compiler']}', these files of '{compiler}'")
    return baseline["kernels"]


def check(rows, baseline):
    """Sentences, one for each way in which a row is worse than the baseline."""
    found = []
    for r in rows:
        name = f"{r['kernel']} ({r['machine']})"
        old = baseline.get(r["machine"], {}).get(r["kernel"])
        if r["stack"] > (old["stack"] if old else 0):
            found.append(f"{name}: {r['stack']} bytes of stack or spill")
        if old is None:
            continue
        if old["bound"] and (r["bound"] or 0) <= old["bound"] - TOLERANCE:
            found.append(f"{name}: bound {100 * old['bound']:.0f} -> {100 * (r['bound'] or 0):.0f} %"
                         f" of peak, {r.get('binds', 'no loop multiplies')} binds")
        if r["blocks_per_sm"] < old["blocks_per_sm"]:
            found.append(f"{name}: {old['blocks_per_sm']} -> {r['blocks_per_sm']} blocks on a "
                         f"multiprocessor, limited by {r['limited_by']}")
    seen = {(r["machine"], r["kernel"]) for r in rows}
    for target in {r["machine"] for r in rows}:
        for kernel in baseline.get(target, {}):
            if (target, kernel) not in seen:
                found.append(f"{kernel} ({target}): is in the baseline but was not compiled; "
                             "--write if that is meant")
    return found


def print_loop(cubin, pattern):
    _, kernels = listing.disassemble(cubin)
    for name, kernel in listing.demangle(list(kernels)).items():
        loop = re.search(pattern, kernel) and analysis.main_loop(
            loops.FlowGraph(*kernels[name]).loops())
        if loop:
            print(f"== {kernel}")
            for i in loop.instructions():
                print(f"{i.address:06x}  stall {i.stall:2d}  {i.predicate:6s} {i.op} {i.operands}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="+", metavar="FILE", help="cubins, or object files of nvcc")
    p.add_argument("--filter", default="", metavar="REGEX", help="kernels by name")
    p.add_argument("--check", type=pathlib.Path, metavar="BASELINE")
    p.add_argument("--write", type=pathlib.Path, metavar="BASELINE")
    p.add_argument("--compiler", default="", metavar="TEXT", help="what compiled the files")
    p.add_argument("--quiet", action="store_true", help="print no table")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every value of every row")
    p.add_argument("--loop", metavar="REGEX")
    a = p.parse_args()
    try:
        baseline = a.check and comparable_kernels(json.loads(a.check.read_text()), a.compiler)
        with tempfile.TemporaryDirectory() as folder:
            cubins = [c for file in a.files for c in listing.cubins_of(file, folder)]
            if a.loop:
                for cubin in cubins:
                    print_loop(cubin, a.loop)
                return 0
            rows = [row for cubin in cubins for row in rows_of(cubin, a.filter)]
    except (listing.MissingTool, Skipped) as reason:
        print(f"sass_report: skipped: {reason}", file=sys.stderr)
        return 77
    if not a.quiet:
        print(table(rows))
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")
    if a.write:
        kernels = {}
        for r in sorted(rows, key=lambda r: r["kernel"]):
            kernels.setdefault(r["machine"], {})[r["kernel"]] = {k: r.get(k) for k in KEPT}
        a.write.write_text(json.dumps({"compiler": a.compiler, "kernels": kernels}, indent=1) + "\n")
    worse = check(rows, baseline) if a.check else []
    for sentence in worse:
        print(f"sass_report: {sentence}", file=sys.stderr)
    if a.check and not worse:
        print(f"sass_report: {len(rows)} kernels, none worse than {a.check}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
