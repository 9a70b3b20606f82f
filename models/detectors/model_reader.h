// Reads tensors and metadata of a file of weights with checks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "kernels/runtime/error.h"
#include "models/run/csv.h"
#include "tensor/safetensors.h"

namespace assay {

/// Whatever is missing or does not fit is a CheckpointError that names the file.
class ModelReader {
 public:
  ModelReader(const SafeTensors& file, const std::string& name) : file_(file), name_(name) {}

  std::vector<float> floats(const std::string& key, const Shape& shape) const {
    const StoredTensor& t = tensor(key, StoredType::f32);
    ASSAY_CHECK_AS(CheckpointError, t.shape == shape,
                   "{}: its {} are {}, not {}; train again with --force", name_, key,
                   to_string(t.shape), to_string(shape));
    std::vector<float> values(static_cast<size_t>(numel(shape)));
    std::copy(t.bytes.begin(), t.bytes.end(), reinterpret_cast<uint8_t*>(values.data()));
    for (const float v : values)
      ASSAY_CHECK_AS(CheckpointError, std::isfinite(v),
                     "{}: its {} hold {}; train again with --force", name_, key, v);
    return values;
  }
  /// A u8 tensor of any number of rows of this shape.
  std::vector<uint8_t> bytes(const std::string& key, const Shape& row) const {
    const StoredTensor& t = tensor(key, StoredType::u8);
    ASSAY_CHECK_AS(CheckpointError,
                   t.shape.size() == row.size() + 1 && t.shape[0] > 0 &&
                       std::equal(row.begin(), row.end(), t.shape.begin() + 1),
                   "{}: its {} are {}, not rows of {}; train again with --force", name_, key,
                   to_string(t.shape), to_string(row));
    return t.bytes;
  }
  /// Integers, each from 0 to `end` - 1.
  std::vector<int> indices(const std::string& key, int end) const {
    std::vector<int> values;
    for (const int64_t v : tensor(key, StoredType::i64).int64s()) {
      ASSAY_CHECK_AS(CheckpointError, v >= 0 && v < end,
                     "{}: its {} hold {}; train again with --force", name_, key, v);
      values.push_back(static_cast<int>(v));
    }
    return values;
  }
  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata.find(key);
    ASSAY_CHECK_AS(CheckpointError, found != file_.metadata.end(),
                   "{}: its metadata say no {}; train again with --force", name_, key);
    return found->second;
  }
  /// All finite.
  std::vector<double> doubles(const std::string& key) const {
    std::vector<double> values = tensor(key, StoredType::f64).doubles();
    for (const double value : values)
      ASSAY_CHECK_AS(CheckpointError, std::isfinite(value),
                     "{}: its {} hold {}; train again with --force", name_, key, value);
    return values;
  }
  double number(const std::string& key, double low, double high) const {
    const auto found = file_.metadata.find(key);
    const std::optional<double> value =
        found == file_.metadata.end() ? std::nullopt : parse_number(found->second);
    ASSAY_CHECK_AS(CheckpointError, value && *value >= low && *value <= high,
                   "{}: its metadata say no {} from {} to {}; train again with --force", name_, key,
                   low, high);
    return *value;
  }
  int whole(const std::string& key, int low, int high) const {
    return static_cast<int>(number(key, low, high));
  }

  const std::string& name() const { return name_; }

 private:
  const StoredTensor& tensor(const std::string& key, StoredType type) const {
    const auto found = file_.tensors.find(key);
    ASSAY_CHECK_AS(CheckpointError, found != file_.tensors.end() && found->second.type == type,
                   "{}: has no {} '{}'; train again with --force", name_, name_of(type), key);
    return found->second;
  }

  const SafeTensors& file_;
  const std::string& name_;
};

inline StoredTensor stored(Shape shape, const std::vector<float>& values) {
  StoredTensor t{StoredType::f32, std::move(shape), {}};
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  t.bytes.assign(bytes, bytes + values.size() * sizeof(float));
  return t;
}
inline StoredTensor stored(const std::vector<int>& values) {
  const std::vector<int64_t> wide(values.begin(), values.end());
  return StoredTensor::of({static_cast<int64_t>(wide.size())}, wide);
}

}  // namespace assay
