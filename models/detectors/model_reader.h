// Reads a detector's model.safetensors key by key.
#pragma once

#include <string>
#include <vector>

#include "tensor/safetensors.h"

namespace assay {

/// Tensors and metadata of a model file. Whatever is missing or does not fit is a CheckpointError
/// that names file and key. Holds views: file and name outlive it.
class ModelReader {
 public:
  ModelReader(const SafeTensors& file, const std::string& name) : file_(file), name_(name) {}

  /// Finite values of a tensor of this shape.
  std::vector<float> floats(const std::string& key, const Shape& shape) const;
  /// A u8 tensor of any number of rows of this shape.
  std::vector<uint8_t> bytes(const std::string& key, const Shape& row) const;
  /// Each from 0 to `end` - 1.
  std::vector<int> indices(const std::string& key, int end) const;
  std::vector<double> doubles(const std::string& key) const;
  std::vector<std::string> lines(const std::string& key) const;
  /// From `low` to `high`, both included.
  double number(const std::string& key, double low, double high) const;
  int whole(const std::string& key, int low, int high) const {
    return static_cast<int>(number(key, low, high));
  }
  const std::string& name() const { return name_; }

 private:
  const StoredTensor& tensor(const std::string& key, StoredType type) const;

  const SafeTensors& file_;
  const std::string& name_;
};

/// Host floats as a tensor of a file.
StoredTensor stored(Shape shape, const std::vector<float>& values);

}  // namespace assay
