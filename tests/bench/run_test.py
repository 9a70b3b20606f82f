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

RUN_ALL = pathlib.Path(__file__).resolve().parents[2] / "bench" / "gpu" / "run.py"

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
    say({"cell": cell, "mode": "tf32", "rung": "tensor_core", "flops": 4e9, "bytes": 1e6,
         "ours_us": 20.0, "ours_p10_us": 19.0,
         "ours_p90_us": 21.0, "ours_warm_us": 15.0, "base": "fake 1.0", "plan": "engine 7",
         "key": "key of " + cell, "base_us": 40.0, "base_warm_us": 45.0, "ratio": 2.0,
         "ratio_warm": 3.0, "relative_error": 1e-4})
''' % sys.executable
CELLS = [f"models/layer{i}/fprop/tf32" for i in range(6)]


class RunAll(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = pathlib.Path(self.folder.name)
        self.build, self.out = root / "build", root / "out"
        self.build.mkdir()
        self.program("gpu_conv", FAKE)
        self.orders({})

    def program(self, name, text):
        path = self.build / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def orders(self, orders):
        (self.build / "orders.json").write_text(json.dumps(orders))

    def command(self, *arguments):
        return [sys.executable, RUN_ALL, "--build", self.build, "--out", self.out, *arguments]

    def run_all(self, *arguments, code=0, env=None):
        done = subprocess.run([str(a) for a in self.command(*arguments)], capture_output=True,
                              text=True, timeout=100, env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def rows(self):
        return [json.loads(line) for line in (self.out / "rows.jsonl").read_text().splitlines()]

    def measured(self):
        return [row["cell"] for row in self.rows()]

    def calls(self):
        return [json.loads(line) for line in (self.build / "calls.jsonl").read_text().splitlines()]

    def test_measures_every_cell_once(self):
        self.run_all("--stage", "models")
        self.assertEqual(self.measured(), CELLS)
        self.run_all("--stage", "models")
        self.assertEqual(self.measured(), CELLS, "the second call has nothing to do")
        self.assertEqual(len(self.calls()), 1)
        self.run_all("--stage", "models", "--again")
        self.assertEqual(self.measured(), CELLS * 2)

    def test_stops_at_the_budget_and_goes_on(self):
        self.orders({cell: 0.7 for cell in CELLS})
        start = time.monotonic()
        self.run_all("--stage", "models", "--budget", "2.4", code=3)
        self.assertLess(time.monotonic() - start, 6)
        first = self.measured()
        self.assertTrue(0 < len(first) < len(CELLS), first)
        self.run_all("--stage", "models")
        self.assertEqual(self.measured(), CELLS, "each cell has one row, in order")

    def test_nothing_starts_without_budget(self):
        self.run_all("--stage", "models,steps", "--budget", "0.000001", code=3)
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
        self.run_all("--stage", "models")
        self.assertEqual(self.measured(), CELLS)

    def test_a_line_cut_short_is_measured_again(self):
        self.run_all("--stage", "models")
        path = self.out / "rows.jsonl"
        path.write_text(path.read_text()[:-30])
        self.run_all("--stage", "models")
        whole = []
        for line in path.read_text().splitlines():
            try:
                whole.append(json.loads(line)["cell"])
            except json.JSONDecodeError:
                pass
        self.assertEqual(whole, CELLS)

    def test_a_crash_costs_one_cell(self):
        self.orders({CELLS[2]: "crash"})
        self.run_all("--stage", "models", code=1)
        self.assertEqual(self.measured(), CELLS)
        self.assertIn("70", self.rows()[2]["error"])
        self.orders({})
        self.run_all("--stage", "models", code=1)
        self.assertEqual(len(self.rows()), 6, "a row that is an error is a row")
        self.run_all("--stage", "models", "--retry")
        self.assertEqual(self.measured(), CELLS + [CELLS[2]])

    def test_a_hang_costs_one_cell(self):
        self.orders({CELLS[1]: "hang"})
        self.run_all("--stage", "models", "--silence", "1.5", code=1)
        self.assertEqual(self.measured(), CELLS)
        self.assertIn("no sign of life", self.rows()[1]["error"])

    def test_a_long_cell_that_shows_signs_of_life_is_none(self):
        self.orders({CELLS[1]: "slow"})
        self.run_all("--stage", "models", "--silence", "1.5")
        self.assertEqual(self.measured(), CELLS)

    def test_an_error_is_kept_and_told(self):
        self.orders({CELLS[5]: "error"})
        self.run_all("--stage", "models", code=1)
        self.assertIn(f"{CELLS[5]}: wrong result", (self.out / "table.md").read_text())

    def test_remembers_plans_and_passes_options_on(self):
        self.run_all("--stage", "models", "--filter", "layer0", "--rounds", "3", "--exhaustive")
        plans = (self.out / "plans.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line) for line in plans],
                         [{"key": "key of " + CELLS[0], "plan": "engine 7", "base": "fake 1.0"}])
        [call] = self.calls()
        self.assertEqual(call[call.index("--plans") + 1], str(self.out / "plans.jsonl"))
        self.assertEqual(call[call.index("--rounds") + 1], "3")
        self.assertIn("--exhaustive", call)

    def test_table(self):
        rows = [{"ceiling": "copy", "cell": "ceilings/copy", "rate": 4e12},
                {"ceiling": "tf32", "cell": "ceilings/tf32/mma", "rate": 3e14},
                {"ceiling": "tf32", "cell": "ceilings/tf32/wgmma", "rate": 4e14},
                {"cell": "models/x/fprop/tf32x3", "mode": "tf32x3", "flops": 4e9, "bytes": 1e6,
                 "ours_us": 60.0},
                {"cell": "models/x/fprop/tf32/tiled", "mode": "tf32", "rung": "tiled",
                 "ours_us": 80.0, "ratio": 0.5, "ratio_warm": 0.25}]
        self.out.mkdir()
        (self.out / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        self.run_all("--stage", "models")
        table = (self.out / "table.md").read_text()
        # 4 GFLOP at 400 TFLOP/s take 10 us, 1 MB at 4 TB/s 0.25 us: half of our 20 us, a quarter of 40.
        self.assertIn("| models/layer0/fprop/tf32 | tensor_core | 20.0 (19.0-21.0) | 15.0 | 40.0 | 45.0 | 2.00 | "
                      "50 % | 25 % | tf32 | 1.0e-04 | fake 1.0 engine 7 |", table)
        # Three products take three times as long.
        self.assertIn("| models/x/fprop/tf32x3 |  | 60.0 (-) |  |  |  |  | 50 % |  | tf32 |", table)
        self.assertIn("| models | fprop | tf32 | 6 | 2.00 | 3.00 | 2.00 | 2.00 |", table)
        # A rung that was asked for stands in lines of its own.
        self.assertIn("| models/x/fprop/tf32/tiled | tiled | 80.0", table)
        self.assertIn("| models | fprop | tf32/tiled | 1 | 0.50 | 0.25 | 0.50 | 0.50 |", table)
        self.assertTrue((self.out / "rows.csv").read_text().startswith("ceiling,cell,rate"))

    def test_conformance_reports_differences(self):
        self.program("conformance", "#!/bin/sh\n"
                     "[ \"$ASSAY_REQUIRE_CUDA\" = 1 ] || exit 9\n"
                     "echo 'device: fake'; echo 'cp_async_4: ok'\n"
                     "echo 'ldmatrix_x4: word 3 is 7 instead of 8'\n"
                     "echo '2 cases, 1 differ, 0 skipped'; exit 1\n")
        self.run_all("--stage", "conformance", code=3)
        found = {row["cell"]: row for row in self.rows()}
        self.assertEqual(found["conformance/cp_async_4"]["result"], "ok")
        self.assertEqual(found["conformance/ldmatrix_x4"]["error"], "word 3 is 7 instead of 8")
        self.assertIn("word 3", (self.out / "table.md").read_text())

    HANGING = ("#!/bin/sh\necho 'device: fake'; echo 'cp_async_4: ok'\n"
               "sleep 60; echo 'mbarrier: ok'; echo '2 cases, 0 differ, 0 skipped'\n")

    def test_conformance_that_hangs_is_an_error(self):
        self.program("conformance", self.HANGING)
        start = time.monotonic()
        self.run_all("--stage", "conformance", "--silence", "1.5", code=3)
        self.assertLess(time.monotonic() - start, 20)
        found = {row["cell"]: row for row in self.rows()}
        self.assertEqual(found["conformance/cp_async_4"]["result"], "ok")
        self.assertEqual(found["conformance"]["error"], "no sign of life after cp_async_4")

    def test_a_test_that_hangs_is_an_error_and_the_next_one_runs(self):
        self.program("hanging_test", "#!/bin/sh\nsleep 60\n")
        (self.build / "CTestTestfile.cmake").write_text(
            f'add_test(models.hangs "{self.build}/hanging_test")\n'
            f'add_test(models.good "/bin/true")\n')
        start = time.monotonic()
        self.run_all("--stage", "tests", "--silence", "0.5", code=1)
        self.assertLess(time.monotonic() - start, 20)
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
        self.run_all("--stage", "tests", code=1, env=env)
        found = {row["cell"]: "error" not in row for row in self.rows()}
        self.assertEqual(found, {
            "tests/kernels.pool": True, "tests/kernels.pool.cuda": True,
            "tests/kernels.runtime": True, "tests/models.bad": False,
            "sanitizer/memcheck/pool": True, "sanitizer/racecheck/pool": False,
            "sanitizer/synccheck/pool": True, "sanitizer/initcheck/pool": True})
        self.assertIn("--source-file=*/tests/kernels/pool_test.cpp", (tools / "calls").read_text())

    def test_usage(self):
        self.assertIn("no stage is called 'model'", self.run_all("--stage", "model", code=2))
        self.assertIn("--stage is missing", self.run_all(code=2))


if __name__ == "__main__":
    unittest.main()
