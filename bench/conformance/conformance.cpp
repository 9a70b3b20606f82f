// Compares the hardware with the emulator: runs one tiny kernel per PTX wrapper on random inputs
// and compares its outputs with those in expected.txt, which are the emulator's.
//
//   conformance FILE           compare; exit code 1 if anything differs, 77 if there is no device
//   conformance FILE --write   store the outputs of this build's device
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "bench/conformance/adders.h"
#include "bench/conformance/cases.h"
#include "kernels/runtime/cuda/cuda_context.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"

namespace assay::conformance {
namespace {

using Words = std::vector<uint32_t>;

// The inputs depend on the name alone, so that new cases do not change old ones.
Words inputs_of(const Case& c) {
  uint64_t name_hash = 0;
  for (const char* p = c.name; *p != '\0'; ++p)
    name_hash = name_hash * 131 + static_cast<unsigned char>(*p);
  RandomSequence random(name_hash, RandomStream::builtin);
  Words words(static_cast<size_t>(c.input_words));
  for (uint32_t& w : words)
    w = c.input == Input::bits ? random.bits() : std::bit_cast<uint32_t>(random.uniform(-1, 1));
  return words;
}

Words run(Context& ctx, const Case& c) {
  const Words in = inputs_of(c);
  Words out(static_cast<size_t>(c.output_words), 0xdeadbeefu);
  const size_t in_bytes = in.size() * 4, out_bytes = out.size() * 4;
  const Scratch device_in(ctx, in_bytes), device_out(ctx, out_bytes);
  copy_bytes(ctx, device_in.as<void>(), Device::cuda(), in.data(), Device::cpu(), in_bytes);
  copy_bytes(ctx, device_out.as<void>(), Device::cuda(), out.data(), Device::cpu(), out_bytes);
  c.launch(device_in.as<uint32_t>(), device_out.as<uint32_t>(), ctx.stream);
  copy_bytes(ctx, out.data(), Device::cpu(), device_out.as<void>(), Device::cuda(), out_bytes);
  return out;
}

// A line per case: its name and the output words in hexadecimal.
std::map<std::string, Words> read(const std::string& path) {
  std::ifstream file(path);
  ASSAY_CHECK_AS(DataError, file.good(), "conformance: cannot read '{}'", path);
  std::map<std::string, Words> outputs;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name >> std::hex;
    for (uint32_t w; words >> w;) outputs[name].push_back(w);
  }
  return outputs;
}

void write(std::ofstream& file, const Case& c, const Words& out) {
  file << c.name << std::hex;
  for (const uint32_t w : out) file << ' ' << w;
  file << '\n';
}

// "" or the first difference.
std::string difference(const Case& c, const Words& got, const Words& expected) {
  if (expected.size() != got.size())
    return fmt::format("has {} stored words instead of {}", expected.size(), got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (c.tolerance == 0 && got[i] != expected[i])
      return fmt::format("word {} is {:x} instead of {:x}", i, got[i], expected[i]);
    const float g = std::bit_cast<float>(got[i]), e = std::bit_cast<float>(expected[i]);
    if (c.tolerance > 0 && !(std::abs(double{g} - e) <= c.tolerance))
      return fmt::format("element {} is {:g} instead of {:g} +- {:g}", i, g, e, c.tolerance);
  }
  return {};
}

int run_all(const std::string& path, bool write_them) {
  if (!cuda_available()) {
    std::cout << "SKIPPED: no CUDA device\n";
    const char* required = std::getenv("ASSAY_REQUIRE_CUDA");
    return required != nullptr && std::strcmp(required, "1") == 0 ? 1 : 77;
  }
  CudaContext context(1);
  std::cout << "device: " << device_name(Device::cuda()) << '\n';
  std::vector<Case> all = cases();
  for (const Case& c : sm90_cases()) all.push_back(c);
  const auto stored = write_them ? std::map<std::string, Words>() : read(path);
  std::ofstream file;
  if (write_them) file.open(path);
  int differ = 0, skipped = 0;
  for (const Case& c : all) {
    if (c.sm90 && cuda::compute_capability() != 90) {
      std::cout << c.name << ": SKIPPED, needs compute capability 9.0\n";
      ++skipped;
      continue;
    }
    const Words out = run(context.get(), c);
    if (write_them) {
      write(file, c, out);
      continue;
    }
    const auto expected = stored.find(c.name);
    const std::string text =
        expected == stored.end() ? "is not in the file" : difference(c, out, expected->second);
    // Flushed, so that the output shows the last case before one that hangs.
    std::cout << c.name << ": " << (text.empty() ? "ok" : text) << std::endl;
    differ += text.empty() ? 0 : 1;
    if (std::strcmp(c.name, "mma_chain_tf32") == 0)
      std::cout << "tensor cores add as " << adder_of(inputs_of(c), out) << std::endl;
  }
  std::cout << all.size() << " cases, " << differ << " differ, " << skipped << " skipped\n";
  return differ == 0 ? 0 : 1;
}

}  // namespace
}  // namespace assay::conformance

int main(int argc, char** argv) {
  const bool write_them = argc == 3 && std::strcmp(argv[2], "--write") == 0;
  if (argc != 2 && !write_them) {
    std::cerr << "usage: conformance FILE [--write]\n";
    return 2;
  }
  try {
    return assay::conformance::run_all(argv[1], write_them);
  } catch (const assay::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
