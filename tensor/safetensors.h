// Files of named tensors: https://github.com/huggingface/safetensors#format
//
//   8 bytes n (little endian) | n bytes of JSON | the elements, one tensor after the other
//   JSON: {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, ...,
//          "__metadata__": {"key": "text"}}
//
// Files are read strictly: one that is truncated, edited or has bytes that belong to no tensor is a
// CheckpointError. A crash while writing leaves the old file or the new one.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace assay {

enum class StoredType : uint8_t { f32, f64, i64, u8, bf16 };
/// "F32", as the files name it.
const char* name_of(StoredType type);
size_t size_of(StoredType type);

/// A tensor of a file: on the host, possibly of a type that Tensor lacks (int64).
struct StoredTensor {
  StoredType type = StoredType::f32;
  Shape shape;
  std::vector<uint8_t> bytes;

  static StoredTensor of(const Tensor& t);
  static StoredTensor of(Shape shape, std::span<const int64_t> values);
  static StoredTensor of(Shape shape, std::span<const double> values);
  static StoredTensor of(int64_t value);  ///< of shape ()

  /// f32, f64, bf16 or u8 as a tensor of the current context. Throws CheckpointError for i64.
  Tensor tensor() const;
  /// Throws CheckpointError unless the type is i64.
  std::vector<int64_t> int64s() const;
  /// Throws CheckpointError unless the type is f64.
  std::vector<double> doubles() const;
  /// An element that is NaN or infinite, if there is one.
  std::optional<double> not_finite() const;
};

/// Tensors by name, sorted, so that equal contents give equal files.
using StateDict = std::map<std::string, StoredTensor>;

struct SafeTensors {
  StateDict tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws CheckpointError that names the file and what is wrong with it: also a symbolic link, more
/// than 4 GiB, or a header of more than 4,000,000 bytes (parsed it takes about 16 times its size).
SafeTensors read_safetensors(const std::filesystem::path& path);
/// Throws Error if the file cannot be written (no such folder, full disk).
void write_safetensors(const std::filesystem::path& path, const SafeTensors& content);

}  // namespace assay
