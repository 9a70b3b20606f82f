#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "data/file.h"
#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "tensor/json.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

std::vector<size_t> shuffled_range(size_t n, RandomSequence& random) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  random.shuffle(order);
  return order;
}

std::vector<size_t> sorted(std::vector<size_t> v) {
  std::sort(v.begin(), v.end());
  return v;
}

size_t share_of(size_t n) {
  return static_cast<size_t>(std::lround(kValidationShare * static_cast<double>(n)));
}

std::string file_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

/// Finds samples by the names that a split may use for them.
class Names {
 public:
  Names(const std::string& file, const std::vector<Sample>& samples) : file_(file) {
    for (size_t i = 0; i < samples.size(); ++i) {
      by_path_[samples[i].path] = i;
      by_name_[file_name(samples[i].path)].push_back(i);
    }
  }

  size_t find(const std::string& name) const {
    if (const auto found = by_path_.find(name); found != by_path_.end()) return found->second;
    for (size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
      if (const auto found = by_path_.find(name.substr(at + 1)); found != by_path_.end()) {
        return found->second;
      }
    }
    const auto found = by_name_.find(name);
    ASSAY_CHECK_AS(
        DataError, found != by_name_.end(),
        "{}: there is no image \"{}\" in the training set; this split belongs to other data", file_,
        name);
    ASSAY_CHECK_AS(DataError, found->second.size() == 1,
                   "{}: the name \"{}\" belongs to {} images; give its path", file_, name,
                   found->second.size());
    return found->second.front();
  }

 private:
  std::string file_;
  std::map<std::string, size_t> by_path_;
  std::map<std::string, std::vector<size_t>> by_name_;
};

Json paths_of(const std::vector<size_t>& positions, const std::vector<Sample>& samples) {
  Json list = Json::array();
  for (const size_t i : positions) list.push_back(samples.at(i).path);
  return list;
}

void write_json(const std::filesystem::path& file, const Json& json) {
  write_file(file, json.dump(1) + "\n");
}

/// The lists of images of one split. DataError if an image is in two of them.
class Lists {
 public:
  Lists(const Json& json, const std::string& file, const Names& names)
      : json_(json), file_(file), names_(names) {}

  std::vector<size_t> positions(const char* key) {
    std::vector<size_t> result;
    const auto list = json_.find(key);
    ASSAY_CHECK_AS(DataError, list != json_.end() && list->is_array() && !list->empty(),
                   "{}: \"{}\" must be a list of at least one image", file_, key);
    for (const Json& entry : *list) {
      ASSAY_CHECK_AS(DataError, entry.is_string(),
                     "{}: \"{}\" holds something that is no file name: {}", file_, key,
                     entry.dump());
      result.push_back(names_.find(entry.get<std::string>()));
      ASSAY_CHECK_AS(DataError, seen_.insert(result.back()).second, "{}: {} is named twice", file_,
                     entry.dump());
    }
    return sorted(result);
  }

 private:
  const Json& json_;
  const std::string& file_;
  const Names& names_;
  std::set<size_t> seen_;
};

/// Discarded where it is no JSON.
Json parse(const std::filesystem::path& file) {
  const std::vector<uint8_t> bytes = read_bytes(file);
  return parse_json<Json>({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Json read_split_json(const std::filesystem::path& file) {
  Json json = parse(file);
  ASSAY_CHECK_AS(DataError, json.is_object(),
                 "{}: not a split: it must hold {{\"train\": [...], \"validation\": [...]}}",
                 file.string());
  return json;
}

}  // namespace

Split draw_split(size_t n, uint64_t seed) {
  ASSAY_CHECK_AS(DataError, n >= kMinValidation + kMinTrain,
                 "split: {} good training images are too few; {} are held out and at least {} "
                 "must be left to learn from",
                 n, kMinValidation, kMinTrain);
  RandomSequence random(seed, RandomStream::split);
  const std::vector<size_t> order = shuffled_range(n, random);
  const auto border = order.begin() + std::max(kMinValidation, share_of(n));
  return {sorted({border, order.end()}), sorted({order.begin(), border})};
}

void hold_out_test(Dataset& data, uint64_t seed) {
  std::vector<Sample>& good = data.train_good;
  ASSAY_CHECK_AS(DataError, good.size() >= 2,
                 "{}: has {} good images, but at least 2 are needed, one to learn from and one to "
                 "test on",
                 data.name, good.size());
  RandomSequence random(seed, RandomStream::split);
  random.shuffle(good);
  const auto share = static_cast<std::ptrdiff_t>(kTestShare * static_cast<double>(good.size()));
  const auto border = good.begin() + std::max<std::ptrdiff_t>(1, share);
  data.test.insert(data.test.end(), good.begin(), border);
  good.erase(good.begin(), border);
  const auto by_path = [](const Sample& a, const Sample& b) { return a.path < b.path; };
  std::sort(good.begin(), good.end(), by_path);
  std::sort(data.test.begin(), data.test.end(), by_path);
  data.draws_test = true;
}

void write_split(const std::filesystem::path& file, const Split& split,
                 const std::vector<Sample>& samples) {
  write_json(file, {{"train", paths_of(split.train, samples)},
                    {"validation", paths_of(split.validation, samples)}});
}

std::set<std::string> paths_in_split(const std::filesystem::path& file) {
  const Json json = read_split_json(file);
  std::set<std::string> paths;
  for (const char* part : {"train", "validation"}) {
    const auto list = json.find(part);
    ASSAY_CHECK_AS(DataError, list != json.end() && list->is_array(),
                   "{}: not a split: \"{}\" must be a list of images", file.string(), part);
    for (const Json& path : *list) {
      ASSAY_CHECK_AS(DataError, path.is_string(), "{}: \"{}\" holds something that is no file name",
                     file.string(), part);
      paths.insert(path.get<std::string>());
    }
  }
  return paths;
}

std::set<std::string> paths_in_split(const Split& split, const std::vector<Sample>& samples) {
  std::set<std::string> paths;
  for (const std::vector<size_t>* list : {&split.train, &split.validation})
    for (const size_t i : *list) paths.insert(samples.at(i).path);
  return paths;
}

Split read_split(const std::filesystem::path& file, const std::vector<Sample>& samples) {
  const std::string source = file.string();
  const Json json = read_split_json(file);
  const Names names(source, samples);
  Lists lists(json, source, names);
  Split split;
  split.train = lists.positions("train");
  split.validation = lists.positions("validation");
  return split;
}

std::vector<Fold> stratified_folds(std::span<const uint8_t> defective, int k, uint64_t seed) {
  ASSAY_CHECK_AS(UsageError, k >= 2, "folds: {} folds cannot be cross-validated; at least 2", k);
  ASSAY_CHECK_AS(DataError, static_cast<size_t>(k) <= defective.size(),
                 "folds: {} images are too few for {} folds", defective.size(), k);
  std::vector<Fold> folds(k);
  RandomSequence random(seed, RandomStream::split, 1);
  for (const bool kind : {false, true}) {
    std::vector<size_t> members;
    for (size_t i = 0; i < defective.size(); ++i) {
      if ((defective[i] != 0) == kind) members.push_back(i);
    }
    // Each fold needs one image of the kind to test, one to train and one to validate. With 2 folds
    // and 3 images one fold would test 2 and keep only 1; hence 4.
    const auto needed = k == 2 ? size_t{4} : static_cast<size_t>(k);
    ASSAY_CHECK_AS(DataError, members.size() >= needed,
                   "folds: {}{} images are too few for {} folds; at least {}", members.size(),
                   kind ? " defective" : " good", k, needed);
    random.shuffle(members);
    for (int f = 0; f < k; ++f) {
      // Remainders of good and of defective images go to different folds.
      const size_t test_fold = kind ? k - 1 - f : f;
      std::vector<size_t> rest;
      for (size_t i = 0; i < members.size(); ++i) {
        if (i % k == test_fold) {
          folds[f].test.push_back(members[i]);
        } else {
          rest.push_back(members[i]);
        }
      }
      // Sampled anew in each fold, or one image would validate all folds that do not test it.
      RandomSequence(seed, RandomStream::split, 2 + 2 * f + kind).shuffle(rest);
      const auto border = rest.begin() + std::max<size_t>(1, share_of(rest.size()));
      folds[f].validation.insert(folds[f].validation.end(), rest.begin(), border);
      folds[f].train.insert(folds[f].train.end(), border, rest.end());
    }
  }
  for (Fold& fold : folds) {
    fold = {sorted(fold.train), sorted(fold.validation), sorted(fold.test)};
  }
  return folds;
}

void write_folds(const std::filesystem::path& file, const std::vector<Fold>& folds,
                 const std::vector<Sample>& samples) {
  Json list = Json::array();
  for (const Fold& fold : folds)
    list.push_back({{"train", paths_of(fold.train, samples)},
                    {"validation", paths_of(fold.validation, samples)},
                    {"test", paths_of(fold.test, samples)}});
  write_json(file, {{"folds", list}});
}

std::vector<Fold> read_folds(const std::filesystem::path& file,
                             const std::vector<Sample>& samples) {
  const std::string source = file.string();
  const Json json = parse(file);
  ASSAY_CHECK_AS(DataError,
                 json.is_object() && json.contains("folds") && json["folds"].is_array() &&
                     json["folds"].size() >= 2,
                 "{}: not the split of a cross-validation: it must hold {{\"folds\": [{{\"train\": "
                 "[...], \"validation\": [...], \"test\": [...]}}, ...]}}",
                 source);
  const Names names(source, samples);
  std::vector<Fold> folds;
  std::set<size_t> tested;
  for (const Json& entry : json["folds"]) {
    Lists lists(entry, source, names);
    Fold& fold = folds.emplace_back();
    fold.train = lists.positions("train");
    fold.validation = lists.positions("validation");
    fold.test = lists.positions("test");
    for (const size_t i : fold.test)
      ASSAY_CHECK_AS(DataError, tested.insert(i).second, "{}: \"{}\" is tested in two folds",
                     source, samples[i].path);
    for (const std::vector<size_t>* list : {&fold.train, &fold.validation})
      for (const bool kind : {false, true})
        ASSAY_CHECK_AS(DataError,
                       std::any_of(list->begin(), list->end(),
                                   [&](size_t i) { return samples[i].defective == kind; }),
                       "{}: fold {} has no {} image to {}", source, folds.size(),
                       kind ? "defective" : "good",
                       list == &fold.train ? "train on" : "validate with");
  }
  for (size_t i = 0; i < samples.size(); ++i)
    ASSAY_CHECK_AS(DataError, tested.contains(i),
                   "{}: \"{}\" is tested in no fold; this split belongs to other data", source,
                   samples[i].path);
  return folds;
}

}  // namespace assay
