#include "models/run/data.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "data/findings.h"
#include "data/mvtec.h"
#include "data/noise.h"
#include "kernels/runtime/parallel.h"
#include "models/run/machine.h"
#include "models/run/reader.h"

namespace assay {

Dataset open_data(const RunConfig& config) {
  if (config.data != "folder") {
    Dataset data = open_dataset(config.data, config.object_class);
    if (!data.test.empty()) return data;
    hold_out_test(data, config.seed);
    data.notes.push_back(
        fmt::format("{} has no test/: {} of its good images are held out for the test",
                    config.object_class, data.test.size()));
    return data;
  }
  FolderOptions folder{.good = config.good, .bad = config.bad, .masks = {}, .seed = config.seed};
  if (!config.masks.empty()) folder.masks = config.masks;
  return open_folder(folder);
}

void test_on_the_rest(const std::set<std::string>& learnt, Dataset& data) {
  if (!data.draws_test) return;
  std::vector<Sample> test;
  for (const std::vector<Sample>* samples : {&data.train_good, &data.test})
    for (const Sample& sample : *samples)
      if (!learnt.contains(sample.path)) test.push_back(sample);
  std::sort(test.begin(), test.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
  data.test = std::move(test);
}

Dataset open_data_of(const RunConfig& config, const RunFolder& folder) {
  Dataset data = open_data(config);
  check_split(folder);
  if (data.draws_test) test_on_the_rest(paths_in_split(folder.split()), data);
  return data;
}

SplitSizes check_split(const RunFolder& folder) {
  const nlohmann::ordered_json json = read_run_json(folder.split());
  const JsonReader in(json, folder.split().string());
  SplitSizes sizes;
  if (in.has("folds")) {
    for (const JsonReader& fold : in.objects("folds"))
      for (const char* part : {"train", "validation", "test"}) fold.texts(part);
    return sizes;
  }
  sizes.train = static_cast<int64_t>(in.texts("train").size());
  sizes.validation = static_cast<int64_t>(in.texts("validation").size());
  return sizes;
}

void begin_run(const RunConfig& config, const RunFolder& folder, Start start) {
  folder.begin(start);
  save(config, folder.config());
  write_file(folder.machine(), machine_json().dump(2) + "\n");
}

namespace {

/// Moves good test images to train_good, because --split may name any good image.
void learn_from_any_good(Dataset& data) {
  const auto tested = std::stable_partition(data.test.begin(), data.test.end(),
                                            [](const Sample& s) { return s.defective; });
  data.train_good.insert(data.train_good.end(), tested, data.test.end());
  data.test.erase(tested, data.test.end());
  std::sort(data.train_good.begin(), data.train_good.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

}  // namespace

ImageStore read_images(const RunConfig& config, std::vector<Sample> samples, bool masks) {
  return {current_context(),
          std::move(samples),
          {.height = config.image_size,
           .width = config.image_size,
           .channels = config.channels(),
           .masks = masks,
           .bit_depth = bit_depth_of(config)}};
}

Split choose_split(const RunConfig& config, const RunFolder& folder, Start start, Dataset& data) {
  const bool keep = start == Start::resume && is_there(folder.split());
  if (keep) check_split(folder);
  const std::filesystem::path file =
      keep ? folder.split() : std::filesystem::path(config.split_file);
  if (file.empty()) return draw_split(data.train_good.size(), config.seed);
  if (data.draws_test) learn_from_any_good(data);
  Split split = read_split(file, data.train_good);
  for (const std::vector<size_t>* list : {&split.train, &split.validation})
    ASSAY_CHECK_AS(DataError, list->size() >= 2,
                   "{}: one image for {} has no spread; give two at least", file.string(),
                   list == &split.train ? "training" : "validation");
  return split;
}

RunConfig with_bit_depth(const RunConfig& config, const RunFolder& folder, Start start) {
  if (config.bit_depth != "auto") return config;
  RunConfig known = config;
  if (start == Start::resume && std::filesystem::exists(folder.config())) {
    const nlohmann::ordered_json json = read_run_json(folder.config());
    const JsonReader in(json, folder.config().string());
    known.bit_depth = in.has("bit_depth") ? in.text("bit_depth") : "16";
    return known;
  }
  const std::vector<Sample> samples = open_data(config).train_good;
  std::vector<int> max_values(samples.size());
  parallel_for(current_context(), static_cast<int64_t>(samples.size()), [&](int64_t i) {
    max_values[i] = load(samples[i], {.masks = false}).facts.max_value;
  });
  const int used = bits_used(*std::max_element(max_values.begin(), max_values.end()));
  known.bit_depth = std::to_string(used);
  return known;
}

int bit_depth_of(const RunConfig& config) {
  return config.bit_depth == "auto" ? 16 : std::atoi(config.bit_depth.c_str());
}

std::vector<std::string> remarks_on(const Dataset& data, const RunConfig& config,
                                    const ImageStore& training, const ImageStore* test) {
  const auto seen = [](const ImageStore& store) {
    std::vector<ReadImage> images;
    for (size_t i = 0; i < store.size(); ++i)
      images.push_back({&store.sample(i), &store.facts()[i]});
    return images;
  };
  const ImageFindings findings =
      check_images(seen(training), test != nullptr ? seen(*test) : std::vector<ReadImage>(),
                   bit_depth_of(config));
  if (!findings.problems.empty()) throw DataError(findings.problems.front());
  std::vector<std::string> remarks = data.notes;
  remarks.insert(remarks.end(), findings.notes.begin(), findings.notes.end());
  if (data.files.images() > 0) remarks.push_back("files: " + data.files.sentence());
  return remarks;
}

std::vector<size_t> all_of(const ImageStore& store) {
  std::vector<size_t> positions(store.size());
  std::iota(positions.begin(), positions.end(), size_t{0});
  return positions;
}

std::vector<size_t> noisy_among(const RunConfig& config, const std::vector<size_t>& listed,
                                const std::string& condition) {
  if (condition != "noisy") return {};
  std::vector<size_t> noisy;
  for (const size_t i : draw_noisy_images(listed.size(), config.seed, config.noise_share))
    noisy.push_back(listed[i]);
  return noisy;
}

void note_noise(const RunFolder& folder, const char* set, const ImageStore& store,
                const std::vector<size_t>& noisy) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (is_there(folder.noise())) {
    json = read_run_json(folder.noise());
  } else if (noisy.empty()) {
    return;
  }
  // A resumed run finds the file as it was left: a set without noise has no entry, then as now.
  json.erase(set);
  if (!noisy.empty()) {
    json[set] = nlohmann::ordered_json::array();
    for (const size_t i : noisy) json[set].push_back(store.sample(i).path);
  }
  write_file(folder.noise(), json.dump(2) + "\n");
}

void for_each_batch(const RunConfig& config, const ImageStore& store,
                    const std::vector<size_t>& images, const std::vector<size_t>& noisy,
                    const std::function<void(const Batch&)>& f) {
  BatchLoader loader(store, images,
                     {.batch = config.batch,
                      .seed = config.seed,
                      .shuffle = false,
                      .noisy = noisy,
                      .noise_variance = config.noise_variance,
                      .clean_target = true,
                      .labels = true});
  loader.start_epoch(0);
  Batch batch;
  while (loader.next(batch)) f(batch);
}

}  // namespace assay
