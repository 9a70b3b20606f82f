"""Everything we measure against others on a CPU, in one run: prints the tables and writes them as Markdown.

    python3 bench/pytorch/compare_cpu.py [--build build/release] [--minutes 20] [--sections steps,layers]

    steps        training steps and inference against PyTorch, at its best and out of the box, fp32 and bf16
    onnxruntime  inference in fp32 against ONNX Runtime, batch 1 and 32
    layers       every convolution of our models in fp32 against oneDNN's faster kernel: Debian's libdnnl-dev,
                 and a newer release where the build has ASSAY_ONEDNN_NEWEST
    evaluation   kernel density and SSIM against scikit-learn, NumPy and scikit-image; images against Pillow

Needs torch, numpy, onnxruntime, safetensors, scikit-learn, scikit-image and pillow for the interpreter that
runs it, and a build of the benchmarks. The two sides run in turn and ratios are formed round by round, so a
drift of the machine's speed touches both. Above 1 ours is faster. The result goes to
bench/results/<cpu>/compare_cpu.md, beside it the raw numbers. Run it on a machine that does nothing else; what
the load was stands in the result.
"""
import argparse
import datetime
import importlib
import json
import os
import pathlib
import platform
import sys
import time
import traceback

BENCH = pathlib.Path(__file__).resolve().parents[1]
import clean

SECTIONS = {"steps": 0.6, "onnxruntime": 0.1, "layers": 0.2, "evaluation": 0.1}  # share of the time


def arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=BENCH.parent / "build" / "release",
                   help="build folder with the benchmarks")
    p.add_argument("--minutes", type=float, default=20, help="about how long all sections take")
    p.add_argument("--sections", default=",".join(SECTIONS))
    p.add_argument("--presets", default="cnn,kd-cae,ni-cae,dcgan", help="of the steps")
    p.add_argument("--precisions", default="fp32,bf16", help="of PyTorch's steps")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                   help="of both sides")
    p.add_argument("--out", type=pathlib.Path, help="folder in place of bench/results/<cpu>")
    a = p.parse_args()
    unknown = set(a.sections.split(",")) - set(SECTIONS)
    if unknown:
        p.error(f"no such section: {', '.join(sorted(unknown))}")
    cores = len(os.sched_getaffinity(0))
    if not 1 <= a.threads <= cores:
        p.error(f"--threads is 1 to {cores} here, the cores that this process may use")
    return a


def main():
    a = arguments()
    clean.restart(a.threads)
    chosen = [s for s in SECTIONS if s in a.sections.split(",")]
    share = sum(SECTIONS[s] for s in chosen)
    start, load = time.time(), os.getloadavg()[0]
    text, raw, failed = [], {}, []
    for name in chosen:
        print(f"-- {name}, {time.time() - start:.0f} s", file=sys.stderr, flush=True)
        try:
            table = importlib.import_module(f"{name}_table")  # each section needs other packages
            lines, raw[name] = table.build(a, 60 * a.minutes * SECTIONS[name] / share)
        except Exception as e:  # one section that fails leaves the others their tables
            traceback.print_exc()
            lines = [f"## {name}", "", f"Failed: {e}"]
            failed.append(name)
        print("\n".join(lines), flush=True)
        text += lines + [""]
    head = [
        f"# Assay beside others on {clean.cpu_name()}", "",
        f"{datetime.date.today()}, {a.threads} thread{'s' if a.threads > 1 else ''} on both sides, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}. Load before {load:.2f}, took "
        f"{(time.time() - start) / 60:.0f} minutes. `python3 bench/pytorch/compare_cpu.py "
        f"{' '.join(sys.argv[1:])}`".rstrip(" `") + "`", "",
        "Both sides run in turn; a ratio is the other's time over ours, formed round by round: median "
        "(quartiles). Above 1 ours is faster.", ""]
    out = a.out or BENCH / "results" / clean.cpu_slug()
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare_cpu.md").write_text("\n".join(head + text))
    (out / "compare_cpu.json").write_text(json.dumps(raw, indent=1) + "\n")
    print(f"-- wrote {out / 'compare_cpu.md'}, {time.time() - start:.0f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
