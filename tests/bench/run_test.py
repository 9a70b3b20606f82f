"""bench/gpu/run.py against programs that only pretend to measure: budget, continuing, crashes, tables.

Needs no GPU. Each test has a build folder of its own with a fake gpu_conv, whose behaviour a file of
orders decides: {"cell name": "crash" | "hang" | "slow" | "error" | seconds to take}.
"""
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

RUN = pathlib.Path(__file__).resolve().parents[2] / "bench" / "gpu" / "run.py"

FAKE = '''#!%s
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
cells = [f"models/layer{i}/fprop/tf32" for i in range(6)]
if "--list" in sys.argv:
    print("\\n".join(cells))
    sys.exit()
value = lambda name: sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None
orders = json.loads((here / "orders.json").read_text())
with open(here / "calls.jsonl", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
say = lambda row: print(json.dumps(row), flush=True)
start = time.monotonic()
for cell in pathlib.Path(value("--cells")).read_text().split():
    if value("--seconds") and time.monotonic() - start > float(value("--seconds")):
        break
    say({"begin": cell})
    order = orders.get(cell, 0)
    if order == "crash":
        os._exit(70)
    if order == "hang":
        time.sleep(60)
    if order == "slow":
        for i in range(4):
            say({"alive": True})
            time.sleep(0.6)
        order = 0
    if order == "error":
        say({"cell": cell, "error": "wrong result"})
        continue
    time.sleep(order)
    say({"cell": cell, "mode": "tf32", "algorithm": "tensor_core", "flops": 4e9, "bytes": 1e6,
         "ours_us": 20.0, "ours_p10_us": 19.0,
         "ours_p90_us": 21.0, "ours_warm_us": 15.0, "base": "fake 1.0", "plan": "engine 7",
         "key": "key of " + cell, "base_us": 40.0, "base_warm_us": 45.0, "ratio": 2.0,
         "ratio_warm": 3.0, "relative_error": 1e-4})
''' % sys.executable
CELLS = [f"models/layer{i}/fprop/tf32" for i in range(6)]


PEAKS = f'''#!{sys.executable}
import json, pathlib, sys
cell = "peaks/copy"
if "--list" in sys.argv:
    print(cell)
    sys.exit()
print(json.dumps({{"cell": cell, "skipped": "no device"}}))
'''


class GpuRun(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = pathlib.Path(self.folder.name)
        self.build, self.out = root / "build", root / "out"
        self.build.mkdir()
        self.program("gpu_conv", FAKE)
        self.program("gpu_peaks", PEAKS)
        self.orders({})

    def program(self, name, text):
        path = self.build / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def orders(self, orders):
        (self.build / "orders.json").write_text(json.dumps(orders))

    def command(self, *arguments):
        return [sys.executable, RUN, "--build", self.build, "--out", self.out, *arguments]

    def run_stages(self, *arguments, code=0, env=None):
        done = subprocess.run([str(a) for a in self.command(*arguments)], capture_output=True,
                              text=True, timeout=100, env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def rows(self):
        """All but those of the peaks."""
        lines = (self.out / "rows.jsonl").read_text().splitlines()
        return [row for row in map(json.loads, lines) if not row["cell"].startswith("peaks/")]

    def measured(self):
        return [row["cell"] for row in self.rows() if row["cell"].startswith("models/")]

    def calls(self):
        return [json.loads(line) for line in (self.build / "calls.jsonl").read_text().splitlines()]

    def test_measures_every_cell_once(self):
        self.run_stages("--stage", "models")
        self.assertEqual(self.measured(), CELLS)
        self.run_stages("--stage", "models")
        self.assertEqual(self.measured(), CELLS, "the second call has nothing to do")
        self.assertEqual(len(self.calls()), 1)
        self.run_stages("--stage", "models", "--again")
        self.assertEqual(self.measured(), CELLS * 2)

    def test_stops_at_the_budget_and_goes_on(self):
        self.orders({cell: 2 for cell in CELLS})
        self.run_stages("--stage", "models", "--budget", "5", code=3)
        first = self.measured()
        self.assertTrue(0 < len(first) < len(CELLS), first)
        self.orders({})
        self.run_stages("--stage", "models")
        self.assertEqual(self.measured(), CELLS, "each cell has one row, in order")

    def test_nothing_starts_without_budget(self):
        self.run_stages("--stage", "models,steps", "--budget", "0.000001", code=3)
        self.assertFalse((self.out / "rows.jsonl").exists())

    def test_kill_loses_only_the_cell_in_flight(self):
        self.orders({CELLS[3]: 30})
        process = subprocess.Popen([str(a) for a in self.command("--stage", "models")],
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if (self.out / "rows.jsonl").exists() and len(self.measured()) == 3:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.assertEqual(self.measured(), CELLS[:3])
        self.orders({})
        self.run_stages("--stage", "models")
        self.assertEqual(self.measured(), CELLS)

    def test_a_line_cut_short_is_measured_again(self):
        self.run_stages("--stage", "models")
        path = self.out / "rows.jsonl"
        path.write_text(path.read_text()[:-30])
        self.run_stages("--stage", "models")
        whole = []
        for line in path.read_text().splitlines():
            try:
                whole.append(json.loads(line)["cell"])
            except json.JSONDecodeError:
                pass
        self.assertEqual([cell for cell in whole if cell in CELLS], CELLS)

    def test_a_crash_costs_one_cell(self):
        self.orders({CELLS[2]: "crash"})
        self.run_stages("--stage", "models", code=1)
        self.assertEqual(self.measured(), CELLS)
        self.assertIn("70", self.rows()[2]["error"])
        self.orders({})
        self.run_stages("--stage", "models", code=1)
        self.assertEqual(len(self.rows()), 6, "a row that is an error is a row")
        self.run_stages("--stage", "models", "--retry")
        self.assertEqual(self.measured(), CELLS + [CELLS[2]])

    def test_a_hang_costs_one_cell(self):
        self.orders({CELLS[1]: "hang"})
        self.run_stages("--stage", "models", "--silence", "1.5", code=1)
        self.assertEqual(self.measured(), CELLS)
        self.assertIn("no sign of life", self.rows()[1]["error"])

    def test_a_long_cell_that_shows_signs_of_life_is_none(self):
        self.orders({CELLS[1]: "slow"})
        self.run_stages("--stage", "models", "--silence", "1.5")
        self.assertEqual(self.measured(), CELLS)

    def test_an_error_is_kept_and_told(self):
        self.orders({CELLS[5]: "error"})
        self.run_stages("--stage", "models", code=1)
        self.assertIn(f"{CELLS[5]}: wrong result", (self.out / "table.md").read_text())

    def test_remembers_plans_and_passes_options_on(self):
        self.run_stages("--stage", "models", "--filter", "layer0", "--rounds", "3", "--exhaustive")
        plans = (self.out / "plans.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line) for line in plans],
                         [{"key": "key of " + CELLS[0], "plan": "engine 7", "base": "fake 1.0"}])
        [call] = self.calls()
        self.assertEqual(call[call.index("--plans") + 1], str(self.out / "plans.jsonl"))
        self.assertEqual(call[call.index("--rounds") + 1], "3")
        self.assertIn("--exhaustive", call)

    def test_table(self):
        rows = [{"peak": "copy", "cell": "peaks/copy", "rate": 4e12},
                {"peak": "tf32", "cell": "peaks/tf32/mma", "rate": 3e14},
                {"peak": "tf32", "cell": "peaks/tf32/wgmma", "rate": 4e14},
                {"cell": "models/x/fprop/tf32x3", "mode": "tf32x3", "flops": 4e9, "bytes": 1e6,
                 "ours_us": 60.0},
                {"cell": "models/x/fprop/tf32/tiled", "mode": "tf32", "algorithm": "tiled",
                 "ours_us": 80.0, "ratio": 0.5, "ratio_warm": 0.25}]
        self.out.mkdir()
        (self.out / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        self.run_stages("--stage", "models")
        table = (self.out / "table.md").read_text()
        # 4 GFLOP at 400 TFLOP/s take 10 us, 1 MB at 4 TB/s 0.25 us: half of our 20 us, a quarter of 40.
        self.assertIn("| models/layer0/fprop/tf32 | tensor_core | 20.0 (19.0-21.0) | 15.0 | 40.0 | 45.0 | 2.00 | "
                      "50 % | 25 % | tf32 | 1.0e-04 | fake 1.0 engine 7 |", table)
        # Three products take three times as long.
        self.assertIn("| models/x/fprop/tf32x3 |  | 60.0 (-) |  |  |  |  | 50 % |  | tf32 |", table)
        self.assertIn("| models | fprop | tf32 | 6 | 2.00 | 3.00 | 2.00 | 2.00 |", table)
        # An algorithm that was asked for stands in lines of its own.
        self.assertIn("| models/x/fprop/tf32/tiled | tiled | 80.0", table)
        self.assertIn("| models | fprop | tf32/tiled | 1 | 0.50 | 0.25 | 0.50 | 0.50 |", table)
        self.assertTrue((self.out / "rows.csv").read_text().startswith("peak,cell,rate"))

    def test_conformance_reports_differences(self):
        self.program("conformance", "#!/bin/sh\n"
                     "[ \"$ASSAY_REQUIRE_CUDA\" = 1 ] || exit 9\n"
                     "echo 'device: fake'; echo 'cp_async_4: ok'\n"
                     "echo 'ldmatrix_x4: word 3 is 7 instead of 8'\n"
                     "echo '2 cases, 1 differ, 0 skipped'; exit 1\n")
        self.run_stages("--stage", "conformance", code=3)
        found = {row["cell"]: row for row in self.rows()}
        self.assertEqual(found["conformance/cp_async_4"]["result"], "ok")
        self.assertEqual(found["conformance/ldmatrix_x4"]["error"], "word 3 is 7 instead of 8")
        self.assertIn("word 3", (self.out / "table.md").read_text())

    HANGING = ("#!/bin/sh\necho 'device: fake'; echo 'cp_async_4: ok'\n"
               "sleep 60; echo 'mbarrier: ok'; echo '2 cases, 0 differ, 0 skipped'\n")

    def test_conformance_that_hangs_is_an_error(self):
        self.program("conformance", self.HANGING)
        self.run_stages("--stage", "conformance", "--silence", "1.5", code=3)
        found = {row["cell"]: row for row in self.rows()}
        self.assertEqual(found["conformance/cp_async_4"]["result"], "ok")
        self.assertEqual(found["conformance"]["error"], "no sign of life after cp_async_4")

    def test_a_test_that_hangs_is_an_error_and_the_next_one_runs(self):
        self.program("hanging_test", "#!/bin/sh\nsleep 60\n")
        (self.build / "CTestTestfile.cmake").write_text(
            f'add_test(models.hangs "{self.build}/hanging_test")\n'
            f'add_test(models.good "/bin/true")\n')
        self.run_stages("--stage", "tests", "--silence", "0.5", code=1)
        found = {row["cell"]: row for row in self.rows()}
        self.assertIn("no sign of life", found["tests/models.hangs"]["error"])
        self.assertEqual(found["tests/models.good"]["result"], "ok")

    def test_tests_run_under_every_sanitizer(self):
        tools = pathlib.Path(self.folder.name) / "tools"
        tools.mkdir()
        self.program("assay_tests_kernels", "#!/bin/sh\n")
        self.program("one_test", "#!/bin/sh\n[ \"$ASSAY_REQUIRE_CUDA\" = 1 ]\n")
        sanitizer = tools / "compute-sanitizer"
        sanitizer.write_text("#!/bin/sh\n[ \"$ASSAY_REQUIRE_CUDA$ASSAY_TEST_ON\" = 1cuda ] || exit 8\n"
                             f"echo \"$@\" >> {tools}/calls\n[ \"$2\" != racecheck ]\n")
        sanitizer.chmod(0o755)
        (self.build / "CTestTestfile.cmake").write_text(
            f'add_test(kernels.pool "{self.build}/one_test")\n'
            f'add_test(kernels.pool.cuda "{self.build}/one_test")\n'
            f'add_test(kernels.runtime "{self.build}/one_test")\n'
            f'add_test(models.bad "/bin/false")\n')
        env = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
        self.run_stages("--stage", "tests", code=1, env=env)
        found = {row["cell"]: "error" not in row for row in self.rows()}
        self.assertEqual(found, {
            "tests/kernels.pool": True, "tests/kernels.pool.cuda": True,
            "tests/kernels.runtime": True, "tests/models.bad": False,
            "sanitizer/memcheck/pool": True, "sanitizer/racecheck/pool": False,
            "sanitizer/synccheck/pool": True, "sanitizer/initcheck/pool": True})
        self.assertIn("--source-file=*/tests/kernels/pool_test.cpp", (tools / "calls").read_text())

    def cannot_start(self, *arguments):
        """What is said of the program that could not start; the run must not end as complete."""
        said = self.run_stages(*arguments, code=3)
        self.assertIn("not complete", said)
        errors = [row for row in self.rows() if "error" in row]
        self.assertEqual(len(errors), 1, errors)
        self.assertIn(errors[0]["error"], said)
        self.assertIn(errors[0]["error"], (self.out / "table.md").read_text())
        return errors[0]["cell"], errors[0]["error"]

    def test_a_program_that_is_missing(self):
        (self.build / "gpu_conv").unlink()
        cell, error = self.cannot_start("--stage", "models")
        self.assertEqual(cell, "program/gpu_conv")
        self.assertIn("no program 'gpu_conv'", error)
        self.program("gpu_conv", FAKE)
        self.run_stages("--stage", "models")
        self.assertEqual(self.measured(), CELLS)

    def test_a_program_that_is_not_executable(self):
        (self.build / "gpu_conv").chmod(0o644)
        cell, error = self.cannot_start("--stage", "models")
        self.assertEqual(cell, "program/gpu_conv")
        self.assertIn("gpu_conv is not executable", error)

    def test_a_program_that_lacks_a_shared_library(self):
        self.program("gpu_conv", "#!/bin/sh\necho 'gpu_conv: error while loading shared libraries: "
                     "libcudnn.so.9: cannot open shared object file' >&2; exit 127\n")
        cell, error = self.cannot_start("--stage", "models")
        self.assertEqual(cell, "program/gpu_conv")
        self.assertIn("exit code 127", error)
        self.assertIn("libcudnn.so.9", error)

    def test_a_program_of_another_machine(self):
        self.program("gpu_conv", "\x7fELF: for another processor")
        self.assertIn("cannot be started: Exec format error", self.cannot_start("--stage", "models")[1])

    def test_a_program_that_lists_and_then_dies(self):
        self.program("gpu_conv", f"#!/bin/sh\n[ \"$*\" != \"${{*%--list}}\" ] && exec {sys.executable} "
                     f"{self.build}/fake --list\necho 'libcudnn.so.9 is missing' >&2; exit 127\n")
        self.program("fake", FAKE)
        said = self.run_stages("--stage", "models", code=3)
        self.assertIn("gpu_conv ended (127) with 6 cells left", said)
        self.assertIn("libcudnn.so.9 is missing", (self.out / "log.txt").read_text())

    def test_peaks_that_cannot_start_stop_the_stage(self):
        (self.build / "gpu_peaks").unlink()
        self.assertEqual(self.cannot_start("--stage", "models")[0], "program/gpu_peaks")

    def test_conformance_that_cannot_start(self):
        cell, error = self.cannot_start("--stage", "conformance")
        self.assertIn("no program 'conformance'", error)
        self.program("conformance", "#!/bin/sh\necho 'libcuda.so.1 is missing' >&2; exit 127\n")
        self.run_stages("--stage", "conformance", code=3)
        self.assertIn("ended with 127", self.rows()[-1]["error"])

    def test_without_torch_pytorch_is_left_out_by_name(self):
        self.program("gpu_steps", "#!/bin/sh\necho steps/cnn-b32/train-graph/fp32\n")
        # -S leaves out site-packages, so there is no torch.
        command = self.command("--stage", "steps")
        done = subprocess.run([str(c) for c in [command[0], "-S", *command[1:]]], capture_output=True,
                              text=True, timeout=100)
        self.assertIn("pytorch: left out, because", done.stderr)
        self.assertIn("Left out: pytorch, skipped:", (self.out / "table.md").read_text())

    def test_tests_and_build_without_their_tools(self):
        env = dict(os.environ, PATH=self.folder.name)
        self.assertIn("there is no ctest", self.run_stages("--stage", "tests", code=3, env=env))
        self.run_stages("--stage", "build", code=3, env=env)
        self.assertIn("No such file", self.rows()[-1]["error"])

    def test_a_test_that_cannot_start_is_an_error(self):
        (self.build / "CTestTestfile.cmake").write_text(
            f'add_test(kernels.missing "{self.build}/no_such_program")\n')
        self.run_stages("--stage", "tests", code=1)
        found = {row["cell"]: row for row in self.rows()}
        self.assertIn("exit code 8", found["tests/kernels.missing"]["error"])

    def test_usage(self):
        self.assertIn("no stage is called 'model'", self.run_stages("--stage", "model", code=2))
        self.assertIn("--stage is missing", self.run_stages(code=2))


if __name__ == "__main__":
    unittest.main()
