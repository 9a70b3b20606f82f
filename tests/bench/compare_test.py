"""bench/compare: both kinds of files, spread, threshold, what is not comparable."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPARE = ROOT / "bench" / "compare"


def google(times, unit="ms", **more):
    """A file of Google Benchmark: name -> the times of its repetitions."""
    return {"context": {}, "benchmarks": [
        {"name": name, "run_name": name, "run_type": "iteration", "real_time": t, "cpu_time": t,
         "time_unit": unit, **more}
        for name, repetitions in times.items() for t in repetitions]}


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def compare(self, a, b, *options, code):
        done = subprocess.run([sys.executable, COMPARE, self.write("a.json", a), self.write("b.json", b),
                               *options], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_same_file_is_not_slower(self):
        a = google({"gemm/64": [1.0, 1.1, 0.9]})
        said = self.compare(a, a, code=0)
        self.assertIn("| gemm/64 | 1 (0.95 to 1.05) | 1 (0.95 to 1.05) | 1.000 |  |", said)
        self.assertIn("Geometric mean of B / A over 1 names: 1.000.", said)
        self.assertIn("Slower by more than 5 %: none.", said)

    def test_a_slower_name_is_named(self):
        a = google({"x": [1.0, 1.01, 0.99], "y": [2.0, 2.0, 2.0]})
        b = google({"x": [1200, 1210, 1190], "y": [2000, 2000, 2000]}, unit="us")
        said = self.compare(a, b, code=1)
        self.assertIn("| 1.200 | slower |", said)
        self.assertIn("Slower by more than 5 %: x.", said)
        self.compare(a, b, "--threshold", "25", code=0)
        self.compare(a, b, "--filter", "^y", code=0)
        self.assertIn("0.833", self.compare(b, a, code=0))

    def test_a_difference_within_the_spread_is_none(self):
        a = google({"x": [1.0, 1.5, 0.8, 1.4]})
        b = google({"x": [1.4, 1.1, 1.6, 1.3]})
        self.compare(a, b, code=0)

    def test_aggregates_only_and_a_line_before_the_json(self):
        def aggregates(ms):
            both = [{"name": f"x_{kind}", "run_name": "x", "run_type": "aggregate", "aggregate_name": kind,
                     "real_time": t, "time_unit": "ms"} for kind, t in (("mean", 99), ("median", ms))]
            return "FMA peak 244 GFLOP/s\n" + json.dumps({"benchmarks": both})
        self.assertIn("| x | 1 | 2 | 2.000 | slower |", self.compare(aggregates(1), aggregates(2), code=1))

    def test_compare_cpu_files_count_our_times_alone(self):
        def file(ours, key):  # earlier files say "peer_ms"
            return {"steps": {"cnn": {"search": {}, "train 32": {"ours_ms": ours, key: [1, 1, 1]}}},
                    "layers": [{"layer": "cnn.1", "pass": "fprop", "ours_ms": ours, key: [1, 1, 1]}],
                    "evaluation": {"SSIM": {"ours_ms": ours}}}
        said = self.compare(file([10, 10, 10], "peer_ms"), file([20, 20, 20], "baseline_ms"), code=1)
        for name in ("steps/cnn/train 32", "layers/cnn.1/fprop", "evaluation/SSIM"):
            self.assertIn(f"| {name} | 10 (10 to 10) | 20 (20 to 20) | 2.000 | slower |", said)

    def test_the_committed_result_can_be_read(self):
        [path] = ROOT.glob("bench/results/amd-*/compare_cpu.json")
        self.assertIn("over 112 names: 1.000", self.compare(path.read_text(), path.read_text(), code=0))

    def test_names_of_one_side_are_listed(self):
        said = self.compare(google({"x": [1], "old": [1]}), google({"x": [1], "new": [1]}), code=0)
        self.assertIn("Only in A: old.", said)
        self.assertIn("Only in B: new.", said)

    PROGRAM = f'''#!{sys.executable}
import json, pathlib, sys
with open(pathlib.Path(__file__).parent / "calls", "a") as log:
    log.write(pathlib.Path(__file__).name)
if "--benchmark_list_tests=true" in sys.argv:
    print("FMA peak 1 GFLOP/s\\nnet.1/fprop\\nnet.1/wgrad\\nnet.2/fprop")
    sys.exit()
group = next(a for a in sys.argv if "filter" in a).split("^")[1].rstrip("/").replace("\\\\", "")
count = int(next(a for a in sys.argv if "repetitions" in a).split("=")[1])
print(json.dumps({{"benchmarks": [
    {{"name": f"{{group}}/fprop", "run_name": f"{{group}}/fprop", "run_type": "iteration", "real_time": 9.0,
      "cpu_time": TIME * (1 + i), "time_unit": "ms"}} for i in range(count)]}}))
'''

    def test_two_builds_run_in_turns(self):
        for name, time in (("a", "1.0"), ("b", "1.5")):
            self.write(name, self.PROGRAM.replace("TIME", time)).chmod(0o755)
        command = [sys.executable, COMPARE, "--run", self.folder / "a", self.folder / "b", "--rounds", "2",
                   "--repetitions", "3", "--clock", "cpu_time", "--statistic", "min", "--threshold", "40"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)  # the quartiles overlap
        self.assertEqual((self.folder / "calls").read_text(), "b" + "abba" * 2)
        self.assertIn("| net.1/fprop | 2 (1.25 to 2.75) | 3 (1.875 to 4.125) | 1.500 |  |", done.stdout)
        self.assertIn("over 2 names: 1.500", done.stdout)
        (self.folder / "a").chmod(0o644)
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot be started: Permission denied", done.stderr)

    def test_what_cannot_be_compared(self):
        good = google({"x": [1]})
        self.assertIn("no name in common", self.compare(good, google({"y": [1]}), code=2))
        self.assertIn("b.json: is neither", self.compare(good, "no JSON", code=2))
        self.assertIn("b.json: is neither", self.compare(good, {"benchmarks": [{"name": "x"}]}, code=2))
        self.assertIn("b.json: has no times", self.compare(good, {}, code=2))
        self.assertIn("b.json: x failed: wrong result", self.compare(
            good, google({"x": [1]}, error_occurred=True, error_message="wrong result"), code=2))
        missing = subprocess.run([sys.executable, COMPARE, self.folder / "none.json", "b.json"],
                                 capture_output=True, text=True)
        self.assertEqual(missing.returncode, 2)
        self.assertIn("No such file", missing.stderr)


if __name__ == "__main__":
    unittest.main()
