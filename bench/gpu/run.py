#!/usr/bin/env python3
"""Runs the GPU benchmarks in stages, each within a budget, and continues where it stopped.

    bench/gpu/run.py --stage models --budget 540      # the four models: all layers, passes and modes
    bench/gpu/run.py --stage conformance,tests,models --budget 1800
    bench/gpu/run.py --table                          # only writes table.md and rows.csv again

Stages: build, conformance, tests, models, blocks, suites, steps. Every row is appended to
results/<gpu>/rows.jsonl as it is measured. A second call skips the cells that have a row, so it goes on
where the first was stopped, by the budget, by ^C or by a crash; --again measures them anew, --retry
those whose row is an error. Needs nothing but Python's standard library.

Exit codes: 0 complete, 1 complete with errors in rows, 2 usage, 3 not complete: the budget ended, or a
program could not start, which is then named with the reason.
"""
import argparse
import datetime
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from process import Budget, lines_of, listed_by, output, run_cells, say
from results import Results
from tables import write_tables

BENCH = pathlib.Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
STAGES = ("build", "conformance", "tests", "models", "blocks", "suites", "steps")
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")

# Programs of a stage, and the first part of the names of their cells that belong to it.
PROGRAMS = {
    "models": (("gpu_conv", ("models",)),),
    "blocks": (("gpu_blocks", ("blocks",)),),
    "suites": (("gpu_conv", ("dcgan-128", "resnet50", "vgg16", "deepbench")),
               ("gpu_gemm", ("gemm",)), ("gpu_kde", ("kde",)), ("gpu_optim", ("optimizers",)),
               ("gpu_memory", ("memory",))),
    "steps": (("gpu_steps", ("steps",)), ("pytorch", ("pytorch",))),
}


def gpu_facts():
    """Name, driver and clocks, as nvidia-smi says."""
    names = "name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    line = output(["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader,nounits"])
    if not line:
        return {}
    values = [value.strip() for value in line.splitlines()[0].split(",")]
    return dict(zip(("gpu", "driver", "sm_mhz", "memory_mhz", "celsius", "watt"), values))


# ---- the stages. Each returns True when nothing of it is left.

def stage_build(a, results, budget):
    preset = a.build.name
    for command in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]):
        say(" ".join(command))
        start = time.monotonic()
        try:
            code = subprocess.run(command, cwd=ROOT).returncode
        except OSError as e:
            code = e.strerror
        if code:
            results.add({"cell": f"build/{preset}", "error": f"{' '.join(command)} gave {code}"})
            return False
    results.add({"cell": f"build/{preset}", "result": "ok",
                 "seconds": round(time.monotonic() - start, 1)})
    return True


def stage_conformance(a, results, budget):
    """One row per wrapped instruction: the emulator's stored result against this device's."""
    program, why = find_program(a.build, "conformance")
    if why:
        results.add({"cell": "conformance", "error": why})
        say(f"conformance: {why}")
        return False
    cases, last, summary, end = 0, "the start", "", None
    with open(results.folder / "log.txt", "ab") as log:
        for line in lines_of([program, BENCH / "conformance" / "expected.txt"], a.silence,
                             lambda: budget.left() + 30, log, dict(os.environ, ASSAY_REQUIRE_CUDA="1")):
            if not isinstance(line, bytes):
                end = line
                continue
            summary = line.decode(errors="replace").strip() or summary
            case, _, text = summary.partition(": ")
            if not text or case == "device" or case == "SKIPPED":
                continue
            cases, last = cases + 1, case
            skipped = text.startswith("SKIPPED")
            good = "result" if text == "ok" or skipped else "error"
            results.add({"cell": f"conformance/{case}", good: text})
            if good == "error":
                say(f"conformance/{case} differs: {text}")
    if end == "budget":
        return False
    if end == "silent":
        summary = f"no sign of life after {last}"
    elif end != 0 and not cases:
        summary = f"the program ended with {end}; see log.txt"
    good = "result" if end == 0 and cases else "error"
    results.add({"cell": "conformance", good: summary})
    say(f"conformance: {summary}")
    return good == "result"


def stage_tests(a, results, budget):
    """Every test of ctest; then the kernel tests under compute-sanitizer's four tools."""
    require = dict(os.environ, ASSAY_REQUIRE_CUDA="1")
    listing = output(["ctest", "--test-dir", a.build, "-N"])
    names = re.findall(r"Test +#\d+: (\S+)", listing)
    if not names:
        why = f"ctest knows no tests in {a.build}" if shutil.which("ctest") else "there is no ctest"
        results.add({"cell": "tests", "error": why})
        say(f"tests: {why}")
        return False
    on_device = dict(require, ASSAY_TEST_ON="cuda")
    jobs = [(f"tests/{name}", ["ctest", "--test-dir", a.build, "-R", f"^{re.escape(name)}$",
                               "--output-on-failure"], require) for name in names]
    sanitizer = shutil.which("compute-sanitizer", path=os.environ.get("PATH", "") +
                             ":/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer")
    program = next(a.build.rglob("assay_tests_kernels"), None)
    # What runs on the device has an entry of its own; the tools see nothing of the rest.
    files = re.findall(r"^kernels\.(\w+)\.cuda$", "\n".join(names), re.MULTILINE)
    for tool in SANITIZERS:
        if not sanitizer or not program:
            results.add({"cell": f"sanitizer/{tool}", "error": "compute-sanitizer is not installed"
                         if not sanitizer else "assay_tests_kernels is not built"})
            continue
        jobs += [(f"sanitizer/{tool}/{name}",
                  [sanitizer, "--tool", tool, "--error-exitcode", "9", program,
                   f"--source-file=*/tests/kernels/{name}_test.cpp"], on_device) for name in files]
    for cell, command, env in jobs:
        if results.has(cell, a.retry):
            continue
        if budget.left() <= 0:
            return False
        start = time.monotonic()
        # ctest says nothing while a test runs, so it gets the time of several cells.
        *lines, code = lines_of(command, a.silence * 5, lambda: budget.left() + 30,
                                subprocess.STDOUT, env)
        if code == "budget":
            return False
        text = b"\n".join(lines).decode(errors="replace")
        row = {"cell": cell, "seconds": round(time.monotonic() - start, 1)}
        skipped = "***Skipped" in text or "SKIPPED" in text
        if code == 0:
            row["result"] = "skipped" if skipped else "ok"
        else:
            reason = ("no sign of life" if code == "silent" else
                      code if isinstance(code, str) else f"exit code {code}")
            row["error"] = f"{reason}: ..." + text[-1500:]
        results.add(row)
        say(f"{cell}: {row.get('result', 'FAILED')}")
    return True


def find_program(build, name):
    """The program's path and None, or None and why it cannot be run."""
    found = [p for p in sorted(build.rglob(name)) if p.is_file()]
    for path in found:
        if os.access(path, os.X_OK):
            return path, None
    return None, (f"{found[0]} is not executable" if found else
                  f"there is no program '{name}' under {build}; build it first (--stage build)")


def program_command(a, name, results):
    """The command of a program and None, or None and why it cannot be run."""
    if name == "pytorch":
        batch = ["--batch", str(a.batch)] if a.batch else []
        return [sys.executable, BENCH / "pytorch" / "train_step_gpu.py", *batch], None
    path, why = find_program(a.build, name)
    if why:
        return None, why
    command = [path, "--plans", results.folder / "plans.jsonl"]
    for option in ("batch", "rounds", "max_plans", "plan_seconds", "algo"):
        if getattr(a, option) is not None:
            command += ["--" + option.replace("_", "-"), str(getattr(a, option))]
    return command + (["--exhaustive"] if a.exhaustive else []), None


def run_program(a, name, prefixes, results, budget):
    """Measures the cells of a program. False if any is left, or the program cannot be started."""
    cell = f"program/{name}"
    if name == "pytorch" and importlib.util.find_spec("torch") is None:
        results.add({"cell": cell, "result": f"skipped: {sys.executable} has no torch"})
        say(f"{name}: left out, because {sys.executable} has no torch")
        return True
    command, why = program_command(a, name, results)
    if not why:
        cells, why = listed_by(*command, "--list")
    if not why and not cells:
        why = "lists no cells"
    if why:
        results.add({"cell": cell, "error": why})
        say(f"{name} could not start: {why}")
        return False
    if "error" in results.rows.get(cell, {}):
        results.add({"cell": cell, "result": "ok"})
    cells = [c for c in cells if c.split("/")[0] in prefixes and re.search(a.filter, c)]
    waiting = [c for c in cells if a.again or not results.has(c, a.retry)]
    say(f"{name}: {len(cells)} cells, {len(waiting)} to be measured")
    return run_cells(command, waiting, results, budget, a.silence)


def stage_measure(stage, a, results, budget):
    # Shares of a roofline are shares of what this GPU reached itself.
    if not run_program(a, "gpu_peaks", ("peaks",), results, budget):
        return False
    complete = True
    for name, prefixes in PROGRAMS[stage]:
        complete = run_program(a, name, prefixes, results, budget) and complete
    return complete


def parse(arguments):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--stage", help="one or more of " + ",".join(STAGES) + ", or all")
    p.add_argument("--budget", type=float, default=0, metavar="SECONDS",
                   help="start nothing after so long (0: no limit)")
    p.add_argument("--table", action="store_true", help="only write the tables again")
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "cuda")
    p.add_argument("--out", type=pathlib.Path, help="default: bench/results/<gpu>")
    p.add_argument("--filter", default="", help="only cells in which this expression is found")
    p.add_argument("--again", action="store_true", help="measure cells that have a row, too")
    p.add_argument("--retry", action="store_true", help="measure cells whose row is an error again")
    p.add_argument("--exhaustive", action="store_true", help="try every plan of cuDNN")
    p.add_argument("--silence", type=float, default=120, metavar="SECONDS",
                   help="a program that prints nothing for so long hangs")
    for option, kind in (("batch", int), ("rounds", int), ("max-plans", int),
                         ("plan-seconds", float), ("algo", str)):
        p.add_argument("--" + option, type=kind, help="passed on to the programs")
    a = p.parse_args(arguments)
    if not a.table and not a.stage:
        p.error("--stage is missing")
    a.stages = list(STAGES) if a.stage == "all" else (a.stage or "").split(",")
    unknown = [s for s in a.stages if s not in STAGES and not a.table]
    if unknown:
        p.error(f"--stage: no stage is called '{unknown[0]}'; there are {', '.join(STAGES)}")
    a.build = a.build.resolve()
    return a


def main():
    a = parse(sys.argv[1:])
    facts = gpu_facts()
    slug = re.sub(r"[^a-z0-9]+", "-", facts.get("gpu", "no-gpu").lower()).strip("-")
    results = Results(a.out or BENCH / "results" / slug)
    if a.table:
        return write_tables(results)
    budget = Budget(a.budget)
    results.append("runs.jsonl", dict(
        facts, date=datetime.date.today().isoformat(), command=" ".join(sys.argv),
        commit=output(["git", "-C", ROOT, "describe", "--always", "--dirty"])))
    left_over = []
    try:
        for stage in a.stages:
            if budget.left() <= 0:
                left_over.append(stage)
                continue
            run = {"build": stage_build, "conformance": stage_conformance,
                   "tests": stage_tests}.get(stage)
            complete = (run(a, results, budget) if run
                        else stage_measure(stage, a, results, budget))
            if not complete:
                left_over.append(stage)
    except KeyboardInterrupt:
        left_over = a.stages
    facts = gpu_facts()
    if facts:
        results.append("runs.jsonl", dict(facts, command="(after it)"))
    write_tables(results)
    say(f"wrote {results.folder / 'table.md'} and rows.csv")
    if left_over:
        say(f"not complete: {', '.join(left_over)}; the same command goes on")
        sys.exit(3)
    errors = [cell for cell, row in results.rows.items() if "error" in row]
    if errors:
        say(f"{len(errors)} rows are errors, the first is {errors[0]}")
        sys.exit(1)


if __name__ == "__main__":
    main()
