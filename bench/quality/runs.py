"""What the studies of detection share: arguments, runs of `assay`, tables and results."""
import argparse
import json
import pathlib
import shlex
import statistics
import subprocess

MVTEC = ["bottle", "toothbrush", "transistor"]
T_QUANTILE = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}  # 97.5 %, of n - 1 degrees of freedom


def arguments(doc, work, seeds=3):
    """The parser of a study whose runs are in the folder `work` unless --work says otherwise."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", default="build/release/assay")
    parser.add_argument("--mvtec", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("out") / work)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="of OUT.json and OUT.md")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def parse(parser):
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def assay(args, *words):
    """Runs `assay` silently; where it fails, its error ends this program."""
    done = subprocess.run([args.assay, *map(str, words), "--threads", str(args.threads)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join([args.assay, *map(str, words)])}\n{done.stderr}")


def finished(folder):
    return (folder / "metrics.json").exists()


def metrics(folder, keys):
    """Some metrics of a run, and the 95 % interval of its image AUROC."""
    found = json.loads((folder / "metrics.json").read_text())
    return {**{k: found[k] for k in keys if k in found}, "interval": found["intervals"]["image_auroc"]}


def commit():
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


def facts(folder):
    """Date and commit of now, the machine of a run."""
    machine = json.loads((folder / "machine.json").read_text())
    date = subprocess.run(["date", "+%F"], capture_output=True, text=True).stdout.strip()
    return {"date": date, "commit": commit(),
            "machine": f"{machine['cpu']}, {machine['instruction_set']}, {machine['threads']} threads"}


def write(args, result, tables):
    """OUT.json, and OUT.md made from it alone."""
    args.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(tables.rstrip() + "\n")


def t_interval(values):
    """Mean and half of its 95 % interval over seeds (Student's t); the mean alone for fewer than three."""
    if not values:
        return ""
    mean, n = statistics.mean(values), len(values)
    if n not in T_QUANTILE:
        return f"{mean:.3f} ({n} seed{'s' if n > 1 else ''})"
    return f"{mean:.3f} ± {T_QUANTILE[n] * statistics.stdev(values) / n ** .5:.3f}"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def head(titles):
    return row(titles) + row(["--"] * len(titles))
