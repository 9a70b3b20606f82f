"""Decodes and resizes images with the Pillow of the interpreter that runs this: prints JSON.

    python3 bench/pytorch/pillow.py SIDE THREADS FILE...
"""
import concurrent.futures
import json
import sys

import PIL
from PIL import Image

import clean


def main():
    side, threads, files = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

    def one(file):
        return Image.open(file).resize((side, side), Image.BILINEAR).tobytes()

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        milliseconds = clean.time_calls(lambda: list(pool.map(one, files)))
    print(json.dumps({"version": PIL.__version__, "ms": milliseconds}))


if __name__ == "__main__":
    main()
