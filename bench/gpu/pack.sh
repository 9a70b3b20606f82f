#!/usr/bin/env bash
# Packs the GPU programs of a build, and all they need but the driver, for a machine with nothing installed.
#   bench/gpu/pack.sh                       builds for sm_90a in build/gpu-run, then packs out/gpu-run.tar.xz
#   bench/gpu/pack.sh --build build/emulated   packs that build as it is (to rehearse without a GPU)
# On the other machine: tar xf gpu-run.tar.xz && gpu-run/first_run.sh 1 --out results, then ... 2.
set -euo pipefail
cd "$(dirname "$0")/../.."

architectures=90a
build=
while [[ $# -gt 0 ]]; do
  case $1 in
    --build) build=$2; shift 2 ;;
    --architectures) architectures=$2; shift 2 ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

programs=(conformance assay_tests_kernels gpu_peaks gpu_conv gpu_blocks gpu_gemm gpu_kde gpu_optim gpu_memory
          gpu_steps)
if [[ -z $build ]]; then
  build=build/gpu-run
  cmake --preset cuda -B "$build" -DCMAKE_CUDA_ARCHITECTURES="$architectures" >/dev/null
  cmake --build "$build" --target assay_conformance "${programs[@]:1}"
fi

folder=out/gpu-run
rm -rf "$folder"
mkdir -p "$folder/programs" "$folder/lib"
for program in "${programs[@]}"; do
  found=$(find "$build" -type f -name "$program" -perm -u+x -print -quit)
  [[ -n $found ]] || { echo "pack.sh: there is no program '$program' in $build; build it first" >&2; exit 1; }
  strip -o "$folder/programs/$program" "$found"
done
# The C library is the machine's; the driver's library and PyTorch's cuDNN and cuBLAS are found there.
ldd "$folder"/programs/* | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*|libcuda|libcudnn[^/]*|libcublas[^/]*)\.so' |
  xargs -r cp -L -t "$folder/lib"
cp bench/gpu/first_run.sh "$folder/"
mkdir -p "$folder/bench/gpu"
cp bench/gpu/*.py "$folder/bench/gpu/"
cp -r --parents bench/conformance/expected.txt bench/pytorch/*.py "$folder/"
# One line a file of kernel tests that runs on the device.
sed -n '/CUDA_FILES/,/^)/s/^ *\(.*\)_test\.cpp$/\1/p' tests/kernels/CMakeLists.txt >"$folder/kernel_tests.txt"
git describe --always --dirty >"$folder/commit.txt"

tar -C out -cf - gpu-run | xz -1 -T0 >out/gpu-run.tar.xz
du -h --apparent-size "$folder"/programs/* | sort -h
du -h --apparent-size out/gpu-run.tar.xz
size=$(stat -c %s out/gpu-run.tar.xz)
if ((size > 60 * 1024 * 1024)); then
  echo "pack.sh: out/gpu-run.tar.xz has $((size >> 20)) MiB; more than 60 do not travel" >&2
  exit 1
fi
