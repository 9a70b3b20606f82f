"""Writes resize.json: what Pillow's BILINEAR makes of images that a formula gives.

Run with Pillow installed: python make_resize.py. tests/data/resize_test.cpp has the same formula.
"""

import json
import os

import numpy as np
import PIL
from PIL import Image

CASES = [  # height, width, channels -> height, width
    (64, 48, 3, 16, 16),
    (37, 53, 3, 16, 24),
    (200, 300, 1, 13, 11),
    (128, 128, 3, 128, 31),
    (128, 128, 1, 31, 128),
    (5, 7, 3, 20, 30),
    (9, 9, 1, 10, 8),
    (1, 1, 3, 4, 3),
    (1, 40, 3, 7, 1),
    (33, 33, 3, 1, 1),
    (256, 256, 1, 20, 20),
]


def image(height, width, channels):
    """Steps, ramps and a hash: edges, smooth parts and noise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    noise = ((x * 374761393 + y * 668265263 + c * 69069) % 2**32 * 2246822519 % 2**32) >> 24
    ramp = (x * 5 + y * 3 + c * 40) % 256
    step = np.where((x // 6 + y // 4 + c) % 2 == 0, 255, 0)
    return np.choose((x + y) // 16 % 3, [noise, ramp, step]).astype(np.uint8)


def resized(pixels, height, width):
    image = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.resize((width, height), Image.BILINEAR))


cases = []
for h, w, c, out_h, out_w in CASES:
    out = resized(image(h, w, c), out_h, out_w)
    cases.append({"height": h, "width": w, "channels": c, "out_height": out_h, "out_width": out_w,
                  "hex": out.tobytes().hex()})
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resize.json")
with open(path, "w") as f:
    json.dump({"pillow": PIL.__version__, "cases": cases}, f, indent=1)
    f.write("\n")
