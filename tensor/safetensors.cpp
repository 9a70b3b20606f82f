#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/read_file.h"
#include "kernels/runtime/transfer.h"
#include "tensor/json.h"

namespace assay {

static_assert(std::endian::native == std::endian::little, "safetensors files are little endian");

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Enough for 40,000 tensors. The reference implementation allows 100 MB, which take 1.5 GB to
// parse.
constexpr size_t kMaxHeader = 4'000'000;
constexpr uint64_t kMaxFile = uint64_t{1} << 32;

/// A value of the header for a message, cut where it is long.
std::string shortened(const json& value) {
  const std::string text = value.dump();
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

StoredType type_from_name(const std::string& name) {
  for (const StoredType t :
       {StoredType::f32, StoredType::f64, StoredType::i64, StoredType::u8, StoredType::bf16})
    if (name == name_of(t)) return t;
  throw CheckpointError("has the type " + name + ", which Assay does not read");
}

/// numel(shape) * size, or an error for sizes that no file can have.
size_t byte_count(const Shape& shape, StoredType type) {
  size_t bytes = size_of(type);
  for (const int64_t d : shape) {
    const size_t n = static_cast<size_t>(d);
    ASSAY_CHECK_AS(CheckpointError, n == 0 || bytes <= std::numeric_limits<size_t>::max() / n,
                   "has a shape that is too large");
    bytes *= n;
  }
  return bytes;
}

/// An array of integers at least 0: JSON would silently round 2.5 and wrap -1.
Shape counts(const json& array) {
  Shape values;
  ASSAY_CHECK_AS(CheckpointError, array.is_array(), "has {} where a list was due",
                 shortened(array));
  for (const json& item : array) {
    ASSAY_CHECK_AS(CheckpointError,
                   item.is_number_unsigned() &&
                       item.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()},
                   "has {} where a count was due", shortened(item));
    values.push_back(item.get<int64_t>());
  }
  return values;
}

struct Entry {
  std::string name;
  StoredType type;
  Shape shape;
  size_t begin, end;
};

Entry parse_entry(const std::string& name, const json& value) {
  try {
    const auto offsets = counts(value.at("data_offsets"));
    ASSAY_CHECK_AS(CheckpointError, offsets.size() == 2 && offsets[0] <= offsets[1],
                   "has data_offsets that are no range");
    Entry e{name, type_from_name(value.at("dtype").get<std::string>()), counts(value.at("shape")),
            static_cast<size_t>(offsets[0]), static_cast<size_t>(offsets[1])};
    ASSAY_CHECK_AS(CheckpointError, e.end - e.begin == byte_count(e.shape, e.type),
                   "has {} bytes, which is not what its shape {} needs", e.end - e.begin,
                   to_string(e.shape));
    return e;
  } catch (const json::exception&) {
    throw CheckpointError("tensor " + name + " is not described as dtype, shape, data_offsets");
  } catch (const CheckpointError& error) {
    throw CheckpointError("tensor " + name + " " + error.what());
  }
}

/// The tensors must cover the data exactly, in some order.
void check_cover(std::vector<Entry> entries, size_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  size_t at = 0;
  for (const Entry& e : entries) {
    ASSAY_CHECK_AS(CheckpointError, e.begin == at,
                   "tensor {} begins at byte {} of the data where {} was due", e.name, e.begin, at);
    at = e.end;
  }
  ASSAY_CHECK_AS(CheckpointError, at == data_bytes,
                 "the tensors need {} bytes of data but the file holds {}", at, data_bytes);
}

SafeTensors parse(std::string_view file) {
  uint64_t header_bytes = 0;
  ASSAY_CHECK_AS(CheckpointError, file.size() >= 8, "the file has {} bytes, too few for a header",
                 file.size());
  std::memcpy(&header_bytes, file.data(), 8);
  ASSAY_CHECK_AS(CheckpointError, header_bytes <= kMaxHeader || header_bytes > file.size() - 8,
                 "the header has {} bytes, but at most {} are read", header_bytes, kMaxHeader);
  ASSAY_CHECK_AS(CheckpointError, header_bytes <= file.size() - 8,
                 "the header should have {} bytes but the file ends after {}", header_bytes,
                 file.size() - 8);
  const json header = parse_json(file.substr(8, header_bytes));
  ASSAY_CHECK_AS(CheckpointError, header.is_object(), "the header is not a JSON object");

  SafeTensors content;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value));
      continue;
    }
    ASSAY_CHECK_AS(CheckpointError, value.is_object(), "__metadata__ is not a JSON object");
    for (const auto& [key, item] : value.items()) {
      ASSAY_CHECK_AS(CheckpointError, item.is_string(), "__metadata__ {} is not a string", key);
      content.metadata[key] = item.get<std::string>();
    }
  }
  const auto* data = reinterpret_cast<const uint8_t*>(file.data()) + 8 + header_bytes;
  check_cover(entries, file.size() - 8 - header_bytes);
  for (const Entry& e : entries)
    content.tensors[e.name] = {e.type, e.shape, std::vector<uint8_t>(data + e.begin, data + e.end)};
  return content;
}

std::string header_of(const SafeTensors& content) {
  json header = json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  size_t at = 0;
  for (const auto& [name, t] : content.tensors) {
    ASSAY_CHECK(t.bytes.size() == byte_count(t.shape, t.type),
                "safetensors: tensor {} of the shape {} has {} bytes", name, to_string(t.shape),
                t.bytes.size());
    header[name] = {{"dtype", name_of(t.type)},
                    {"shape", t.shape},
                    {"data_offsets", {at, at + t.bytes.size()}}};
    at += t.bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin at a multiple of 8
  return text;
}

template <class T>
std::vector<T> values_of(const std::vector<uint8_t>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

void require_type(const StoredTensor& t, StoredType wanted) {
  ASSAY_CHECK_AS(CheckpointError, t.type == wanted,
                 "a tensor of type {} stands where {} was expected", name_of(t.type),
                 name_of(wanted));
}

template <class T>
StoredTensor stored(StoredType type, Shape shape, std::span<const T> values) {
  ASSAY_CHECK(numel(shape) == static_cast<int64_t>(values.size()),
              "safetensors: the shape {} does not hold {} values", to_string(shape), values.size());
  StoredTensor s{type, std::move(shape), std::vector<uint8_t>(values.size_bytes())};
  if (!s.bytes.empty()) std::memcpy(s.bytes.data(), values.data(), values.size_bytes());
  return s;
}

}  // namespace

const char* name_of(StoredType type) {
  switch (type) {
    case StoredType::f32:
      return "F32";
    case StoredType::f64:
      return "F64";
    case StoredType::i64:
      return "I64";
    case StoredType::bf16:
      return "BF16";
    default:
      return "U8";
  }
}

size_t size_of(StoredType type) {
  switch (type) {
    case StoredType::f32:
      return 4;
    case StoredType::f64:
    case StoredType::i64:
      return 8;
    case StoredType::bf16:
      return 2;
    default:
      return 1;
  }
}

StoredTensor StoredTensor::of(const Tensor& t) {
  switch (t.dtype()) {
    case DType::f32:
      return stored<float>(StoredType::f32, t.shape(), t.to_floats());
    case DType::f64:
      return stored<double>(StoredType::f64, t.shape(), t.to_doubles());
    default:
      break;
  }
  if (t.dtype() == DType::bf16) {
    StoredTensor s{StoredType::bf16, t.shape(), std::vector<uint8_t>(t.size() * sizeof(bf16))};
    copy_bytes(current_context(), s.bytes.data(), Device::cpu(), t.data<bf16>(), t.device(),
               s.bytes.size());
    return s;
  }
  const std::vector<float> values = t.to_floats();
  return {StoredType::u8, t.shape(), std::vector<uint8_t>(values.begin(), values.end())};
}

StoredTensor StoredTensor::of(Shape shape, std::span<const int64_t> values) {
  return stored(StoredType::i64, std::move(shape), values);
}
StoredTensor StoredTensor::of(Shape shape, std::span<const double> values) {
  return stored(StoredType::f64, std::move(shape), values);
}
StoredTensor StoredTensor::of(int64_t value) {
  return of({}, std::span<const int64_t>(&value, 1));
}

Tensor StoredTensor::tensor() const {
  switch (type) {
    case StoredType::f32:
      return Tensor::from(shape, std::span<const float>(values_of<float>(bytes)));
    case StoredType::f64:
      return Tensor::from(shape, std::span<const double>(values_of<double>(bytes)));
    case StoredType::bf16:
      return Tensor::from(shape, std::span<const bf16>(values_of<bf16>(bytes)));
    case StoredType::u8:
      return Tensor::from(shape, std::span<const uint8_t>(bytes));
    default:
      throw CheckpointError("a tensor of type I64 stands where real numbers were expected");
  }
}

std::vector<int64_t> StoredTensor::int64s() const {
  require_type(*this, StoredType::i64);
  return values_of<int64_t>(bytes);
}

std::vector<double> StoredTensor::doubles() const {
  require_type(*this, StoredType::f64);
  return values_of<double>(bytes);
}

std::optional<double> StoredTensor::not_finite() const {
  const auto first_of = [](const auto& values) -> std::optional<double> {
    for (const double v : values)
      if (!std::isfinite(v)) return v;
    return std::nullopt;
  };
  if (type == StoredType::f32) return first_of(values_of<float>(bytes));
  if (type == StoredType::f64) return first_of(values_of<double>(bytes));
  if (type == StoredType::bf16) return first_of(tensor().to_floats());
  return std::nullopt;
}

SafeTensors read_safetensors(const fs::path& path) {
  const FileContent file = read_whole_file(path, kMaxFile, Links::refuse);
  ASSAY_CHECK_AS(CheckpointError, file.failure.empty(), "cannot open {}: {}", path.string(),
                 file.failure);
  try {
    return parse(file.bytes);
  } catch (const CheckpointError& error) {
    throw CheckpointError(path.string() + " is damaged or no safetensors file: " + error.what());
  }
}

void write_safetensors(const fs::path& path, const SafeTensors& content) {
  const std::string header = header_of(content);
  const uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write(&header_bytes, sizeof(header_bytes));
  file.write(header.data(), header.size());
  for (const auto& [name, t] : content.tensors) file.write(t.bytes.data(), t.bytes.size());
  file.commit();
}

}  // namespace assay
