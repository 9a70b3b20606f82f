"""Kernel density, structural similarity and images from files against Python's libraries."""
import concurrent.futures
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
import skimage
import sklearn
from PIL import Image
from skimage.metrics import structural_similarity
from sklearn.neighbors import KernelDensity

import clean

ROUNDS = 5
POINTS, QUERIES, DIMENSIONS, BANDWIDTH = 200, 100, 8192, 0.2
PAIRS, SIDE = 16, 256
IMAGES, IMAGE_SIDE, RESIZED = 16, 1024, 128


def ours(a, *arguments):
    out = subprocess.run([str(p) for p in (a.build / "bench" / "bench_evaluation", *arguments)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return statistics.median(json.loads(out)["ms"])


def in_turns(mine, baselines):
    """Rounds of ours and of each baseline, which is a call to time or says its milliseconds itself ->
    milliseconds of ours, of every baseline by name."""
    found, theirs = [], {name: [] for name in baselines}
    for _ in range(ROUNDS):
        found.append(mine())
        for name, call in baselines.items():
            theirs[name].append(call.milliseconds() if isinstance(call, Pillow)
                                else clean.time_calls(call))
    return found, theirs


class Pillow:
    """The Pillow of an interpreter. Raises CalledProcessError where it has none."""

    def __init__(self, interpreter, threads, files):
        script = pathlib.Path(__file__).with_name("pillow.py")
        self.command = [interpreter, script, str(RESIZED), str(threads), *files]
        self.version = self.run()["version"]

    def run(self):
        return json.loads(subprocess.run(self.command, check=True, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)

    def milliseconds(self):
        return self.run()["ms"]


def pillows(threads, files):
    """By name: PyPI's, of this interpreter, and Debian's, where it is installed (python3-pil)."""
    found = Pillow(sys.executable, threads, files)
    baselines = {f"Pillow {found.version}": found}
    try:
        debian = Pillow("/usr/bin/python3", threads, files)
        baselines[f"Pillow {debian.version}, Debian's"] = debian
    except (FileNotFoundError, subprocess.CalledProcessError):
        print("Debian's Pillow is not here: apt-get install python3-pil", file=sys.stderr)
    return baselines


def density(a, folder, rng):
    train = rng.random((POINTS, DIMENSIONS), "f4")
    queries = rng.random((QUERIES, DIMENSIONS), "f4")
    train.tofile(folder / "train"), queries.tofile(folder / "queries")
    t, q, h = train.astype("f8"), queries.astype("f8"), BANDWIDTH

    def by_gemm():
        d = (q * q).sum(1)[:, None] + (t * t).sum(1)[None] - 2 * q @ t.T
        e = -d / (2 * h * h)
        m = e.max(1, keepdims=True)
        return (m[:, 0] + numpy.log(numpy.exp(e - m).sum(1)) - math.log(POINTS)
                - DIMENSIONS * (math.log(h) + 0.5 * math.log(2 * math.pi)))

    def by_trees():  # one leaf holds everything: with smaller ones its answer is wrong at this size
        return KernelDensity(bandwidth=h, leaf_size=2 * POINTS).fit(t).score_samples(q)

    found, theirs = in_turns(
        lambda: ours(a, "kde", folder / "train", POINTS, folder / "queries", QUERIES, DIMENSIONS, h,
                     folder / "density"),
        {f"scikit-learn {sklearn.__version__}, fit and score, leaf_size ≥ n": by_trees,
         f"NumPy {numpy.__version__}, float64 matrix product": by_gemm})
    error = numpy.max(numpy.abs(numpy.fromfile(folder / "density") / by_trees() - 1))
    check = f"largest relative difference of a log density {error:.1e}"
    if not error < 1e-6:
        raise RuntimeError("kernel density: " + check)
    what = f"kernel density, {POINTS} x {DIMENSIONS}, {QUERIES} queries"
    return [(what, found, theirs, check)]


def similarity(a, folder, rng):
    x = rng.random((PAIRS, SIDE, SIDE), "f4")
    y = numpy.clip(x + rng.normal(0, 0.1, x.shape), 0, 1).astype("f4")
    x.tofile(folder / "x"), y.tofile(folder / "y")
    pool = concurrent.futures.ThreadPoolExecutor(a.threads)

    def one(i):
        return structural_similarity(x[i], y[i], data_range=1.0, gaussian_weights=True, sigma=1.5,
                                     use_sample_covariance=False)

    name = f"scikit-image {skimage.__version__}"
    found, theirs = in_turns(
        lambda: ours(a, "ssim", folder / "x", folder / "y", PAIRS, SIDE, folder / "ssim"),
        {name: lambda: [one(i) for i in range(PAIRS)],
         f"{name}, {a.threads} Python threads": lambda: list(pool.map(one, range(PAIRS)))})
    exact = [structural_similarity(p, q, data_range=1.0, gaussian_weights=True, sigma=1.5,
                                   use_sample_covariance=False)
             for p, q in zip(x.astype("f8"), y.astype("f8"))]
    error = numpy.max(numpy.abs(numpy.fromfile(folder / "ssim", "f4") - exact))
    check = f"largest difference {error:.1e}"
    if not error < 1e-5:
        raise RuntimeError("SSIM: " + check)
    return [(f"SSIM of {PAIRS} pairs of {SIDE} x {SIDE}", found, theirs, check)]


def images(a, folder, rng):
    """PNGs of about the size of a photograph: a smooth texture and a sensor's noise."""
    y, x = numpy.mgrid[0:IMAGE_SIDE, 0:IMAGE_SIDE]
    smooth = (128 + 60 * numpy.sin(x / 37) * numpy.cos(y / 51))[..., None] + numpy.array([0, 12, -9])
    rows = []
    for mode in ("RGB", "L"):
        files = []
        for i in range(IMAGES):
            noisy = smooth + rng.normal(0, 3, smooth.shape)
            image = Image.fromarray(numpy.clip(noisy, 0, 255).astype("u1")).convert(mode)
            files.append(folder / f"{mode}{i}.png")
            image.save(files[-1])
        channels = len(mode)
        megabytes = sum(f.stat().st_size for f in files) / IMAGES / 1e6

        def one(file):
            return numpy.asarray(Image.open(file).resize((RESIZED, RESIZED), Image.BILINEAR))

        for threads in sorted({1, a.threads}):
            found, theirs = in_turns(
                lambda: ours(a, "images", RESIZED, channels, threads, folder / "pixels", *files),
                pillows(threads, files))
            got = numpy.fromfile(folder / "pixels", "u1")
            if not numpy.array_equal(got, numpy.stack([one(f) for f in files]).ravel()):
                raise RuntimeError("images: not Pillow's pixels")
            rows.append((f"decode and resize {IMAGES} PNGs {IMAGE_SIDE} x {IMAGE_SIDE} {mode} "
                         f"({megabytes:.1f} MB each), {threads} thread{'s' * (threads > 1)}",
                         found, theirs, "the same pixels"))
    return rows


def build(a, _seconds):
    rng = numpy.random.default_rng(0)
    rows, raw = [], {}
    with tempfile.TemporaryDirectory() as name:
        for part in (density, similarity, images):
            for what, found, theirs, check in part(a, pathlib.Path(name), rng):
                raw[what] = {"ours_ms": found, "baselines_ms": theirs}
                for baseline, milliseconds in theirs.items():
                    rows.append(f"| {what} | {statistics.median(found):.2f} | {baseline} "
                                f"| {statistics.median(milliseconds):.2f} "
                                f"| {clean.spread(clean.ratio(found, milliseconds))} | {check} |")
    return [
        "## Evaluation and data", "",
        f"{ROUNDS} rounds, each the median of some calls. Inputs are float32 for us and, for kernel "
        "density, their float64 values for the others, who work in float64.", "",
        "| what | ours ms | other | its ms | ratio | result |", "|--|--|--|--|--|--|", *rows], raw
