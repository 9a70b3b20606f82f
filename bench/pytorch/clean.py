"""The environment that gives the baselines their best, and what the tables share."""
import os
import re
import statistics
import sys
import time

# Each of these can force an older instruction set, or smaller blocks than the machine's.
FORCING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA",
           "ONEDNN_MAX_CPU_ISA", "MKL_DEBUG_CPU_TYPE", "NPY_DISABLE_CPU_FEATURES", "ASSAY_CPU",
           "ASSAY_AMX")


def environment(threads):
    env = {k: v for k, v in os.environ.items() if k not in FORCING}
    return dict(env, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))


def keep_cores(threads):
    """Our benchmarks take a thread for each core that they may use, so both sides get `threads` cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def restart(threads):
    """Runs this program again in that environment, once."""
    if os.environ.get("ASSAY_CLEAN") != "1":
        keep_cores(threads)
        os.execve(sys.executable, [sys.executable, *sys.argv],
                  dict(environment(threads), ASSAY_CLEAN="1"))


def cpu_facts():
    with open("/proc/cpuinfo") as lines:
        facts = dict(line.strip().split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in facts.items()}


def cpu_name():
    facts = cpu_facts()
    family = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown CPU')} ({family}), {os.cpu_count()} cores"


def cpu_slug():
    """A folder's name: "amd-epyc-family-25-model-17-2-cores"."""
    return re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")


def time_calls(call, seconds=0.5, min_calls=3):
    """Median milliseconds."""
    call()
    found = []
    while len(found) < min_calls or sum(found) < 1e3 * seconds:
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return statistics.median(found)


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def ratio(ours, theirs):
    """Ratios round by round."""
    return [t / o for o, t in zip(ours, theirs)]


def spread(values):
    low, high = quartiles(values)
    return f"{statistics.median(values):.2f} ({low:.2f} to {high:.2f})"
