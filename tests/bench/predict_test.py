"""bench/gpu/predict.py on a described network and bounds that are worked out by hand."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench" / "gpu"))
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
"""
BASELINE = {
    "hopper::conv2d_hopper<WgmmaTf32, 128>": {"bound": 1.0, "blocks_per_sm": 1},
    "hopper::conv2d_hopper<WgmmaTf32, 64>": {"bound": 0.5, "blocks_per_sm": 1},
    "hopper::conv2d_hopper<WgmmaTf32, 32>": {"bound": 0.25, "blocks_per_sm": 1},
}


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
                          "generator.6": {"fprop": "gemm tensor_core"}})

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

    def test_the_table_says_that_nothing_was_measured(self):
        layers = [self.layers["encoder.3"], self.layers["generator.7"]]
        rows = predict.predict(layers, {"encoder.3": {"fprop": "hopper"}}, BASELINE, "tf32", 3.35e12)
        self.assertEqual([r["pass"] for r in rows], ["fprop", "fprop", "bprop"])
        text = predict.table(rows, predict.launches_of("kd-cae"))
        self.assertIn("predicted, not measured", text)
        self.assertGreater(predict.launches_of("kd-cae"), 20)


if __name__ == "__main__":
    unittest.main()
