"""The Python recipes of models/README.md on the files of a run.

    recipes_test.py ASSAY      ASSAY is the program; ASSAY_PYTHON names an interpreter other than this one
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

README = pathlib.Path(__file__).resolve().parents[2] / "models" / "README.md"
PACKAGES = ["numpy", "pandas", "safetensors"]
IMPORTS = "import numpy, pandas, safetensors.numpy\n"
# What each recipe must have read.
CHECKS = [
    'assert len(scores) == rows("scores.csv") > 0 and scores.score.notna().all()',
    'assert len(history) == rows("history.csv") == 2 and (history.train_loss > 0).all()',
    'assert latents.ndim == 2 and len(latents) == len(split["train"]) and latents.std() > 0',
]
HELPERS = """
import json
def rows(name): return len(open("out/ring/" + name).read().splitlines()) - 1
split = json.load(open("out/ring/split.json"))
"""


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    python = os.environ.get("ASSAY_PYTHON", sys.executable)
    for package in PACKAGES:
        if subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
            print(f"SKIPPED: no {package} here; pip install {' '.join(PACKAGES)}, or set ASSAY_PYTHON")
            return 0
    recipes = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert len(recipes) == len(CHECKS), recipes
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "train", "kd-cae", "--data", "builtin", "--class", "ring", "--image-size", "16",
                        "--epochs", "2", "--steps", "4", "--out", "out/ring"], cwd=folder, check=True,
                       capture_output=True)
        for recipe, check in zip(recipes, CHECKS):
            assert len(recipe.splitlines()) == 2, recipe
            subprocess.run([python, "-c", IMPORTS + recipe + HELPERS + check], cwd=folder, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
