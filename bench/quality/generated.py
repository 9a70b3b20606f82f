#!/usr/bin/env python3
"""The study's future work: the CNN with generated training images, beside as many repeated or
mirrored ones, and AnoGAN beside baselines.

  python3 bench/quality/generated.py --mvtec DATA --work out/generated --out bench/results/quality/DATE-generated

Runs `assay train --resume` for every cell in --work. The images of the runs with --augment-factor 1
are the first of those with 3, so the generators of these are copied and the run resumed. Writes
OUT.json (command and metrics of each run) and OUT.md of what there is; --tables runs nothing.
"""
import json
import shlex
import shutil
import subprocess

import runs
from runs import head, row, t_interval

CNN = [("none", 1), ("repeat", 1), ("repeat", 3), ("flip", 1), ("flip", 3), ("generated", 3), ("generated", 1)]
DETECTORS = ["anogan", "anogan --untrained", "mean", "pca", "nearest"]
KEYS = ["image_auroc", "f1", "f1_all_positive", "pixel_auroc", "auroc_residual", "auroc_discrimination", "steps",
        "epochs", "seconds_train", "collapsed"]


def cnn_folder(args, name, seed, kind, factor):
    return args.work / f"cnn-{name}-seed{seed}-{kind}{factor}"


def cnn_words(args, name, seed, kind, factor):
    words = ["train", "cnn", "--data", str(args.mvtec), "--class", name, "--seed", str(seed),
             "--image-size", str(args.size), "--batch", str(args.batch)]
    if kind != "none":
        words += ["--augment", kind, "--augment-factor", str(factor)]
    if kind == "generated":
        words += ["--generator-steps", str(args.generator_steps)]
    return words


def detector_words(args, name, seed, model):
    words = ["train", *model.split(), "--data", str(args.mvtec), "--class", name, "--seed", str(seed),
             "--image-size", str(args.size), "--batch", str(args.batch)]
    if model.startswith("anogan"):
        words += ["--steps", str(args.gan_steps), "--search-lr", str(args.search_lr)]
    return words


def run(args, words, folder):
    if args.tables:
        return  # a finished run is not redone, but refused if it has other options
    print(folder.name, flush=True)
    subprocess.run([args.assay, *words, "--out", str(folder), "--resume", "--threads", str(args.threads)], check=True,
                   stdout=subprocess.DEVNULL, stderr=(args.work / (folder.name + ".log")).open("w"))


def take_generators(source, target):
    """Begins the run `target` of factor 1 with the generators of `source`."""
    if target.exists() or not (source / "metrics.json").exists():
        return
    target.mkdir()
    config = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "augment_factor": 1}, indent=2) + "\n")
    shutil.copy(source / "split.json", target)
    for generator in source.glob("fold*/generator_*"):
        shutil.copytree(generator, target / generator.relative_to(source))


def cells(args):
    for seed in range(1, args.seeds + 1):
        for name in args.classes:
            for kind, factor in CNN:
                yield name, seed, f"cnn {kind}" + ("" if kind == "none" else f" {factor}x"), \
                    cnn_words(args, name, seed, kind, factor), cnn_folder(args, name, seed, kind, factor)
            for model in DETECTORS:
                yield name, seed, model, detector_words(args, name, seed, model), \
                    args.work / f"{model.replace(' --', '-')}-{name}-seed{seed}"


def metrics_of(folder):
    kept = runs.metrics(folder, KEYS)
    log = folder.parent / (folder.name + ".log")
    spread = [line.split(": ", 1)[-1].strip() for line in log.read_text().splitlines() if "DCGAN" in line or "few for" in line] \
        if log.exists() else []
    return {**kept, "generators": spread} if spread else kept


def tables(args, result):
    by_cell = {(r["class"], r["seed"], r["what"]): r for r in result["runs"]}

    def values(name, what, key, less=None):
        found = []
        for seed in range(1, args.seeds + 1):
            one, other = by_cell.get((name, seed, what)), by_cell.get((name, seed, less))
            if one and (other or less is None) and one.get(key) is not None:
                found.append(one[key] - (other[key] if less else 0))
        return t_interval(found)

    text = f"""# Generated training images and AnoGAN, {result['date']}

{result['machine']} a run; commit {result['commit']}; made by `bench/quality/generated.py`, from the JSON beside it, which has the command of every run. MVTec AD at {args.size} pixels, batches
of {args.batch}, up to {args.seeds} seeds: mean ± half of the 95 % interval of the mean over seeds (Student's t). A difference pairs the runs of a seed, which have the same folds and initial weights.
Good test images of toothbrush are stand-ins.

## The CNN with more training images

Each of five folds: a DCGAN of each label with at least 16 training images, {args.generator_steps} generator steps; 1x and 3x as many images of each label are added.

"""
    whats = [f"cnn {kind} {factor}x" for kind, factor in sorted(CNN, key=lambda c: (c[1], c[0])) if kind != "none"]
    for key, title in (("image_auroc", "image AUROC"), ("f1", "F1 at probability .5")):
        text += head([title, *args.classes])
        text += row(["as they are", *(values(c, "cnn none", key) for c in args.classes)])
        for what in whats:
            text += row([what.removeprefix("cnn "), *(values(c, what, key) for c in args.classes)])
        for factor in (1, 3):
            for other in ("none", f"repeat {factor}x", f"flip {factor}x"):
                text += row([f"generated {factor}x - {other}",
                             *(values(c, f"cnn generated {factor}x", key, f"cnn {other}") for c in args.classes)])
        text += "\n"
    text += f"## AnoGAN beside baselines\n\n{args.gan_steps} generator steps, 500 search steps of rate {args.search_lr}, lambda .1.\n\n"
    for key, title in (("image_auroc", "image AUROC"), ("pixel_auroc", "pixel AUROC"), ("f1", "F1 at 3 sigma")):
        text += head([title, *args.classes])
        for model in DETECTORS:
            text += row([model.replace(" --", ", "), *(values(c, model, key) for c in args.classes)])
        if key == "image_auroc":
            for part in ("residual", "discrimination"):
                text += row([f"anogan, {part} alone", *(values(c, "anogan", f"auroc_{part}") for c in args.classes)])
        text += "\n"
    return text


def main():
    parser = runs.arguments(__doc__, "generated")
    parser.add_argument("--classes", type=lambda s: s.split(","), default=runs.MVTEC)
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--generator-steps", type=int, default=1000)
    parser.add_argument("--gan-steps", type=int, default=2000)
    parser.add_argument("--search-lr", type=float, default=0.01)
    parser.add_argument("--tables", action="store_true", help="write the tables of the runs that are there")
    args = runs.parse(parser)
    found, facts = [], {}
    for name, seed, what, words, folder in cells(args):
        if what == "cnn generated 1x" and not args.tables:
            take_generators(cnn_folder(args, name, seed, "generated", 3), folder)
        run(args, words, folder)
        if runs.finished(folder):
            found.append({"class": name, "seed": seed, "what": what, "command": shlex.join(["assay", *words]).replace(
                str(args.mvtec), "MVTEC"), **metrics_of(folder)})
            facts = runs.facts(folder)
    if not found:
        raise SystemExit(f"{args.work} has no finished run")
    result = {**facts, "runs": found}
    runs.write(args, result, tables(args, result))


if __name__ == "__main__":
    main()
