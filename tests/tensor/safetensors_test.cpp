#include "tensor/safetensors.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "kernels/runtime/atomic_file.h"

using namespace assay;
namespace fs = std::filesystem;

namespace {

/// A folder that disappears with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "assay-safetensors-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

SafeTensors example() {
  const std::vector<float> floats{1, -2, 0.5f, 3, 4, 5};
  const std::vector<double> doubles{1e-300};
  SafeTensors content;
  content.metadata = {{"preset", "kd-cae"}, {"quote", "\"\\\n"}};
  content.tensors["a.weight"] =
      StoredTensor::of(Tensor::from({2, 3}, std::span<const float>(floats)));
  content.tensors["b"] = StoredTensor::of({1}, std::span<const double>(doubles));
  content.tensors["count"] = StoredTensor::of(int64_t{1} << 40);
  content.tensors["bf16"] = StoredTensor::of(Tensor::full({2}, -0.3, DType::bf16));
  content.tensors["empty"] = StoredTensor::of(Tensor::zeros({0, 3}));
  content.tensors["mask"] = StoredTensor::of(Tensor::full({3}, 255, DType::u8));
  return content;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A file of this header (its length in front) and data.
std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t n = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &n, 8);
  return bytes + header + data;
}

}  // namespace

TEST_CASE("what is written is read") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", example());
  const SafeTensors read = read_safetensors(folder / "x"), want = example();
  CHECK(read.metadata == want.metadata);
  REQUIRE(read.tensors.size() == want.tensors.size());
  for (const auto& entry : want.tensors) {
    const std::string& name = entry.first;
    const StoredTensor& t = entry.second;
    CAPTURE(name);
    REQUIRE(read.tensors.contains(name));
    CHECK(read.tensors.at(name).type == t.type);
    CHECK(read.tensors.at(name).shape == t.shape);
    CHECK(read.tensors.at(name).bytes == t.bytes);
  }
  CHECK(read.tensors.at("a.weight").tensor().to_floats()[2] == 0.5f);
  CHECK(read.tensors.at("b").doubles()[0] == 1e-300);
  CHECK(read.tensors.at("bf16").tensor().dtype() == DType::bf16);
  CHECK(read.tensors.at("bf16").tensor().to_floats() == std::vector<float>(2, -0.30078125f));
  CHECK_FALSE(read.tensors.at("bf16").not_finite().has_value());
  CHECK(StoredTensor::of(Tensor::full({2}, NAN, DType::bf16)).not_finite().has_value());
  CHECK(read.tensors.at("count").int64s()[0] == int64_t{1} << 40);
  CHECK_THROWS_AS(read.tensors.at("count").tensor(), CheckpointError);
  CHECK_THROWS_AS(read.tensors.at("b").int64s(), CheckpointError);
}

TEST_CASE("one content makes one file, and leaves no other behind") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "d");
  write_safetensors(folder / "d/x", example());
  write_safetensors(folder / "d/x", example());
  write_safetensors(folder / "y", example());
  CHECK(bytes_of(folder / "d/x") == bytes_of(folder / "y"));
  CHECK(std::distance(fs::directory_iterator(folder / "d"), {}) == 1);
}

TEST_CASE("a file cut at any byte is an error that names it") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", example());
  const std::string whole = bytes_of(folder / "x");
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    write_bytes(folder / "cut", whole.substr(0, n));
    CHECK_THROWS_WITH_AS(read_safetensors(folder / "cut"), doctest::Contains("cut is damaged"),
                         CheckpointError);
  }
  write_bytes(folder / "long", whole + "x");
  CHECK_THROWS_AS(read_safetensors(folder / "long"), CheckpointError);
}

TEST_CASE("a header that lies is an error") {
  const TemporaryFolder folder;
  const std::string eight(8, 'x');
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string("{\"w\":{\"dtype\":\"") + dtype + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}}";
  };
  write_bytes(folder / "good", file_of(entry("F32", "[2]", "[0,8]"), eight));
  CHECK_NOTHROW(read_safetensors(folder / "good"));

  const std::vector<std::string> bad = {
      "not JSON",
      "[1]",
      "{\"w\":3}",
      "{\"w\":{\"dtype\":\"F32\"}}",
      "{\"__metadata__\":3}",
      "{\"__metadata__\":{\"k\":3}}",
      entry("F16", "[4]", "[0,8]"),
      entry("F32", "[3]", "[0,8]"),
      entry("F32", "[-2]", "[0,8]"),
      entry("F32", "[2]", "[0,16]"),
      entry("F32", "[1]", "[4,8]"),
      entry("F32", "[2]", "[8,0]"),
      entry("F32", "[2]", "[0]"),
      entry("F32", "[2.5]", "[0,8]"),
      entry("F32", "2", "[0,8]"),
      entry("F32", "[2]", "[0,18446744073709551615]"),
      entry("F32", "[4611686018427387904,4]", "[0,8]"),
      "{\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
  };
  for (const std::string& header : bad) {
    CAPTURE(header);
    write_bytes(folder / "bad", file_of(header, eight));
    CHECK_THROWS_AS(read_safetensors(folder / "bad"), CheckpointError);
  }
  write_bytes(folder / "large", file_of("{" + std::string(4'000'000, ' ') + "}", ""));
  CHECK_THROWS_WITH_AS(read_safetensors(folder / "large"), doctest::Contains("at most 4000000"),
                       CheckpointError);
  write_bytes(folder / "huge", std::string(8, '\xff') + eight);
  CHECK_THROWS_AS(read_safetensors(folder / "huge"), CheckpointError);
}

TEST_CASE("files that are not there, and places that cannot be written") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(read_safetensors(folder / "none"), doctest::Contains("no such file"),
                       CheckpointError);
  CHECK_THROWS_AS(read_safetensors(folder / "."), CheckpointError);
  CHECK_THROWS_WITH_AS(write_safetensors(folder / "no/such/x", example()),
                       doctest::Contains("cannot be written"), Error);
}

TEST_CASE("a write that fails leaves the old file whole") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", example());
  const std::string before = bytes_of(folder / "x");
  // Every write to /dev/full fails: the disk is full.
  fs::create_symlink("/dev/full", AtomicFile::temporary_of(folder / "x"));
  CHECK_THROWS_WITH_AS(write_safetensors(folder / "x", example()),
                       doctest::Contains("No space left"), Error);
  CHECK(bytes_of(folder / "x") == before);
}
