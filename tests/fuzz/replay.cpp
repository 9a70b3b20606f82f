// Feeds a target every file of the folders that are named, and each of them cut at every length:
// the main program where libFuzzer is not there.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  int inputs = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
      const size_t step = text.size() / 50 + 1;
      for (size_t size = 0; size < text.size(); size += step) LLVMFuzzerTestOneInput(bytes, size);
      LLVMFuzzerTestOneInput(bytes, text.size());
      ++inputs;
    }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
