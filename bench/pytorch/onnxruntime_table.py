"""Inference in fp32 against ONNX Runtime, of the same networks with the same weights."""
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime
from safetensors.numpy import load_file

import clean
import steps_table

BATCHES, MIN_ROUNDS, MAX_ROUNDS = (1, 32), 5, 15
SECONDS, ERROR = 1, 1e-4  # of one value; of the largest output, between both sides


def session(file, batch, threads):
    """At its best: every optimisation of the graph, the batch known to it, all cores on one operation."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.add_free_dimension_override_by_name("batch", batch)
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def difference(file, threads):
    """The largest difference of both sides' outputs for one input, over the largest output."""
    stored = load_file(file.with_suffix(".safetensors"))
    found = session(file, 1, threads).run(["output"], {"input": stored["input"]})[0]
    return float(numpy.abs(found - stored["output"]).max() / numpy.abs(stored["output"]).max())


def milliseconds(file, batch, threads):
    """The process spins between operations, so a session lives for one value only."""
    made = session(file, batch, threads)
    rest = load_file(file.with_suffix(".safetensors"))["input"].shape[1:]
    x = numpy.random.default_rng(4).random((batch, *rest), numpy.float32)
    return clean.time_calls(lambda: made.run(["output"], {"input": x}), SECONDS)


def build(a, seconds):
    presets = a.presets.split(",")
    cells = [(preset, batch) for preset in presets for batch in BATCHES]
    start, rows, raw = time.time(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(a.build / "bench" / "bench_step"), "--onnx", folder], check=True)
        for i, (preset, batch) in enumerate(cells):
            file = pathlib.Path(folder) / f"{preset}.onnx"
            if (error := difference(file, a.threads)) > ERROR:
                raise RuntimeError(f"{preset}: outputs differ by {error:.1e} of the largest")
            mine, theirs, deadline = [], [], start + seconds * (i + 1) / len(cells)
            while len(mine) < MIN_ROUNDS or len(mine) < MAX_ROUNDS and time.time() < deadline:
                mine.append(steps_table.inference(a, preset, batch))
                theirs.append(milliseconds(file, batch, a.threads))
            rows.append(f"| {preset} | {batch} | {statistics.median(mine):.2f} "
                        f"| {statistics.median(theirs):.2f} "
                        f"| {clean.spread(clean.ratio(mine, theirs))} | {error:.0e} |")
            raw[f"{preset} {batch}"] = {"ours_ms": mine, "baseline_ms": theirs, "difference": error}
    return [
        f"## Inference against ONNX Runtime {onnxruntime.__version__}", "",
        f"fp32, the graphs that `assay export --onnx` writes; {MIN_ROUNDS} to {MAX_ROUNDS} rounds. ONNX "
        "Runtime with every graph optimisation, the batch fixed, all threads on one operation. Of the "
        "DCGAN the generator. Difference: the largest of one image's outputs, over the largest output.",
        "", "| network | batch | ours ms | ONNX Runtime ms | ratio | difference |",
        "|--|--|--|--|--|--|", *rows], raw
