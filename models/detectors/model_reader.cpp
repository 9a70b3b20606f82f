#include "models/detectors/model_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "kernels/runtime/error.h"

namespace assay {

const StoredTensor& ModelReader::tensor(const std::string& key, StoredType type) const {
  const auto found = file_.tensors.find(key);
  ASSAY_CHECK_AS(CheckpointError, found != file_.tensors.end() && found->second.type == type,
                 "{}: has no {} '{}'; train again with --force", name_, name_of(type), key);
  return found->second;
}

std::vector<float> ModelReader::floats(const std::string& key, const Shape& shape) const {
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

std::vector<uint8_t> ModelReader::bytes(const std::string& key, const Shape& row) const {
  const StoredTensor& t = tensor(key, StoredType::u8);
  ASSAY_CHECK_AS(CheckpointError,
                 t.shape.size() == row.size() + 1 && t.shape[0] > 0 &&
                     std::equal(row.begin(), row.end(), t.shape.begin() + 1),
                 "{}: its {} are {}, not rows of {}; train again with --force", name_, key,
                 to_string(t.shape), to_string(row));
  return t.bytes;
}

std::vector<int> ModelReader::indices(const std::string& key, int end) const {
  std::vector<int> values;
  for (const int64_t v : tensor(key, StoredType::i64).int64s()) {
    ASSAY_CHECK_AS(CheckpointError, v >= 0 && v < end,
                   "{}: its {} hold {}; train again with --force", name_, key, v);
    values.push_back(static_cast<int>(v));
  }
  return values;
}

std::vector<double> ModelReader::doubles(const std::string& key) const {
  return tensor(key, StoredType::f64).doubles();
}

std::vector<std::string> ModelReader::lines(const std::string& key) const {
  const auto found = file_.metadata.find(key);
  ASSAY_CHECK_AS(CheckpointError, found != file_.metadata.end(),
                 "{}: its metadata say no {}; train again with --force", name_, key);
  std::vector<std::string> lines;
  std::istringstream text(found->second);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

double ModelReader::number(const std::string& key, double low, double high) const {
  const auto found = file_.metadata.find(key);
  const double value =
      found == file_.metadata.end() ? NAN : std::strtod(found->second.c_str(), nullptr);
  ASSAY_CHECK_AS(CheckpointError, value >= low && value <= high,
                 "{}: its metadata say no {} from {} to {}; train again with --force", name_, key,
                 low, high);
  return value;
}

StoredTensor stored(Shape shape, const std::vector<float>& values) {
  StoredTensor t{StoredType::f32, std::move(shape), {}};
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  t.bytes.assign(bytes, bytes + values.size() * sizeof(float));
  return t;
}

}  // namespace assay
