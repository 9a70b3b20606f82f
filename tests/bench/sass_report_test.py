"""bench/gpu/sass_report.py on small kernels whose loops are known (sass/kernels.cu): the analysis on
a stored listing, and the whole program on cubins where nvdisasm and cuobjdump are installed."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
GPU = HERE.parents[1] / "bench" / "gpu"
sys.path.insert(0, str(GPU))
import sass_report  # noqa: E402
from sass import analysis, kernels, listing, loops, machine  # noqa: E402

H100 = machine.MACHINES["sm_90a"]
CUBINS = [HERE / "sass" / f"kernels.{target}.cubin" for target in machine.MACHINES]


def tools_installed():
    try:
        return bool(listing.find_tool("nvdisasm") and listing.find_tool("cuobjdump"))
    except listing.MissingTool:
        return False


class Listing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target, cls.kernels = listing.parse_listing(
            (HERE / "sass" / "kernels.sm_90a.sass").read_text())

    def row(self, kernel):
        usage = {"registers": 32, "stack": 0, "static_shared": 0}
        return analysis.analyse(H100, kernel, *self.kernels[kernel], usage)

    def test_target_and_kernels(self):
        self.assertEqual(self.target, "sm_90a")
        self.assertEqual(set(self.kernels), {"fma_loop", "mma_loop"})

    def test_control_bits(self):
        code, _ = self.kernels["fma_loop"]
        self.assertTrue(all(0 <= i.stall <= 15 for i in code))
        self.assertTrue(any(i.stall > 1 for i in code))

    def test_one_loop_each(self):
        for kernel in ("fma_loop", "mma_loop"):  # ptxas ends a kernel with a branch to itself
            multiplies = [l for l in loops.FlowGraph(*self.kernels[kernel]).loops()
                          if analysis.products_in(l.instructions())]
            self.assertEqual(len(multiplies), 1, kernel)

    def test_a_call_that_never_returns_is_a_branch(self):
        def graph(last):
            ops = [("CALL.REL.NOINC", "main"), ("EXIT", ""), ("FFMA", ""), ("BRA", "main"), (last, "")]
            code = [listing.Instruction(16 * i, "@P0" if op == "BRA" else "", op, "", 1, target)
                    for i, (op, target) in enumerate(ops)]
            return loops.FlowGraph(code, {"main": 2})
        self.assertEqual(len(graph("EXIT").loops()), 1)
        self.assertEqual(len(graph("RET").loops()), 0)

    def test_mix_of_the_multiply_adds(self):
        row = self.row("fma_loop")
        self.assertEqual(row["mix"]["FFMA"], 8)
        self.assertEqual(row["memory"], {"LDS.128": 2})
        self.assertEqual(row["barriers"], 1)
        # 2 loads of 512 bytes are 8 wavefronts, and 4 SMSPs take turns: 32 cycles for 8 FFMA.
        self.assertEqual((row["binds"], row["bound"]), ("shared memory", 0.25))

    def test_mma_sync_stays_below_the_rate_of_wgmma(self):
        row = self.row("mma_loop")
        self.assertEqual((row["mix"]["HMMA.tf32"], row["binds"]), (4, "tensor"))
        self.assertAlmostEqual(row["bound"], 0.63, places=3)

    def test_wgmma(self):
        def hgmma(a, n=128):
            return listing.Instruction(0, "", f"HGMMA.64x{n}x8.F32.TF32", f"R24, {a}, gdesc[UR8], R24"
                                       if a == "R56" else f"R24, {a}, R24, UP0", 1, None)
        self.assertEqual(machine.kind_of(hgmma("R56")), "HGMMA.tf32")
        self.assertEqual(machine.pipe_cycles(H100, hgmma("gdesc[UR8]")), ("tensor", 64))
        # Of the warpgroup: 64 and 128 lines of 32 bytes, A in registers the 128 alone.
        self.assertEqual(machine.shared_wavefronts(hgmma("gdesc[UR8]")) * 4, 48)
        self.assertEqual(machine.shared_wavefronts(hgmma("R56")) * 4, 32)

    def test_the_loop_of_wgmma_is_an_innermost_one(self):
        # Tiles: an epilogue with multiply-adds around the steps, and a wait inside of a step.
        wgmma = "HGMMA.64x64x8.F32.TF32"
        ops = [("NOP", ""), ("NOP", ""), ("SYNCS", ""), ("BRA", "wait"), (wgmma, ""), (wgmma, ""),
               ("BRA", "step"), *[("FFMA", "")] * 9, ("BRA", "tile"), ("EXIT", "")]
        code = [listing.Instruction(16 * i, "@P0" if op == "BRA" else "", op,
                                    "R0, gdesc[UR8], R0" if op == wgmma else "", 1, target)
                for i, (op, target) in enumerate(ops)]
        graph = loops.FlowGraph(code, {"tile": 0, "step": 1, "wait": 2})
        body = list(analysis.main_loop(graph.loops()).instructions())
        self.assertEqual([i.name for i in body],
                         ["NOP", "SYNCS", "BRA", "HGMMA", "HGMMA", "BRA"])

    def test_occupancy(self):
        self.assertEqual(machine.occupancy(H100, 255, 0, 256), (1, "registers"))
        self.assertEqual(machine.occupancy(H100, 168, 0, 128), (3, "registers"))
        self.assertEqual(machine.occupancy(H100, 32, 100 * 1024, 128), (2, "shared"))
        self.assertEqual(machine.occupancy(H100, 16, 0, 1024), (2, "threads"))
        self.assertEqual(machine.occupancy(H100, 16, 0, 32), (32, "blocks"))

    def test_launches_from_names(self):
        fma = kernels.launch_of("conv2d_pipeline<FmaTile<128, 64, true, true>, ImageSource>")
        self.assertEqual((fma.threads, fma.macs, fma.tile), (128, 128 * 64 * 16, "128x64x16"))
        product = kernels.launch_of("product_of_tile<MmaTile<Tf32, 128, 128, true, false, 4> >")
        self.assertEqual((product.threads, product.copied_bytes), (256, 128 * 256))
        wgmma = kernels.launch_of("hopper_product<WgmmaTf32x3, 64>")
        self.assertEqual((wgmma.threads, wgmma.tile), (384, "128x64x32"))
        self.assertEqual(wgmma.dynamic_shared, 6 * 32768)
        wgmma = kernels.launch_of("hopper::conv2d_hopper<WgmmaBf16, 128>")
        self.assertEqual((wgmma.dynamic_shared, wgmma.tile), (6 * 32768, "128x128x64"))
        self.assertEqual(kernels.launch_of("centre_rows").macs, 0)

    def test_names(self):
        self.assertEqual(listing.shorten("void assay::cuda::(anonymous namespace)::f<assay::cuda::"
                                         "Rows<(assay::Precision)2, 64> >(float const*)"),
                         "f<Rows<tf32x3, 64> >")


class Check(unittest.TestCase):
    ROW = {"kernel": "f", "machine": "sm_90a", "stack": 0, "bound": 0.5, "blocks_per_sm": 3,
           "limited_by": "registers", "binds": "issue"}

    def worse(self, **changes):
        return sass_report.check([{**self.ROW, **changes}], {"sm_90a": {"f": self.ROW}})

    def test_the_same_is_well(self):
        self.assertEqual(self.worse(), [])
        self.assertEqual(self.worse(bound=0.485), [])

    def test_what_fails(self):
        self.assertIn("bound 50 -> 48 %", self.worse(bound=0.48)[0])
        self.assertIn("no loop multiplies", self.worse(bound=None, binds="no loop multiplies")[0])
        self.assertIn("3 -> 2 blocks", self.worse(blocks_per_sm=2)[0])
        self.assertIn("16 bytes of stack", self.worse(stack=16)[0])
        self.assertEqual(len(self.worse(bound=0.1, blocks_per_sm=1, stack=8)), 3)

    def test_a_kernel_that_vanished_or_is_new(self):
        self.assertIn("was not compiled", sass_report.check(
            [{**self.ROW, "kernel": "g"}], {"sm_90a": {"f": self.ROW}})[0])
        self.assertEqual(sass_report.check([self.ROW], {}), [])


class Program(unittest.TestCase):
    def run_report(self, *arguments, code=0, env=None):
        done = subprocess.run([sys.executable, GPU / "sass_report.py", *arguments], env=env,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    @unittest.skipUnless(tools_installed(), "SKIPPED: no nvdisasm and cuobjdump")
    def test_cubins(self):
        text = self.run_report(*CUBINS)
        self.assertIn("| fma_loop | sm_80 |", text)
        self.assertIn("| mma_loop | sm_90a |", text)
        with tempfile.TemporaryDirectory() as folder:
            baseline = pathlib.Path(folder) / "baseline.json"
            self.run_report(*CUBINS, "--write", baseline, "--compiler", "nvcc A")
            self.run_report(*CUBINS, "--check", baseline, "--compiler", "nvcc A")
            text = self.run_report(*CUBINS, "--check", baseline, "--compiler", "nvcc B", code=77)
            self.assertIn("the baseline is of 'nvcc A'", text)
            file = json.loads(baseline.read_text())
            kept = file["kernels"]
            self.assertGreater(kept["sm_90a"]["stack_array"]["stack"], 0)
            kept["sm_90a"]["stack_array"]["stack"] = 0
            kept["sm_80"]["fma_loop"]["bound"] += 0.02
            baseline.write_text(json.dumps(file))
            text = self.run_report(*CUBINS, "--check", baseline, "--compiler", "nvcc A", code=1)
            self.assertIn("stack_array (sm_90a):", text)
            self.assertIn("fma_loop (sm_80): bound", text)
        self.assertIn("FFMA", self.run_report(*CUBINS, "--loop", "fma_loop"))

    @unittest.skipIf(tools_installed(), "SKIPPED: nvdisasm is installed")
    def test_without_tools(self):
        self.assertIn("skipped: no", self.run_report(*CUBINS, code=77))


if __name__ == "__main__":
    unittest.main()
