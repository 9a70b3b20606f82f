"""bench/gpu/predict.py on a described network and bounds that are worked out by hand."""
import json
import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "bench" / "gpu"))
import predict  # noqa: E402

LAYERS = """kd-cae, batch of 32

layer          what                               output                   parameters      MFLOP     min MB
encoder.3      conv 3x3/1/1, ReLU, max-pool 2     (32, 32, 32, 64)              18496    4831.84      27.34
decoder.6      upsample 2, conv 3x3/1/1, ReLU     (32, 64, 64, 32)              18464    4831.84      25.24
generator.6    transposed conv 4x4/2/1            (32, 16, 16, 128)            524288    2147.48       8.39
generator.7    batch norm, ReLU                   (32, 16, 16, 128)               256       2.10       8.39
"""
ALGORITHMS = """kd-cae, batch of 32, cuda, tf32, algorithm automatic

encoder.3: conv 3x3/1/1, ReLU, max-pool 2
  fprop  hopper               kernels/conv2d/cuda/hopper.cu
         not direct: too many channels for the filters to lie in shared memory
  dgrad  tensor_core          kernels/conv2d/cuda/tensor_core.cu
generator.6: transposed conv 4x4/2/1
  fprop  gemm tensor_core     kernels/gemm/cuda/tensor_core.cu
dense: dense 512
  wgrad  gemm tensor_core_bf16 kernels/gemm/cuda/tensor_core.cu
         not hopper_bf16: A has k slow, or K not in 8s
"""
BASELINE = {
    "hopper::conv2d_hopper<WgmmaTf32, 128>": {"bound": 1.0, "blocks_per_sm": 1},
    "hopper::conv2d_hopper<WgmmaTf32, 64>": {"bound": 0.5, "blocks_per_sm": 1},
    "hopper::conv2d_hopper<WgmmaTf32, 32>": {"bound": 0.25, "blocks_per_sm": 1},
}


KEPT = json.loads(predict.STATIC.read_text())["kernels"]["sm_90a"]


def conv(channels, filters, side=3, images=32, image=64, what="conv 3x3/1/1", upsample=1):
    """A layer as layers_of() gives it."""
    return {"name": "layer", "what": what, "flops": 2 * images * image * image * side**2 * channels * filters,
            "bytes": 1e6, "output": [images, image, image, filters], "filter": side**2, "stride": 1,
            "upsample": upsample, "weights": side**2 * channels * filters}


def dense(images, inputs, outputs):
    return {"name": "layer", "what": f"dense {outputs}", "flops": 2 * images * inputs * outputs,
            "bytes": 1e6, "output": [images, outputs]}


def table_of(kernel):
    """The names in a CUDA table of algorithms."""
    return re.findall(r'\{\.name = "(\w+)"', (ROOT / f"kernels/{kernel}/cuda/dispatch.cu").read_text())


class Predict(unittest.TestCase):
    def setUp(self):
        self.layers = {layer["name"]: layer for layer in predict.layers_of(LAYERS)}

    def test_layers(self):
        self.assertEqual(list(self.layers), ["encoder.3", "decoder.6", "generator.6", "generator.7"])
        self.assertEqual(self.layers["decoder.6"]["upsample"], 2)
        self.assertNotIn("filter", self.layers["generator.7"])

    def test_algorithms(self):
        self.assertEqual(predict.algorithms_of(ALGORITHMS),
                         {"encoder.3": {"fprop": "hopper", "dgrad": "tensor_core"},
                          "generator.6": {"fprop": "gemm tensor_core"},
                          "dense": {"wgrad": "gemm tensor_core_bf16"}})

    def test_sizes(self):
        def sizes(name, what):
            return predict.sizes_of(self.layers[name], what)
        self.assertEqual(sizes("encoder.3", "fprop"), (32 * 64 * 64, 64))  # before the pool
        self.assertEqual(sizes("encoder.3", "dgrad"), (32 * 64 * 64, 32))
        self.assertEqual(sizes("decoder.6", "dgrad"), (32 * 32 * 32, 64))
        self.assertEqual(sizes("generator.6", "fprop"), (32 * 16 * 16, 128))
        self.assertEqual(sizes("generator.6", "dgrad"), (32 * 8 * 8, 256))

    def test_a_pass(self):
        layer = self.layers["encoder.3"]
        row = predict.predict_pass(layer, "fprop", "hopper", BASELINE, "tf32", 3.35e12)
        self.assertEqual((row["kernel"], row["binds"]),
                         ("hopper::conv2d_hopper<WgmmaTf32, 64>", "products"))
        waves = 1024 / (8 * 132)  # tiles of 128 x 64, one a multiprocessor
        self.assertAlmostEqual(row["waves"], waves, places=3)
        self.assertAlmostEqual(row["us"], 4831.84 / 494.7 / 0.5 / waves, places=2)
        self.assertAlmostEqual(row["floor_us"], 4831.84 / 494.7, places=2)
        # A hundred times the bandwidth changes nothing, a hundredth of it everything.
        slow = predict.predict_pass(layer, "fprop", "hopper", BASELINE, "tf32", 3.35e10)
        self.assertEqual(slow["binds"], "memory")
        self.assertAlmostEqual(slow["us"], 27.34e6 / 3.35e10 * 1e6, places=2)

    def test_few_tiles_are_cut_into_parts(self):
        layer = {"what": "conv 3x3/1/1, ReLU", "filter": 9, "flops": 2 * 2048 * 128 * 9 * 128,
                 "output": [2048, 128], "stride": 1, "upsample": 1, "weights": 9 * 128 * 128}
        parts = predict.parts_of(layer, "fprop", (2048, 128), (128, 64))
        self.assertEqual(parts, 4)  # 32 tiles, 36 stages
        pooled = {**layer, "what": "conv 3x3/1/1, ReLU, max-pool 2"}
        self.assertEqual(predict.parts_of(pooled, "fprop", (2048, 128), (128, 64)), 1)
        self.assertEqual(predict.parts_of(layer, "fprop", (20480, 128), (128, 64)), 1)

    def test_dz_in_memory(self):
        layer = self.layers["encoder.3"]
        rows = [predict.predict_pass(layer, what, "hopper", BASELINE, "tf32", 3.35e12)
                for what in ("fprop", "dgrad")]
        self.assertEqual(rows[1]["kernel"], "hopper::conv2d_hopper<WgmmaTf32, 32>")
        # Twice fprop's time by the bound, and 8 bytes for each element of z.
        self.assertAlmostEqual(rows[1]["us"], 2 * rows[0]["us"] + 8 * 32 * 64 * 64 * 64 / 3.35e6, places=1)

    def test_bf16_on_hopper(self):
        layer = self.layers["encoder.3"]
        baseline = {"hopper::conv2d_hopper<WgmmaBf16Narrow, 64>": {"bound": 0.5, "blocks_per_sm": 1},
                    "hopper::conv2d_hopper<WgmmaBf16, 32>": {"bound": 0.25, "blocks_per_sm": 1}}
        rows = [predict.predict_pass(layer, what, "hopper_bf16", baseline, "bf16", 3.35e12)
                for what in ("fprop", "dgrad")]
        self.assertEqual([r["kernel"] for r in rows], list(baseline))
        self.assertEqual(rows[0]["algorithm"], "hopper_bf16")
        self.assertAlmostEqual(rows[0]["us"], 4831.84 / 989.4 / 0.5 / (1024 / (8 * 132)), places=2)
        # 4 bytes for each element of z.
        self.assertAlmostEqual(rows[1]["us"], 2 * rows[0]["us"] + 4 * 32 * 64 * 64 * 64 / 3.35e6, places=1)
        cut = {"what": "conv 3x3/1/1, ReLU", "filter": 9, "flops": 2 * 2048 * 128 * 9 * 128,
               "output": [2048, 128], "stride": 1, "upsample": 1, "weights": 9 * 128 * 128}
        self.assertEqual(predict.parts_of(cut, "fprop", (2048, 128), (128, 64), "bf16"), 2)  # 18 stages

    def test_what_has_no_bound_counts_with_the_peak(self):
        row = predict.predict_pass(self.layers["encoder.3"], "fprop", "direct", BASELINE, "tf32", 3e12)
        self.assertIsNone(row["bound"])
        self.assertAlmostEqual(row["us"], 4831.84 / 66.9, places=2)

    def kernel(self, algorithm, layer, what, precision):
        return predict.kernel_of(KEPT, algorithm, layer, what, precision)[0]

    def test_bf16_tiles_of_the_tensor_cores(self):
        for sizes, name in {(4096, 4096, 4096): "128, 128, ", (4096, 512, 512): "128, 64, ",
                            (32, 576, 512): "64, 64, "}.items():
            start = f"product_of_tile<MmaTile<Bf16, {name}"
            for what, end in {"fprop": "true, true, 2, 2, 32>, bf16>", "dgrad": "true, false, 2, 2, 32>, bf16>"}.items():
                got = self.kernel("gemm tensor_core_bf16", dense(*sizes), what, "bf16")
                self.assertEqual(got, start + end, (sizes, what))
        self.assertEqual(self.kernel("gemm tensor_core_bf16", dense(32, 4096, 4096), "wgrad", "bf16"),
                         "product_of_tile<MmaTile<Bf16, 128, 128, false, false, 2, 2, 32>, float>")
        wide = conv(128, 128)
        self.assertIn("Bf16, 128, 128, true", self.kernel("tensor_core_bf16", wide, "fprop", "bf16"))
        self.assertIn("Bf16, 128, 128, false", self.kernel("tensor_core_bf16", wide, "wgrad", "bf16"))
        self.assertIn("Bf16, 64, 256, false", self.kernel("tensor_core_bf16", conv(64, 64), "wgrad", "bf16"))
        self.assertIn("Bf16, 32, 64, false", self.kernel("tensor_core_bf16", conv(64, 32), "wgrad", "bf16"))
        behind = conv(128, 128, what="conv 3x3/1/1, ReLU, max-pool 2")
        self.assertIn("Bf16, 128, 64, true, true, 2, 2, 32>, GradientSource<2, ",
                      self.kernel("tensor_core_bf16", behind, "dgrad", "bf16"))
        steep = conv(128, 128, what="conv 3x3/1/1, tanh")  # dz is formed in memory before
        self.assertIn("ImageSource", self.kernel("tensor_core_bf16", steep, "dgrad", "bf16"))
        self.assertIn("PlainGradient", self.kernel("tensor_core_bf16", steep, "wgrad", "bf16"))

    def test_float_tensors_beside_bf16_ones_multiply_in_tf32(self):
        self.assertIn("MmaTile<Tf32, ", self.kernel("gemm tensor_core", dense(32, 512, 1), "fprop", "bf16"))
        self.assertEqual(predict.precision_of("pipelined", "bf16"), "fp32")

    def test_every_algorithm_that_describe_prints_has_a_bound_or_is_named(self):
        def runs(algorithm, what, precision):  # what `covers` of the tables says of passes and precisions
            version = algorithm.removesuffix("_bf16")
            if algorithm.endswith("_bf16") and precision != "bf16":
                return False
            if what == "wgrad" and version in ("hopper", "winograd"):
                return False
            if version == "hopper" and precision == "bf16" and version == algorithm:
                return False
            return precision not in {"hopper": ("fp32",), "tensor_core": ("fp32",),
                                     "winograd": ("tf32", "tf32x3", "bf16")}.get(version, ())
        ends = ("", ", ReLU", ", tanh", ", ReLU, max-pool 2", ", ReLU, max-pool 4")
        convs = [conv(*channels, image=image, what="conv 3x3/1/1" + end)
                 for channels in ((32, 32), (64, 128), (256, 256)) for image in (8, 64) for end in ends]
        convs += [conv(64, 64, upsample=2, what="upsample 2, conv 3x3/1/1, ReLU"),
                  conv(64, 128, side=4, what="transposed conv 4x4/2/1")]
        lowered = [conv(512, 1, side=4, image=1, what="conv 4x4/1/0"),
                   conv(100, 512, side=4, image=1, what="transposed conv 4x4/1/0")]
        products = [dense(*sizes) for sizes in ((32, 576, 512), (32, 512, 1), (4096, 512, 1024), (4096, 4096, 4096))]
        seen = set()
        for prefix, kernel, layers in (("", "conv2d", convs), ("gemm ", "gemm", products + lowered)):
            names = table_of(kernel)
            self.assertGreater(len(names), 7)
            for name in names:
                for layer in layers:
                    for what in ("fprop", "dgrad", "wgrad"):
                        conv_pass = predict.conv_pass_of(layer, what)
                        for precision in predict.PRECISIONS:
                            if not runs(name, conv_pass, precision):
                                continue
                            row = predict.predict_pass(layer, what, prefix + name, KEPT, precision, 3e12)
                            case = (prefix + name, layer["what"], what, precision)
                            if prefix + name in predict.NO_BOUND:
                                self.assertIsNone(row["bound"], case)
                                text = predict.table([row], 0)
                                self.assertIn(f"No bound is known of {name}, ", text, case)
                            else:
                                self.assertIsNotNone(row["bound"], case)
                            seen.add(prefix + name)
        self.assertEqual(seen, set(table_of("conv2d")) | {f"gemm {name}" for name in table_of("gemm")})

    def test_an_unknown_algorithm_is_refused_by_name(self):
        for name in ("strassen", "gemm strassen"):
            with self.assertRaisesRegex(ValueError, f"'{name}' is no algorithm"):
                predict.kernel_of(KEPT, name, conv(64, 64), "fprop", "tf32")

    def test_the_table_says_that_nothing_was_measured(self):
        layers = [self.layers["encoder.3"], self.layers["generator.7"]]
        rows = predict.predict(layers, {"encoder.3": {"fprop": "hopper"}}, BASELINE, "tf32", 3.35e12)
        self.assertEqual([r["pass"] for r in rows], ["fprop", "fprop", "bprop"])
        text = predict.table(rows, predict.launches_of("kd-cae"))
        self.assertIn("predicted, not measured", text)
        self.assertGreater(predict.launches_of("kd-cae"), 20)


if __name__ == "__main__":
    unittest.main()
