"""Runs every NAME.onnx of a folder in onnxruntime and compares its outputs with NAME.safetensors.

python3 onnxruntime_check.py FOLDER; exits with 1 where an output differs by more than 1e-4.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime


def read_safetensors(file):
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    body = data[8 + size :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], np.float32).reshape(entry["shape"])
    return tensors, metadata


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
    failed = not files
    for file in files:
        expected, metadata = read_safetensors(file.with_suffix(".safetensors"))
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0].name
        x = expected.pop(source)
        names = [output.name for output in session.get_outputs()]
        failed |= sorted(names) != sorted(expected)
        failed |= session.get_modelmeta().custom_metadata_map != metadata
        for images in (x, x[:1]):  # the batch is dynamic
            for name, found in zip(names, session.run(names, {source: images})):
                wanted = expected[name][: len(images)]
                worst = float(np.abs(found - wanted).max())
                print(f"{file.stem}: {name} of {len(images)}, largest difference {worst:.1e}")
                failed |= found.shape != wanted.shape or not worst <= 1e-4
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
