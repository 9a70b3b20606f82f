#!/usr/bin/env python3
"""The detector's local density beside PyTorch, both sides in turn in one run.

  python3 bench/pytorch/local_density.py [--program build/release/bench/bench_local_density]

Both sides are timed from queries (cells, C, m) to scores, so with the queries' transform. What belongs
to the model is ready before: for PyTorch the window of each cell, gathered, centred and whitened, nine
copies of the bank (627 MB); for ours the bank once, the metrics and the norms. The versions of PyTorch:
torch.cdist of whitened features; baddbmm of the norms and the product, then amin or logsumexp, over as
many cells at once as is fastest.
"""
import argparse, json, statistics, subprocess, time
import torch

import clean

CELLS, N, M, C, WINDOW = 1024, 210, 83, 81, 9


def ours(program, case):
    out = subprocess.run([program, f"--benchmark_filter=^{case}", "--benchmark_format=json",
                          "--benchmark_min_time=0.3"], capture_output=True, text=True, check=True).stdout
    return json.loads(out[out.index("{"):])["benchmarks"][0]["real_time"] / 1e3


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/bench/bench_local_density")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    clean.keep_cores(args.threads)
    torch.set_num_threads(args.threads)
    bank = torch.rand(CELLS, WINDOW * N, C)
    raw = torch.rand(CELLS, M, C)
    factor = torch.rand(CELLS, C, C)  # of the whitening
    shift = torch.rand(CELLS, 1, C)   # - centre x factor
    norms = (bank * bank).sum(-1)[:, None]  # (cells, 1, window n)

    def over_cells(f, step):
        def run():
            return torch.cat([f(slice(i, i + step)) for i in range(0, CELLS, step)])
        return run

    def queries(cells):
        return torch.baddbmm(shift[cells], raw[cells], factor[cells])

    def distances(cells):
        q = queries(cells)
        return torch.baddbmm(norms[cells], q, bank[cells].transpose(1, 2), alpha=-2), (q * q).sum(-1)

    def nearest(cells):
        d, offset = distances(cells)
        return d.amin(-1) + offset

    def log_sum_exp(cells):
        d, offset = distances(cells)
        return torch.logsumexp(d / -18.0, -1) - offset / 18.0

    versions = {"nearest": [], "log_sum_exp": []}
    for step in (1, 4, 16, 64):
        versions["nearest"].append((f"baddbmm + amin, {step} cells", over_cells(nearest, step)))
        versions["nearest"].append((f"cdist + amin, {step} cells",
                                    over_cells(lambda c: torch.cdist(queries(c), bank[c]).amin(-1), step)))
        versions["log_sum_exp"].append((f"baddbmm + logsumexp, {step} cells",
                                        over_cells(log_sum_exp, step)))
    result = {"machine": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__,
              "threads": args.threads, "shape": f"{CELLS} x ({M} x {C})({C} x {WINDOW * N})"}
    with torch.inference_mode():
        for case, candidates in versions.items():
            best = min(candidates, key=lambda v: min(timed(v[1]) for _ in range(2)))
            each = {name: min(timed(run) for _ in range(2)) for name, run in candidates}
            pairs = [(ours(args.program, "bottle_test/" + case), timed(best[1])) for _ in range(args.rounds)]
            ratios = [torch_s / our_s for our_s, torch_s in pairs]
            result[case] = {
                "ours_ms": 1e3 * statistics.median(p[0] for p in pairs),
                "pytorch_ms": 1e3 * statistics.median(p[1] for p in pairs), "pytorch_version": best[0],
                "ratio": statistics.median(ratios), "ratio_quartiles": statistics.quantiles(ratios, n=4)[::2],
                "pytorch_all_ms": {name: 1e3 * seconds for name, seconds in each.items()}}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
