#!/usr/bin/env python3
"""LPD's speed on a CPU: its density kernel beside PyTorch and oneDNN, and whole runs.

  python3 bench/lpd_times.py --mvtec DATA --out bench/results/local_density_cpu

Needs the release build of `assay` and of the benchmarks; torch in the Python that runs this, and
oneDNN in the build, or their rows are left out. Takes about 4 minutes; the machine must do nothing
else. Writes OUT.json and OUT.md.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CLASSES = ["bottle", "toothbrush", "transistor"]
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "pytorch"))
import clean


def output(command, **env):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True,
                          env={**os.environ, **env}).stdout


def kernel_rows(args):
    text = output([args.build / "bench/bench_local_density", "--benchmark_format=json", "--benchmark_repetitions=3"])
    head, _, rest = text.partition("{")
    rows = json.loads("{" + rest)["benchmarks"]
    medians = {r["run_name"].removesuffix("/real_time"): r for r in rows if r.get("aggregate_name") == "median"}
    return {"peaks": head.strip(), "rows": {name: {"ms": r["real_time"], "of_FMA_peak": r.get("of_FMA_peak")}
                                            for name, r in medians.items()}}


def onednn(args):
    program = args.build / "bench/bench_onednn_density"
    if not program.exists():
        return None
    try:
        r = json.loads(output([program, "--threads", args.threads], OMP_NUM_THREADS=str(args.threads)))
    except subprocess.CalledProcessError as error:
        print(f"oneDNN's row is left out: {error.stderr}", file=sys.stderr)
        return None
    ratios = [b / a for a, b in zip(r["ours_ms"], r["baseline_ms"])]
    return {**r, "ratio": statistics.median(ratios), "ratio_quartiles": statistics.quantiles(ratios, n=4)[::2]}


def pytorch(args):
    try:
        import torch  # noqa: F401
    except ImportError:
        return None
    return json.loads(output([sys.executable, HERE / "pytorch/local_density.py", "--threads", args.threads,
                              "--program", args.build / "bench/bench_local_density"]))


def seconds(command):
    start = time.perf_counter()
    output(command)
    return time.perf_counter() - start


def whole_runs(args, work):
    """Wall times of the program: start, decoding of the files and writing included."""
    rows = {}
    for name in CLASSES:
        run, threads = work / name, ["--threads", args.threads]
        all_s = seconds([args.build / "assay", "train", "lpd", "--data", args.mvtec, "--class", name, "--seed", 1,
                         "--out", run, *threads])
        metrics = json.loads((run / "metrics.json").read_text())
        test = sorted((args.mvtec / name / "test").rglob("*.png"))
        predict = [args.build / "assay", "predict", run, "--json", *threads]
        # The difference leaves out starting the program and reading the model.
        many = min(seconds([*predict, *test[:64], *test[:64]]) for _ in range(3))
        few = min(seconds([*predict, *test[:32]]) for _ in range(3))
        rows[name] = {"train_images": metrics["images"]["train"] + metrics["images"]["validation"],
                      "test_images": metrics["images"]["test"], "fit_s": metrics["seconds_train"],
                      "train_and_score_s": all_s, "predict_ms_per_image": 1e3 * (many - few) / (2 * len(test[:64]) - 32)}
    return rows


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def tables(r):
    text = f"""# LPD on a CPU, {r['date']}

{r['machine']}, {r['threads']} threads, load {r['load']}; commit {r['commit']}; made by `bench/lpd_times.py`, from the JSON beside it. {r['kernel']['peaks']}.

## The density kernel

1,024 cells, 210 training images, 81 channels, windows of 3 x 3 (1,890 features); medians of 3. `bench_local_density` says the sizes of the other rows.

"""
    text += row(["case", "ms", "share of the FMA peak"]) + row(["--"] * 3)
    for name, k in r["kernel"]["rows"].items():
        text += row([name, f"{k['ms']:.1f}", f"{k['of_FMA_peak']:.2f}" if k["of_FMA_peak"] else ""])
    text += """
Beside others, in turns, 83 queries a cell (`bottle_test`). PyTorch's time, like ours, goes from queries to scores; it gets the windows gathered and whitened (627 MB) before it is
timed. oneDNN's is the batched product alone.

"""
    text += row(["baseline", "version", "ours, ms", "baseline, ms", "ratio (quartiles)"]) + row(["--"] * 5)

    def line(title, version, ours, theirs, b):
        low, high = b["ratio_quartiles"]
        return row([title, version, f"{ours:.0f}", f"{theirs:.0f}", f"{b['ratio']:.2f} ({low:.2f} to {high:.2f})"])

    if b := r["onednn"]:
        text += line(f"oneDNN {b['onednn']}, product only", b["baseline_kernel"], statistics.median(b["ours_ms"]),
                     statistics.median(b["baseline_ms"]), b)
    for case in ("nearest", "log_sum_exp") if r["pytorch"] else ():
        b = r["pytorch"][case]
        text += line(f"PyTorch {r['pytorch']['torch']}, {case}", b["pytorch_version"], b["ours_ms"], b["pytorch_ms"], b)
    text += """
## Whole runs on MVTec AD, copies of 256 pixels

`assay train lpd`: wall time from start to metrics and figures. Prediction: batches of 32, with decoding and heat maps.

"""
    text += row(["class", "good images", "test images", "fit, s", "train and score, s", "prediction, ms an image"]) + row(["--"] * 6)
    for name, m in r["model"].items():
        text += row([name, str(m["train_images"]), str(m["test_images"]), f"{m['fit_s']:.1f}",
                     f"{m['train_and_score_s']:.1f}", f"{m['predict_ms_per_image']:.1f}"])
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--mvtec", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    clean.keep_cores(args.threads)
    load = os.getloadavg()[0]
    work = pathlib.Path(tempfile.mkdtemp())
    model = whole_runs(args, work)
    machine = json.loads((work / "bottle/machine.json").read_text())
    shutil.rmtree(work)
    result = {"date": time.strftime("%F"), "machine": f"{machine.get('cpu')}, {machine.get('instruction_set')}",
              "commit": output(["git", "rev-parse", "--short", "HEAD"]).strip(), "threads": args.threads,
              "load": round(load, 2), "model": model, "kernel": kernel_rows(args), "onednn": onednn(args),
              "pytorch": pytorch(args)}
    args.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(tables(result))


if __name__ == "__main__":
    main()
