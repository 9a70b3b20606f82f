#!/usr/bin/env python3
"""Runs the GPU benchmarks in stages, each within a budget, and continues where it stopped.

    bench/gpu/run.py --stage models --budget 540      # the four models: all layers, passes and modes
    bench/gpu/run.py --stage conformance,tests,models --budget 1800
    bench/gpu/run.py --table                          # only writes table.md and rows.csv again

Stages: build, conformance, tests, models, blocks, suites, steps. Every row is appended to
results/<gpu>/rows.jsonl as it is measured. A second call skips the cells that have a row, so it goes on
where the first was stopped, by the budget, by ^C or by a crash; --again measures them anew, --retry
those whose row is an error. Needs nothing but Python's standard library.
"""
import argparse
import collections
import csv
import datetime
import json
import math
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
STAGES = ("build", "conformance", "tests", "models", "blocks", "suites", "steps")
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")

# Programs of a stage, and the first part of the names of their cells that belong to it.
PROGRAMS = {
    "models": (("gpu_conv", ("models",)),),
    "blocks": (("gpu_blocks", ("blocks",)),),
    "suites": (("gpu_conv", ("dcgan-128", "resnet50", "vgg16", "deepbench")),
               ("gpu_products", ("gemm", "kde", "optimizers", "memory"))),
    "steps": (("gpu_steps", ("steps",)), ("peer", ("peer",))),
}


class Results:
    """The folder of a GPU: rows.jsonl, plans.jsonl, runs.jsonl, and what is made from them."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = {row["cell"]: row for row in self.read("rows.jsonl") if "cell" in row}

    def read(self, name):
        """Lines that are whole; one that a kill cut short is not there."""
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass
        return [row for row in found if isinstance(row, dict)]

    def append(self, name, row):
        path = self.folder / name
        cut_short = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with open(path, "a") as out:
            out.write(("\n" if cut_short else "") + json.dumps(row) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def add(self, row):
        row = dict(row, time=datetime.datetime.now().isoformat(timespec="seconds"))
        self.rows[row["cell"]] = row
        self.append("rows.jsonl", row)
        if row.get("plan") and row.get("key"):
            self.append("plans.jsonl", {"key": row["key"], "plan": row["plan"], "base": row["base"]})

    def has(self, cell, retry):
        row = self.rows.get(cell)
        return row is not None and not (retry and "error" in row)


class Budget:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds if seconds else math.inf

    def left(self):
        return self.end - time.monotonic()


def say(text):
    print(f"run_all: {text}", file=sys.stderr, flush=True)


def output(command, **options):
    """Standard output of a command, or "" where it cannot be run."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              timeout=300, **options)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def gpu_facts():
    """Name, driver and clocks, as nvidia-smi says."""
    names = "name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    line = output(["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader,nounits"])
    if not line:
        return {}
    values = [value.strip() for value in line.splitlines()[0].split(",")]
    return dict(zip(("gpu", "driver", "sm_mhz", "memory_mhz", "celsius", "watt"), values))


def lines_of(command, silence, left, errors, env=None):
    """Yields the lines that a program prints, as bytes, as they come, and lastly its exit code. Ends it,
    and what it started, when it prints nothing for `silence` seconds ("silent") or time is up ("budget")."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                               stderr=errors, env=env, start_new_session=True)
    pending, last = b"", time.monotonic()
    why = None
    try:
        while True:
            wait = min(silence - (time.monotonic() - last), left())
            ready, _, _ = select.select([process.stdout], [], [], max(wait, 0))
            if not ready:
                why = "budget" if left() <= 0 else "silent"
                break
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            last = time.monotonic()
            *lines, pending = (pending + chunk).split(b"\n")
            yield from lines
        if pending:
            yield pending
    finally:
        if why or process.poll() is None:
            try:
                process.wait(timeout=0 if why else 5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        process.stdout.close()
    yield why or code


def stream(command, silence, left, log):
    """Of the lines only the JSON objects; lastly the exit code or the reason, as lines_of."""
    for line in lines_of(command, silence, left, log):
        if not isinstance(line, bytes):
            yield line
            continue
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def run_cells(command, cells, results, budget, silence):
    """Runs the program for these cells. If it dies or hangs in one, that cell gets a row that says so
    and the program starts again with the rest. True when all cells have been dealt with."""
    waiting = list(cells)
    while waiting and budget.left() > 0:
        with (tempfile.NamedTemporaryFile("w", suffix=".cells") as file,
              open(results.folder / "log.txt", "ab") as log):
            file.write("\n".join(waiting) + "\n")
            file.flush()
            running, end = None, None
            extra = ["--seconds", f"{budget.left():.0f}"] if budget.left() < math.inf else []
            # What is in flight when time is up may still end: half a minute for it.
            grace = lambda: budget.left() + 30
            for row in stream([*command, "--cells", file.name, *extra], silence, grace, log):
                if not isinstance(row, dict):
                    end = row
                elif "begin" in row:
                    running = row["begin"]
                elif row.get("cell") in waiting:
                    results.add(row)
                    waiting.remove(row["cell"])
                    running = None
                    say(describe(row))
        if end == "budget" or budget.left() <= 0:
            break
        if running is None:
            if waiting:
                say(f"{command[0]} ended ({end}) with {len(waiting)} cells left: {waiting[0]} ...")
            break
        reason = "no sign of life" if end == "silent" else f"the program ended with {end}"
        results.add({"cell": running, "error": f"{reason} in this cell"})
        say(f"{running}: {reason}")
        waiting.remove(running)
    return not waiting


def describe(row):
    if "error" in row:
        return f"{row['cell']}: {row['error']}"
    if "ratio" in row:
        return f"{row['cell']}: {row['ours_us']:.1f} us, ratio {row['ratio']:.2f}"
    if "ours_us" in row:
        return f"{row['cell']}: {row['ours_us']:.1f} us"
    return f"{row['cell']}: " + " ".join(str(row[k]) for k in ("result", "rate", "us") if k in row)


# ---- the stages. Each returns True when nothing of it is left.

def stage_build(a, results, budget):
    preset = a.build.name
    for command in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]):
        say(" ".join(command))
        start = time.monotonic()
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            results.add({"cell": f"build/{preset}", "error": f"{' '.join(command)} gave {code}"})
            return False
    results.add({"cell": f"build/{preset}", "result": "ok",
                 "seconds": round(time.monotonic() - start, 1)})
    return True


def stage_conformance(a, results, budget):
    """One row per wrapped instruction: the emulator's stored result against this device's."""
    found = list(a.build.rglob("conformance"))
    program = next((p for p in found if p.is_file() and os.access(p, os.X_OK)), None)
    if program is None:
        results.add({"cell": "conformance", "error": f"no program 'conformance' under {a.build}"})
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
    elif not summary:
        summary = f"the program ended with {end}; see log.txt"
    good = "result" if end == 0 and cases else "error"
    results.add({"cell": "conformance", good: summary})
    say(f"conformance: {summary}")
    return good == "result"


def test_names(build):
    listed = output(["ctest", "--test-dir", build, "-N"])
    return re.findall(r"Test +#\d+: (\S+)", listed)


def stage_tests(a, results, budget):
    """Every test of ctest; then the kernel tests under compute-sanitizer's four tools."""
    require = dict(os.environ, ASSAY_REQUIRE_CUDA="1")
    names = test_names(a.build)
    if not names:
        results.add({"cell": "tests", "error": f"ctest knows no tests in {a.build}"})
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
            reason = "no sign of life" if code == "silent" else f"exit code {code}"
            row["error"] = f"{reason}: ..." + text[-1500:]
        results.add(row)
        say(f"{cell}: {row.get('result', 'FAILED')}")
    return True


def program_command(a, name, results):
    """How to start a program, or None where this build or machine lacks it."""
    if name == "peer":
        batch = ["--batch", str(a.batch)] if a.batch else []
        return [sys.executable, BENCH / "pytorch" / "train_step_gpu.py", *batch]
    path = next((p for p in a.build.rglob(name) if p.is_file() and os.access(p, os.X_OK)), None)
    if path is None:
        return None
    command = [path, "--plans", results.folder / "plans.jsonl"]
    for option in ("batch", "rounds", "most_plans", "plan_seconds", "algo"):
        if getattr(a, option) is not None:
            command += ["--" + option.replace("_", "-"), str(getattr(a, option))]
    return command + (["--exhaustive"] if a.exhaustive else [])


def run_program(a, name, prefixes, results, budget):
    command = program_command(a, name, results)
    cells = output([*command, "--list"]).splitlines() if command else []
    cells = [c for c in cells if c.split("/")[0] in prefixes and re.search(a.filter, c)]
    if not cells:
        say(f"{name}: not there, or it has no cell of {', '.join(prefixes)}; left out")
        return True
    waiting = [c for c in cells if a.again or not results.has(c, a.retry)]
    say(f"{name}: {len(cells)} cells, {len(waiting)} to be measured")
    return run_cells(command, waiting, results, budget, a.silence)


def stage_measure(stage, a, results, budget):
    # Shares of a roofline are shares of what this GPU reached itself.
    if not run_program(a, "gpu_peaks", ("ceilings",), results, budget):
        return False
    complete = True
    for name, prefixes in PROGRAMS[stage]:
        complete = run_program(a, name, prefixes, results, budget) and complete
    return complete


# ---- tables

def ceilings(results):
    """The highest rate of each kind."""
    best = {}
    for row in results.rows.values():
        if "ceiling" in row and "rate" in row:
            best[row["ceiling"]] = max(best.get(row["ceiling"], 0), row["rate"])
    return best


def floor_us(row, best):
    """The roofline's time and what binds: flops at the mode's rate or bytes at the copy rate."""
    if "emulated" in row:
        return None, ""
    kind = {"tf32": "tf32", "tf32x3": "tf32", "bf16": "bf16"}.get(row.get("mode"), "fp32")
    products = 3 if row.get("mode") == "tf32x3" else 1
    if "copy" not in best or kind not in best or not row.get("bytes"):
        return None, ""
    compute = products * row.get("flops", 0) / best[kind] * 1e6
    memory = row["bytes"] / best["copy"] * 1e6
    return max(compute, memory), kind if compute > memory else "copy"


def share(row, who, floor):
    return f"{100 * floor / row[who]:.0f} %" if floor and row.get(who) else ""


def number(row, key, digits=1):
    return f"{row[key]:.{digits}f}" if isinstance(row.get(key), (int, float)) else ""


def geomeans(rows):
    """Per suite, pass and mode: the geometric mean of the ratios, cold and warm."""
    groups = collections.defaultdict(list)
    for row in rows:
        parts = row["cell"].split("/")
        if len(parts) >= 4 and row.get("ratio"):  # the fifth is a rung that was asked for
            groups[parts[0], parts[2], "/".join(parts[3:])].append(row)
    lines = ["| suite | pass | mode | cells | ratio, cold | ratio, warm | least | most |",
             "|--|--|--|--|--|--|--|--|"]
    mean = lambda values: math.exp(sum(map(math.log, values)) / len(values))
    for (suite, what, mode), found in sorted(groups.items()):
        cold = [row["ratio"] for row in found]
        lines.append(f"| {suite} | {what} | {mode} | {len(found)} | {mean(cold):.2f} | "
                     f"{mean([row['ratio_warm'] for row in found]):.2f} | {min(cold):.2f} | "
                     f"{max(cold):.2f} |")
    return lines if groups else []


def write_tables(results):
    best = ceilings(results)
    rows = [row for row in results.rows.values() if "ours_us" in row]
    with open(results.folder / "rows.csv", "w", newline="") as file:
        keys = list(dict.fromkeys(key for row in results.rows.values() for key in row))
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(results.rows.values())
    runs = results.read("runs.jsonl")
    last = runs[-1] if runs else {}
    lines = [f"# {last.get('gpu', results.folder.name)}", ""]
    if any("emulated" in row for row in rows):
        lines += ["**Emulated on the CPU: the times mean nothing.**", ""]
    lines += [f"{last.get('date', '')}, commit {last.get('commit', '?')}, driver "
              f"{last.get('driver', '?')}. Commands:", ""]
    lines += [f"    {run.get('command', '')}" for run in runs] + [""]
    if best and not any("emulated" in row for row in rows):
        lines += ["Ceilings measured on this GPU: " + ", ".join(
            f"{kind} {rate * 1e-12:.2f} {'TB/s' if kind == 'copy' else 'TFLOP/s'}"
            for kind, rate in best.items()) + ".", ""]
    lines += geomeans(rows) + [""]
    lines += ["| cell | rung | ours us (p10-p90) | warm | opponent us | warm | ratio | roofline: ours | "
              "opponent | bound | error | opponent |", "|--|--|--|--|--|--|--|--|--|--|--|--|"]
    for row in rows:
        floor, bound = floor_us(row, best)
        name = " ".join(filter(None, (row.get("base"), row.get("plan"), row.get("base_error"))))
        spread = f"{number(row, 'ours_us')} ({number(row, 'ours_p10_us')}-{number(row, 'ours_p90_us')})"
        error = f"{row['relative_error']:.1e}" if "relative_error" in row else ""
        lines.append(
            f"| {row['cell']} | {row.get('rung', '')} | {spread} | {number(row, 'ours_warm_us')} | {number(row, 'base_us')} | "
            f"{number(row, 'base_warm_us')} | {number(row, 'ratio', 2)} | "
            f"{share(row, 'ours_us', floor)} | {share(row, 'base_us', floor)} | {bound} | {error} | "
            f"{name} |")
    peers = [row for row in results.rows.values() if row["cell"].startswith("peer/") and "us" in row]
    if peers:
        lines += ["", "| PyTorch step | us |", "|--|--|"]
        lines += [f"| {row['cell']} | {number(row, 'us')} |" for row in peers]
    checks = [row for row in results.rows.values()
              if row["cell"].split("/")[0] in ("build", "conformance", "tests", "sanitizer")]
    wrong = [row for row in results.rows.values() if "error" in row]
    if checks:
        bad = sum("error" in row for row in checks)
        skipped = sum(row.get("result", "").lower().startswith("skip") for row in checks)
        lines += ["", f"Checks: {len(checks)}, of them {bad} failed and {skipped} skipped."]
    if wrong:
        lines += ["", "## Errors", ""]
        lines += [f"- {row['cell']}: {' '.join(row['error'].split())[:300]}" for row in wrong]
    (results.folder / "table.md").write_text("\n".join(lines) + "\n")
    say(f"wrote {results.folder / 'table.md'} and rows.csv")


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
    for option, kind in (("batch", int), ("rounds", int), ("most-plans", int),
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
    if left_over:
        say(f"not complete: {', '.join(left_over)}; the same command goes on")
        sys.exit(3)
    errors = [cell for cell, row in results.rows.items() if "error" in row]
    if errors:
        say(f"{len(errors)} rows are errors, the first is {errors[0]}")
        sys.exit(1)


if __name__ == "__main__":
    main()
