// assay predict RUN PATH...
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/assay/cli.h"
#include "data/file.h"
#include "data/image_io.h"
#include "data/listing.h"
#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/evaluation/figures.h"
#include "models/run/csv.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

struct PredictArguments {
  std::string run, out;
  std::vector<std::string> paths;
  bool json = false, csv = false, fail_on_anomaly = false, force = false;
  int threads = 0;
};

/// A picture to be judged, and its name below the path that the user gave.
struct Input {
  fs::path file, name;
  fs::path heat_map = {};  ///< empty: none is written
};

/// Adds the images of a folder and those below it.
void add_folder(const fs::path& folder, std::vector<Input>& inputs) {
  const size_t before = inputs.size();
  walk_files(folder, [&](const ListedFile& found) {
    ASSAY_CHECK_AS(DataError, found.kind != FileKind::unsupported && found.kind != FileKind::failed,
                   "{}: {}, which is not read; convert it to PNG", found.file.string(),
                   found.reason);
    if (found.kind == FileKind::image) inputs.push_back({found.file, found.name});
  });
  ASSAY_CHECK_AS(DataError, inputs.size() > before, "{}: holds no {} image", folder.string(),
                 kReadableFormats);
}

std::vector<Input> find_inputs(const std::vector<std::string>& paths) {
  std::vector<Input> inputs;
  for (const fs::path path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    ASSAY_CHECK_AS(DataError, fs::exists(status), "'{}': {}; name pictures, or folders of them",
                   path.string(), error ? error.message() : "there is no such file or folder");
    if (fs::is_directory(status)) {
      add_folder(path, inputs);
    } else {
      inputs.push_back({path, path.filename()});
    }
  }
  return inputs;
}

/// Gives every input a heat map of its own in `out`: where two have one name, as a/000.png and
/// b/000.jpg, the second becomes 000_2.png. UsageError when one would replace a file to be judged
/// or, unless `replace`, any other.
void name_heat_maps(const fs::path& out, bool replace, std::vector<Input>& inputs) {
  std::set<fs::path> taken, judged;
  std::error_code ignored;
  for (const Input& input : inputs) judged.insert(fs::weakly_canonical(input.file, ignored));
  for (Input& input : inputs) {
    const fs::path stem = (out / input.name).replace_extension();
    input.heat_map = stem.string() + ".png";
    for (int i = 2; !taken.insert(input.heat_map).second; ++i)
      input.heat_map = fmt::format("{}_{}.png", stem.string(), i);
    ASSAY_CHECK_AS(
        UsageError, !judged.contains(fs::weakly_canonical(input.heat_map, ignored)),
        "--out: the heat map {} would replace a picture that is judged; choose another folder",
        input.heat_map.string());
    if (!replace) check_is_new(input.heat_map);
  }
}

const char* verdict_of(const ScoredImage& image) {
  return image.predicted_defective ? "defective" : "good";
}

void print_json(const std::vector<ScoredImage>& images, const std::vector<Input>& inputs,
                const Scoring& scoring) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (size_t i = 0; i < images.size(); ++i) {
    const ScoredImage& image = images[i];
    nlohmann::ordered_json entry = {{"path", image.path},
                                    {"score", image.score},
                                    {"threshold", scoring.threshold},
                                    {"predicted", verdict_of(image)}};
    for (size_t p = 0; p < image.parts.size(); ++p) entry[scoring.part_names[p]] = image.parts[p];
    if (!inputs[i].heat_map.empty()) entry["heat_map"] = inputs[i].heat_map.string();
    list.push_back(std::move(entry));
  }
  // A name that is not UTF-8 cannot stand in JSON: its odd bytes become U+FFFD.
  std::printf("%s\n", list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_csv(const std::vector<ScoredImage>& images, const Scoring& scoring) {
  std::vector<std::string> header = {"path", "score", "predicted"};
  header.insert(header.end(), scoring.part_names.begin(), scoring.part_names.end());
  std::printf("%s", csv_row(header).c_str());
  for (const ScoredImage& image : images) {
    std::vector<std::string> row = {image.path, csv_number(image.score), verdict_of(image)};
    for (const double part : image.parts) row.push_back(csv_number(part));
    std::printf("%s", csv_row(row).c_str());
  }
}

void print_lines(const std::vector<ScoredImage>& images) {
  for (const ScoredImage& image : images)
    std::printf("%-9s  s = %8.3f  %s\n", verdict_of(image), image.score, image.path.c_str());
}

/// Judges batch by batch and writes the heat maps that the inputs name.
std::vector<ScoredImage> judge_all(Detector& detector, const std::vector<Input>& inputs) {
  const RunConfig& config = detector.config();
  std::vector<Sample> samples;
  for (const Input& input : inputs) {
    Sample& sample = samples.emplace_back();
    sample.path = input.file.string();
    sample.file = input.file;
  }
  const int side = config.image_size;
  const ImageStore store(current_context(), samples,
                         {.height = side, .width = side, .channels = config.channels()});
  const size_t pixels = static_cast<size_t>(side) * side, values = pixels * config.channels();

  std::vector<ScoredImage> images;
  for (size_t begin = 0; begin < store.size(); begin += config.batch) {
    std::vector<size_t> batch;
    for (size_t i = begin; i < std::min(store.size(), begin + config.batch); ++i)
      batch.push_back(i);
    const Tensor x = store.batch(batch);
    const Judgement judgement = detector.judge(x);
    const std::vector<float> originals = x.to_floats();
    for (size_t n = 0; n < batch.size(); ++n) {
      ScoredImage image;
      image.path = inputs[begin + n].file.string();
      image.parts = judgement.parts[n];
      detector.scoring().judge(image);
      images.push_back(std::move(image));
      const fs::path& file = inputs[begin + n].heat_map;
      if (file.empty()) continue;
      make_folder(file.parent_path());
      write_png(file, heat_map({side,
                                side,
                                config.channels(),
                                std::span(originals).subspan(n * values, values),
                                std::span(judgement.reconstruction).subspan(n * values, values),
                                std::span(judgement.heat).subspan(n * pixels, pixels),
                                {}},
                               detector.heat_scale()));
    }
  }
  return images;
}

int predict_verb(const PredictArguments& arguments) {
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  const RunContext context(arguments.threads, config.device, config.precision);
  const auto detector = load_detector(folder);
  std::vector<Input> inputs = find_inputs(arguments.paths);
  if (!arguments.out.empty()) {
    ASSAY_CHECK_AS(UsageError, detector->draws_heat_maps(),
                   "--out: {} judges whole pictures and draws no heat maps", config.model);
    name_heat_maps(arguments.out, arguments.force, inputs);
  }
  const auto images = judge_all(*detector, inputs);
  if (arguments.json)
    print_json(images, inputs, detector->scoring());
  else if (arguments.csv)
    print_csv(images, detector->scoring());
  else
    print_lines(images);
  const bool anomaly = std::any_of(images.begin(), images.end(),
                                   [](const ScoredImage& i) { return i.predicted_defective; });
  return arguments.fail_on_anomaly && anomaly ? kExitAnomaly : 0;
}

}  // namespace

void add_predict(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("predict", "judge images with a trained model");
  auto arguments = std::make_shared<PredictArguments>();
  verb->add_option("run", arguments->run, "a run folder")->required();
  verb->add_option("paths", arguments->paths, "images, or folders of images")->required();
  verb->add_option("--out", arguments->out,
                   "write for each picture what the model sees, and a heat map over it, as one "
                   "PNG into this folder");
  verb->add_flag("--force", arguments->force, "replace pictures that are in --out already");
  CLI::Option* json = verb->add_flag("--json", arguments->json, "print JSON");
  verb->add_flag("--csv", arguments->csv, "print CSV")->excludes(json);
  verb->add_flag("--fail-on-anomaly", arguments->fail_on_anomaly,
                 "exit with 10 when an image is called defective");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return predict_verb(*arguments); }; });
}

}  // namespace assay
