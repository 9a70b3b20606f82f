"""MVTec's toothbrushes come in three colours. How well a run ranks them within each colour.

    python3 bench/pytorch/brush_colours.py DATA/toothbrush RUN [RUN ...]

Prints how many images of each folder show which brush, and for each part of each run's score the
mean over the good and over the defective test images of a colour and the AUROC within it (nothing
where a colour has no good or no defective test image). A score that differs more between colours
than between good and defective brushes ranks colours.
"""
import argparse
import collections
import csv
import pathlib
import statistics
import sys

import numpy as np
from PIL import Image

sys.path.append(str(pathlib.Path(__file__).parent))
from protocol import auroc  # noqa: E402

COLOURS = ("blue", "red", "orange")
NO_PARTS = ("path", "label", "defect", "score", "predicted", "set")


def colour_of(file):
    """Of the middle of the brush head."""
    pixels = np.asarray(Image.open(file).convert("RGB").resize((128, 128)), float)
    red, green, blue = pixels[30:110, 45:80].mean((0, 1))
    if blue > red:
        return "blue"
    return "orange" if green - blue >= 15 else "red"


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=pathlib.Path, help="the class's folder")
    p.add_argument("runs", type=pathlib.Path, nargs="*")
    a = p.parse_args()
    files = sorted(a.data.glob("train/good/*.png")) + sorted(a.data.glob("test/*/*.png"))
    if not files:
        sys.exit(f"{a.data}: holds no images; name the folder of the class toothbrush")
    colours = {f.relative_to(a.data).as_posix(): colour_of(f) for f in files}
    counts = collections.Counter((str(pathlib.PurePosixPath(path).parent), colour)
                                 for path, colour in colours.items())
    for folder in sorted({folder for folder, _ in counts}):
        print(f"{folder}: " + ", ".join(f"{counts[folder, c]} {c}" for c in COLOURS))
    for run in a.runs:
        rows = list(csv.DictReader(open(run / "scores.csv")))
        rows = [r for r in rows if r["set"] == "test" or r["set"].startswith("fold")]
        for part in [name for name in rows[0] if name not in NO_PARTS] or ["score"]:
            for colour in COLOURS:
                mine = [r for r in rows if colours[r["path"]] == colour]
                scores = np.array([float(r[part]) for r in mine])
                defective = np.array([r["label"] == "defective" for r in mine])
                mean = lambda s: f"{statistics.fmean(s):.3g}" if len(s) else "-"
                both = defective.any() and not defective.all()
                print(f"{run.name} {part} {colour}: good {mean(scores[~defective])}, "
                      f"defective {mean(scores[defective])}"
                      + (f", AUROC {auroc(scores, defective):.3f}" if both else ""))


if __name__ == "__main__":
    main()
