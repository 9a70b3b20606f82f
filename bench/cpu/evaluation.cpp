// The work around the networks that Python's libraries do too, on inputs that both sides read from
// files: kernel density, structural similarity, and images from files.
//
//   bench_evaluation kde TRAIN n QUERIES m D h OUT     float32 files -> float64 log densities
//   bench_evaluation ssim X Y pairs size OUT           float32 files -> float32 values
//   bench_evaluation images size channels threads OUT FILE...
//                                                      decode and resize -> bytes (n,size,size,C)
//
// Prints one JSON object with the milliseconds of each of a few calls; OUT gets the result.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "kernels/kde/kde.h"
#include "kernels/runtime/error.h"
#include "kernels/ssim/ssim.h"

namespace assay::bench {
namespace {

template <class T>
std::vector<T> read(const std::string& path, size_t count) {
  std::vector<T> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(count * sizeof(T)));
  if (!file) throw Error(path + ": shorter than its shape says");
  return values;
}

template <class T>
void write(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file.flush()) throw Error("cannot write " + path);
}

// Makes at least 5 calls, and enough for about half a second.
void time_calls(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t kMinCalls = 5, kMaxCalls = 1000;
  call();
  const auto start = Clock::now();
  std::vector<double> milliseconds;
  while (
      milliseconds.size() < kMinCalls ||
      (milliseconds.size() < kMaxCalls && Clock::now() - start < std::chrono::milliseconds(500))) {
    const auto begin = Clock::now();
    call();
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::printf("{\"ms\":[");
  for (size_t i = 0; i < milliseconds.size(); ++i)
    std::printf("%s%.5f", i == 0 ? "" : ",", milliseconds[i]);
  std::printf("]}\n");
}

void run_kde(const std::vector<std::string>& a) {
  const KdeShape s{std::stoi(a.at(1)), std::stoi(a.at(3)), std::stoi(a.at(4))};
  const auto train = read<float>(a.at(0), static_cast<size_t>(s.n) * static_cast<size_t>(s.D));
  const auto queries = read<float>(a.at(2), static_cast<size_t>(s.m) * static_cast<size_t>(s.D));
  const double h = std::stod(a.at(5));
  std::vector<double> density(static_cast<size_t>(s.m));
  CpuContext ctx;
  time_calls(
      [&] { kde_log_density<float>(ctx, s, h, train.data(), queries.data(), density.data()); });
  write(a.at(6), density);
}

void run_ssim(const std::vector<std::string>& a) {
  const int pairs = std::stoi(a.at(2)), size = std::stoi(a.at(3));
  const SsimShape s{pairs, size, size, 1};
  const auto count = static_cast<size_t>(pairs) * static_cast<size_t>(size * size);
  const auto x = read<float>(a.at(0), count), y = read<float>(a.at(1), count);
  std::vector<float> value(static_cast<size_t>(pairs));
  CpuContext ctx;
  time_calls([&] { ssim<float>(ctx, s, x.data(), y.data(), value.data(), nullptr); });
  write(a.at(4), value);
}

void run_images(const std::vector<std::string>& a) {
  const int size = std::stoi(a.at(0)), channels = std::stoi(a.at(1));
  std::vector<Sample> samples;
  for (size_t i = 4; i < a.size(); ++i) {
    samples.emplace_back();
    samples.back().path = a[i];
    samples.back().file = a[i];
  }
  CpuContext ctx(std::stoi(a.at(2)));
  std::vector<uint8_t> pixels;
  time_calls([&] {
    const ImageStore store(ctx, samples, {.height = size, .width = size, .channels = channels});
    pixels.clear();
    for (size_t i = 0; i < store.size(); ++i)
      pixels.insert(pixels.end(), store.pixels(i).begin(), store.pixels(i).end());
  });
  write(a.at(3), pixels);
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const std::vector<std::string> rest(argv + std::min(argc, 2), argv + argc);
  try {
    if (what == "kde")
      assay::bench::run_kde(rest);
    else if (what == "ssim")
      assay::bench::run_ssim(rest);
    else if (what == "images")
      assay::bench::run_images(rest);
    else
      throw assay::Error("usage: bench_evaluation kde | ssim | images ...");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_evaluation: %s\n", e.what());
    return 2;
  }
  return 0;
}
