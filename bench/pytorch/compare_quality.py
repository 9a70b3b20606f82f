"""Detection quality, ours beside PyTorch's: the same networks on the same images.

    python3 bench/pytorch/compare_quality.py --data DIR --suite out/paper [--preset kd-cae,cnn] \\
        --out bench/results/quality/2026-11-29.md

Reads the finished runs of a suite folder, trains the same network in PyTorch on each run's
split.json (bench/pytorch/quality_*.py) and writes both as a table, and the numbers of each run beside
it as JSON. What PyTorch said is kept in SUITE/pytorch.jsonl as it comes, so a call that was broken
off goes on; --table-only trains nothing. --also adds the runs of earlier such JSON files to the
tables, so that the seeds of a class, or the two sides of a run, need not be measured in one go.

Both sides draw initial weights, batch order and noise from generators of their own, so only means
over seeds can be compared. A difference counts when it is more than two standard errors of the
difference of the means.
"""
import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

PEERS = pathlib.Path(__file__).parent
SCRIPTS = {"kd-cae": "kdcae", "ni-cae": "nicae", "cnn": "cnn", "dcgan": "dcgan"}
SIZES = {"cnn": 200, "cnn-codelab": 200, "kd-cae": 128, "kd-cae-strided": 128, "ni-cae": 256,
         "ni-cae-128": 128, "dcgan": 64, "dcgan-128": 128}  # of PyTorch's images


def finished_runs(suite):
    for file in sorted(suite.glob("*/metrics.json")):
        run = {"folder": file.parent, "metrics": json.loads(file.read_text()),
               "config": json.loads((file.parent / "config.json").read_text())}
        yield run


def refuse_others(run):
    """Exits when a run has options that the PyTorch network does not have."""
    c, conditions = run["config"], run["metrics"].get("conditions", {})
    needed = {"eps_placement": "keras", "flips": False, "shifts": 0, "keep_last": False,
              "kde_bandwidth": "loo", "good": "", "lr": 2e-4 if c["model"] == "dcgan" else 1e-3,
              "image_size": SIZES[c["preset"]], "grey": c["model"] == "ni-cae"}
    others = [f"{name} {c[name]}" for name, value in needed.items() if c[name] != value]
    if c["model"] == "kd-cae" and "noisy" in conditions.values():
        others.append("noise")
    if others:
        sys.exit(f"{run['folder']}: has {', '.join(others)}, which the PyTorch network has not; move "
                 "the run elsewhere, or leave its preset out by --preset")


def arguments_of(run, data, threads):
    """The command of the same run in PyTorch."""
    refuse_others(run)
    c, conditions = run["config"], run["metrics"].get("conditions", {})
    command = [sys.executable, PEERS / f"quality_{SCRIPTS[c['model']]}.py", data, c["object_class"],
               "--preset", c["preset"], "--split", run["folder"] / "split.json", "--seed", c["seed"],
               "--threads", threads, "--batch", c["batch"]]
    if c["model"] == "dcgan":
        command += ["--steps", run["metrics"]["steps"], "--k-steps", c["k_steps"]]
    else:
        command += ["--init", c["init"], "--epochs", c["epochs"], "--patience", c["patience"], "--min-steps",
                    c["min_steps"], "--max-steps", c["steps"]]
    if c["model"] == "ni-cae":
        command += ["--train-noise", conditions["train"], "--test-noise", conditions["test"],
                    "--score", c["score"]] + ["--denoise"] * c["denoise"]
    if c["class_weights"]:
        command += ["--class-weights"]
    return [str(part) for part in command]


def train_pytorch(runs, data, threads, log):
    done = {json.loads(line)["run"] for line in log.read_text().splitlines()} if log.exists() else set()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    environment["OMP_NUM_THREADS"] = str(threads)
    for run in runs:
        name = run["folder"].name
        if name in done:
            continue
        print(f"PyTorch: {name}", file=sys.stderr, flush=True)
        out = subprocess.run(arguments_of(run, data, threads), check=True, text=True,
                             stdout=subprocess.PIPE, env=environment).stdout
        last = json.loads(out.splitlines()[-1])  # of a cross-validation: all folds pooled
        with open(log, "a") as file:
            file.write(json.dumps({"run": name} | last) + "\n")


def label(metrics):
    conditions = metrics.get("conditions", {})
    noise = "/".join(conditions.get(part, "clean") for part in ("train", "test"))
    return metrics["preset"] + ("" if noise == "clean/clean" else f", {noise}")


def mean(values):
    return statistics.fmean(values)


def square_of_standard_error(values):
    return statistics.variance(values) / len(values) if len(values) > 1 else math.nan


def spread(values, digits=3):
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def verdict(ours, theirs):
    """In words; None where one seed says nothing."""
    error = math.sqrt(square_of_standard_error(ours) + square_of_standard_error(theirs))
    if math.isnan(error):
        return "one seed"
    difference = mean(ours) - mean(theirs)
    if abs(difference) <= 2 * error:
        return f"same ({difference:+.3f}, two standard errors {2 * error:.3f})"
    return f"{'better' if difference > 0 else 'WORSE'} ({difference:+.3f} ± {2 * error:.3f})"


def interval(runs):
    """Of the first seed."""
    low, high = runs[0]["ours"]["intervals"]["image_auroc"]
    return f"{low:.2f} to {high:.2f}"


def spread_of_pytorch(values, runs):
    if not values:
        return ""
    fewer = f" (seeds: {len(values)})" if len(values) < len(runs) else ""
    return spread(values) + fewer


def pytorch_runs(runs):
    return [r["pytorch"] for r in runs if r["pytorch"]]


def detector_table(groups):
    rows = ["| class | model | seeds | AUROC ours | 95 % interval (first seed) | AUROC PyTorch | ours to PyTorch "
            "| F1 ours | F1 PyTorch | F1 all positive |", "|--|--|--|--|--|--|--|--|--|--|"]
    for (name, model), runs in sorted(groups.items()):
        others = pytorch_runs(runs)
        ours, theirs = ([r["ours"]["image_auroc"] for r in runs],
                        [p["image_auroc"] for p in others])
        rows.append(
            f"| {name} | {model} | {len(runs)} | {spread(ours)} | {interval(runs)} "
            f"| {spread_of_pytorch(theirs, runs)} | {verdict(ours, theirs) if theirs else ''} "
            f"| {spread([r['ours']['f1'] for r in runs])} "
            f"| {spread_of_pytorch([p['f1'] for p in others], runs)} "
            f"| {runs[0]['ours']['f1_all_positive']:.3f} |")
    return rows


def dcgan_table(runs):
    rows = ["| class | steps | D(x), D(G(z)) ours | PyTorch | distance to the nearest training image: "
            "ours | PyTorch | training's own |", "|--|--|--|--|--|--|--|"]
    for run in runs:
        m, p = run["ours"], run["pytorch"]
        memory = m["memorisation"]
        rows.append(
            f"| {m['class']} | {m['steps']} | {m['d_real']:.2f}, {m['d_fake']:.2f} | "
            + (f"{p['d_real']:.2f}, {p['d_fake']:.2f}" if p else "")
            + f" | {memory['generated']['median']:.3f} | "
            + (f"{p['distance_to_training']:.3f}" if p else "")
            + f" | {memory['training']['median']:.3f} |")
    return rows


def parts_table(groups):
    rows = ["| class | seeds | s ours | PyTorch | r ours | PyTorch | q ours | PyTorch |",
            "|--|--|--|--|--|--|--|--|"]
    keys = ["image_auroc", "auroc_reconstruction", "auroc_density"]
    for (name, model), runs in sorted(groups.items()):
        if runs[0]["ours"]["model"] != "kd-cae":
            continue
        others = pytorch_runs(runs)
        cells = [f"{spread([r['ours'][k] for r in runs])} | "
                 + spread_of_pytorch([p[k] for p in others], runs) for k in keys]
        rows.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return rows if len(rows) > 2 else []


def add_earlier(numbers, files, by_run):
    """Adds the runs of such JSON files, and to known ones what PyTorch said where nothing is known."""
    known = {n["run"]: n for n in numbers}
    for file in files:
        for n in json.loads(file.read_text()):
            mine = known.setdefault(n["run"], n)
            mine["pytorch"] = mine["pytorch"] or by_run.get(n["run"]) or n["pytorch"]
    return [known[run] for run in sorted(known)]


def numbers_of(run, by_run):
    """What the tables are made of, without what belongs to a machine."""
    ours = {k: v for k, v in run["metrics"].items()
            if k not in ("data", "device") and not k.startswith("seconds")}
    return {"run": run["folder"].name, "ours": ours, "pytorch": by_run.get(run["folder"].name)}


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--suite", type=pathlib.Path, required=True, help="folder of `assay suite`")
    p.add_argument("--preset", default="", help="only these, with commas between them")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--table-only", action="store_true")
    p.add_argument("--also", type=pathlib.Path, nargs="*", default=[], metavar="JSON")
    p.add_argument("--out", type=pathlib.Path)
    a = p.parse_args()
    wanted = [w for w in a.preset.split(",") if w]
    runs = [r for r in finished_runs(a.suite) if not wanted or r["config"]["preset"] in wanted]
    if not runs:
        sys.exit(f"{a.suite}: has no finished run; make some with `assay suite --out {a.suite}`")
    log = a.suite / "pytorch.jsonl"
    if not a.table_only:
        train_pytorch(runs, a.data, a.threads, log)
    by_run = {}
    if log.exists():
        by_run = {line["run"]: line for line in map(json.loads, log.read_text().splitlines())}

    numbers = [numbers_of(run, by_run) for run in runs]
    numbers = [n for n in add_earlier(numbers, a.also, by_run)
               if not wanted or n["ours"]["preset"] in wanted]

    groups = collections.defaultdict(list)
    for n in numbers:
        if "image_auroc" in n["ours"]:
            groups[n["ours"]["class"], label(n["ours"])].append(n)
    generators = [n for n in numbers if n["ours"]["model"] == "dcgan"]
    versions = sorted({line["framework"] for line in pytorch_runs(numbers)})
    text = ["# Detection quality beside PyTorch", "",
            f"{datetime.date.today()}, {', '.join(versions) or 'without PyTorch'}. "
            f"`python3 {' '.join(sys.argv)}`", "",
            "Mean ± deviation over seeds; both sides on the same training, validation and test images. "
            "\"Same\": the means differ by no more than two standard errors.", ""]
    for title, table in (("Image AUROC and F1", detector_table(groups) if groups else []),
                         ("KD-CAE: AUROC of s = max(z_r, z_q), of the reconstruction error r and of the "
                          "density q alone", parts_table(groups)),
                         ("DCGAN", dcgan_table(generators) if generators else [])):
        if table:
            text += [f"## {title}", "", *table, ""]
    text = "\n".join(text)
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(text)
        a.out.with_suffix(".json").write_text(
            "[\n" + ",\n".join(json.dumps(n) for n in numbers) + "\n]\n")
    print(text)


if __name__ == "__main__":
    main()
