#!/usr/bin/env bash
# The first minutes on a GPU, from the archive of pack.sh: what contradicts the emulator first, then times.
#   first_run.sh 1 --out DIR      about 420 s: conformance, kernel tests, memcheck, peaks, the models' layers
#   first_run.sh 2 --out DIR      about 300 s: goes on with the layers, training steps, PyTorch, ncu
# DIR keeps at most 8 files under 16 MiB: rows.jsonl, rows.csv, table.md, runs.jsonl, plans.jsonl, log.txt,
# tests.txt, ncu.txt. Give call 2 the files of call 1 in DIR to go on from them.
# Exit codes: 0 complete, 1 a test or a row failed, 2 usage, 3 not complete, 4 nothing was run (a library is missing).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
[[ $# -ge 1 && $1 =~ ^[12]$ ]] || usage
call=$1
shift
out= seconds= require=1
while [[ $# -gt 0 ]]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;             # of the stage that measures layers
    --rehearse) require=0; shift ;;               # emulated programs: no device is asked for
    *) usage ;;
  esac
done
[[ -n $out ]] || usage
mkdir -p "$out"
out=$(cd "$out" && pwd)

say() {
  echo "first_run.sh: $(date +%T) $*" | tee -a "$out/tests.txt" >&2
}

# PyTorch brings cuDNN, cuBLAS and the CUDA runtime in folders of their own.
torch=$(python3 -c 'import importlib.util, pathlib
spec = importlib.util.find_spec("nvidia")
print(":".join(str(p) for root in (spec.submodule_search_locations if spec else [])
               for p in pathlib.Path(root).glob("*/lib")))' 2>/dev/null)
export LD_LIBRARY_PATH=$here/lib${torch:+:$torch}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export ASSAY_REQUIRE_CUDA=$require

missing=$(for program in "$here"/programs/*; do
  ldd "$program" 2>&1 | awk -v p="${program##*/}" '/not found/ {print p " needs " $1}'
done)
if [[ -n $missing ]]; then
  say "nothing was run: $missing"
  exit 4
fi
say "call $call, commit $(cat "$here/commit.txt"), $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo no GPU)"

worst=0
# Keeps the most serious exit code.
note() {
  (($1 > worst)) && worst=$1
  return 0
}
measure() {
  python3 "$here/bench/gpu/run.py" --build "$here/programs" --out "$out" "$@"
  local code=$?
  say "run.py $*: exit code $code"
  note $code
}

# test_file NAME: the tests of one file on the device; the end of its output where it fails.
test_file() {
  local log code
  log=$(mktemp)
  ASSAY_TEST_ON=cuda timeout "${limit:-90}" ${tool:-} "$here/programs/assay_tests_kernels" \
    "--source-file=*/tests/kernels/$1_test.cpp" >"$log" 2>&1
  code=$?
  { echo "$1${tool:+ under memcheck}: exit code $code"; tail -n $((code ? 60 : 3)) "$log"; } >>"$out/tests.txt"
  rm -f "$log"
  return $code
}
export -f test_file
export here out

if [[ $call == 1 ]]; then
  measure --stage conformance --budget 30
  xargs -P 4 -I{} bash -c 'test_file {}' <"$here/kernel_tests.txt" || note 1
  say "kernel tests: $(grep -cE '^[a-z0-9_]+: exit code 0$' "$out/tests.txt") of $(wc -l <"$here/kernel_tests.txt") files passed"
  sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer)
  if [[ -n $sanitizer ]]; then
    tool="$sanitizer --tool memcheck --error-exitcode 9" limit=40 test_file conv2d_cuda || note 1
  else
    say "skipped: no compute-sanitizer here"
  fi
  measure --stage models --budget "${seconds:-180}" --rounds 10
else
  measure --stage models --budget "${seconds:-120}" --rounds 10
  measure --stage steps --budget 120 --filter 'train.*graph|pytorch'
  ncu=$(PATH=$PATH:/usr/local/cuda/bin command -v ncu)
  if [[ -n $ncu ]]; then
    timeout 60 "$ncu" --set full --launch-count 3 --kernel-name 'regex:conv2d' \
      "$here/programs/gpu_conv" --benchmark_filter=kdcae.e2/fprop >"$out/ncu.txt" 2>&1 ||
      say "ncu ended with $?"
  else
    say "skipped: no ncu here"
  fi
fi
# What does not travel is cut at its head.
for file in "$out"/*; do
  if (($(stat -c %s "$file") > 15 << 20)); then tail -c $((15 << 20)) "$file" >"$file.tail" && mv "$file.tail" "$file"; fi
done
say "done, exit code $worst; $(ls "$out" | wc -l) files, $(du -sh "$out" | cut -f1)"
exit $worst
