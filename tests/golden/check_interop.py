"""Loads weight files of Assay into PyTorch, strictly, and compares. Run by hand:

    python3 tests/golden/check_interop.py RUN                       a run folder
    python3 tests/golden/check_interop.py --formula PRESET FILE     a file of formula weights
    python3 tests/golden/check_interop.py --write PRESET FILE       writes such a file from PyTorch

A KD-CAE's run holds the latents that Assay computed for its training images and the
reconstruction errors of the test images: they must agree to 1e-4 (the errors relatively) with
those of the PyTorch network with the same weights. Of any run the file must load with strict=True.
With --formula every weight must be formula.py's, bit for bit, and the outputs those of
networks.safetensors to 1e-4. Needs torch, safetensors, numpy, pillow.
"""
import argparse
import csv
import json
import pathlib
import sys

import numpy as np
import torch
from formula import latents, images, signed_images, state
from safetensors.numpy import load_file, save_file

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent.parent / "bench" / "peers"))
import models

TOLERANCE = 1e-4


def report(what, ours, theirs):
    difference = np.abs(ours.astype("f8") - theirs.astype("f8")).max()
    print(f"{what}: {ours.shape}, largest difference {difference:.2g}")
    if not difference <= TOLERANCE:
        sys.exit(f"{what}: differs by more than {TOLERANCE}")


def load(network, file):
    weights = {name: torch.from_numpy(a) for name, a in load_file(file).items()}
    network.load_state_dict(weights, strict=True)
    print(f"{file}: {len(weights)} tensors load with strict=True")
    return network.eval()


def golden_case(preset):
    golden = load_file(here / "networks.safetensors")
    n, size, channels = (int(v) for v in golden[f"{preset}.input"])
    network = models.build(preset, size, channels)
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    return golden, network, state(shapes), (n, size, channels)


@torch.inference_mode()
def check_formula(preset, file):
    golden, network, expected, (n, size, channels) = golden_case(preset)
    load(network, file)
    found = load_file(file)
    for name, values in expected.items():
        if not np.array_equal(found[name], values):
            sys.exit(f"{file}: {name} is not what formula.py gives")
    print("every weight is formula.py's")
    nhwc = lambda t: (t.permute(0, 2, 3, 1) if t.dim() == 4 else t).numpy()
    if preset.startswith("dcgan"):
        z = torch.from_numpy(latents(n, network.LATENT))
        report("images", nhwc(network(z)), golden[f"{preset}.y"])
        real = torch.from_numpy(signed_images(n, size, channels))
        report("logits", nhwc(network.discriminator(real)), golden[f"{preset}.d"])
    else:
        x = torch.from_numpy(images(n, size, channels))
        report("outputs", nhwc(network(x)), golden[f"{preset}.y"])


@torch.inference_mode()
def check_run(folder):
    config = json.loads((folder / "config.json").read_text())
    channels = 1 if config.get("grey") or config["model"] == "ni-cae" else 3
    files = sorted(folder.glob("**/model.safetensors"))  # the CNN has one a fold
    if not files:
        sys.exit(f"{folder}: holds no model.safetensors")
    for file in files:
        network = load(models.build(config["preset"], config["image_size"], channels), file)
    if config["model"] != "kd-cae" or config["train_noise"] != "clean":
        return
    from PIL import Image
    root = pathlib.Path(config["data"]) / config["object_class"]
    if not root.is_dir():
        return print("the images of the run are not here, so no latents are compared")
    size = config["image_size"]

    def image(name):
        image = Image.open(root / name).convert("L" if channels == 1 else "RGB")
        x = np.asarray(image.resize((size, size), Image.BILINEAR), "f4")
        x = x.reshape(1, size, size, channels)
        return torch.from_numpy(x / 255).permute(0, 3, 1, 2)

    train = json.loads((folder / "split.json").read_text())["train"]
    z = np.concatenate([network.encoder(image(name)).flatten(1) for name in train])
    report("latents", load_file(folder / "latents.safetensors")["z"], z)
    if config["test_noise"] == "clean":
        with open(folder / "scores.csv") as scores:
            ours = {row["path"]: float(row["reconstruction"]) for row in csv.DictReader(scores)}
        error = lambda x: ((network(x) - x) ** 2).mean().item()
        theirs = np.array([error(image(name)) for name in ours])
        ratio = np.array(list(ours.values())) / theirs
        report("reconstruction errors over PyTorch's", ratio, np.ones(len(ratio)))


parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run", nargs="?", type=pathlib.Path)
parser.add_argument("--formula", nargs=2, metavar=("PRESET", "FILE"))
parser.add_argument("--write", nargs=2, metavar=("PRESET", "FILE"))
arguments = parser.parse_args()
if arguments.run:
    check_run(arguments.run)
if arguments.formula:
    check_formula(*arguments.formula)
if arguments.write:
    save_file(golden_case(arguments.write[0])[2], arguments.write[1])
