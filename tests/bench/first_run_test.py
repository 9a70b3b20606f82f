"""bench/gpu/first_run.sh in an archive of programs that only pretend: what is missing is named before
anything runs, failures reach the exit code, the results stay few and small. Needs no GPU.

    first_run_test.py COMPILER      COMPILER links the program whose library is missing
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
COMPILER = sys.argv.pop() if len(sys.argv) > 1 else "c++"

CONFORMANCE = "#!/bin/sh\necho 'device: fake'; echo 'mma: ok'; echo '1 of 1 cases agree'\n"
KERNEL_TESTS = """#!/bin/sh
[ "$ASSAY_TEST_ON" = cuda ] || exit 3
case $1 in *broken*) echo 'the output of the broken file'; exit 1;; esac
"""
MEASURES = '''#!%s
import json, pathlib, sys
name = pathlib.Path(sys.argv[0]).name
cell = {"gpu_peaks": "peaks/fp32", "gpu_conv": "models/layer/fprop/fp32",
        "gpu_steps": "steps/cnn/train-graph/fp32"}[name]
if "--list" in sys.argv:
    print(cell)
elif "--cells" in sys.argv:
    print(json.dumps({"begin": cell}))
    print(json.dumps({"cell": cell, "rate": 1.0, "ours_us": 1.0}), flush=True)
''' % sys.executable


class FirstRun(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        (self.folder / "lib").mkdir()
        shutil.copytree(BENCH / "gpu", self.folder / "bench" / "gpu")
        (self.folder / "bench" / "conformance").mkdir()
        (self.folder / "bench" / "conformance" / "expected.txt").touch()
        shutil.copy(BENCH / "gpu" / "first_run.sh", self.folder)
        (self.folder / "commit.txt").write_text("abc\n")
        (self.folder / "kernel_tests.txt").write_text("pool\nkde\n")
        self.program("conformance", CONFORMANCE)
        self.program("assay_tests_kernels", KERNEL_TESTS)
        for name in ("gpu_peaks", "gpu_conv", "gpu_steps"):
            self.program(name, MEASURES)
        self.out = self.folder / "results"

    def program(self, name, text):
        file = self.programs / name
        file.write_text(text)
        file.chmod(0o755)

    def call(self, number):
        # Tools of a machine with a GPU would look for one.
        path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if "cuda" not in p)
        return subprocess.run([self.folder / "first_run.sh", str(number), "--out", self.out, "--seconds", "20"],
                              capture_output=True, text=True, env=dict(os.environ, PATH=path))

    def text(self, name):
        return (self.out / name).read_text()

    def test_a_missing_library_is_named_and_nothing_runs(self):
        source = self.folder / "a.cpp"
        source.write_text("int f(); int main() { return f(); }")
        library = self.folder / "b.cpp"
        library.write_text("int f() { return 0; }")
        gone = self.folder / "libgone.so"
        subprocess.run([COMPILER, "-shared", "-fPIC", library, "-o", gone], check=True)
        subprocess.run([COMPILER, source, gone, "-o", self.programs / "gpu_gemm"], check=True)
        gone.unlink()
        done = self.call(1)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("gpu_gemm needs", done.stderr)
        self.assertIn("libgone.so", self.text("tests.txt"))
        self.assertFalse((self.out / "rows.jsonl").exists())

    def test_both_calls_run_to_the_end(self):
        done = self.call(1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 of 2 files passed", self.text("tests.txt"))
        self.assertIn("models/layer/fprop/fp32", self.text("rows.jsonl"))
        done = self.call(2)
        self.assertIn("steps/cnn/train-graph/fp32", self.text("rows.jsonl"))
        self.assertLessEqual(len(list(self.out.iterdir())), 8)

    def test_a_failing_test_file_is_shown_and_the_rest_goes_on(self):
        (self.folder / "kernel_tests.txt").write_text("broken\npool\n")
        done = self.call(1)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the output of the broken file", self.text("tests.txt"))
        self.assertIn("1 of 2 files passed", self.text("tests.txt"))
        self.assertIn("models/layer/fprop/fp32", self.text("rows.jsonl"))

    def test_a_program_that_is_not_there_leaves_the_run_incomplete(self):
        (self.programs / "gpu_conv").unlink()
        self.assertEqual(self.call(1).returncode, 3)

    def test_large_files_are_cut(self):
        self.out.mkdir()
        (self.out / "log.txt").write_bytes(b"x" * (16 << 20))
        self.call(1)
        self.assertLessEqual((self.out / "log.txt").stat().st_size, 16 << 20)


if __name__ == "__main__":
    unittest.main()
