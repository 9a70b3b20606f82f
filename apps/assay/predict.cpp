// assay predict RUN PATH...
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/assay/cli.h"
#include "data/image_io.h"
#include "data/loader.h"
#include "models/csv.h"
#include "models/detector.h"
#include "models/figures.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

struct PredictArguments {
  std::string run, out;
  std::vector<std::string> paths;
  bool json = false, csv = false, fail_on_anomaly = false;
  int threads = 0;
};

/// A picture to be judged, and its name below the path that the user gave.
struct Input {
  fs::path file, name;
};

std::vector<Input> find_inputs(const std::vector<std::string>& paths) {
  std::vector<Input> inputs;
  for (const fs::path path : paths) {
    ASSAY_CHECK_AS(DataError, fs::exists(path), path.string(), ": there is no such file or folder");
    if (!fs::is_directory(path)) {
      inputs.push_back({path, path.filename()});
      continue;
    }
    std::vector<Input> found;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file() && is_image_name(entry.path()))
        found.push_back({entry.path(), fs::relative(entry.path(), path)});
    ASSAY_CHECK_AS(DataError, !found.empty(), path.string(), ": holds no PNG, JPEG or BMP image");
    std::sort(found.begin(), found.end(),
              [](const Input& a, const Input& b) { return a.file < b.file; });
    inputs.insert(inputs.end(), found.begin(), found.end());
  }
  return inputs;
}

const char* verdict_of(const ScoredImage& image) {
  return image.predicted_defective ? "defective" : "good";
}

void print_json(const std::vector<ScoredImage>& images, const Scoring& scoring) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ScoredImage& image : images) {
    nlohmann::ordered_json entry = {{"path", image.path},
                                    {"score", image.score},
                                    {"threshold", scoring.threshold},
                                    {"predicted", verdict_of(image)}};
    for (size_t p = 0; p < image.parts.size(); ++p) entry[scoring.part_names[p]] = image.parts[p];
    list.push_back(std::move(entry));
  }
  std::printf("%s\n", list.dump(2).c_str());
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

/// Judges batch by batch and writes a heat map for each picture where `out` is given.
std::vector<ScoredImage> judge_all(Detector& detector, const std::vector<Input>& inputs,
                                   const fs::path& out) {
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
      if (out.empty()) continue;
      ASSAY_CHECK_AS(UsageError, !judgement.heat.empty(), "--out: ", config.model,
                     " judges whole pictures and draws no heat maps");
      fs::path file = out / inputs[begin + n].name;
      file.replace_extension(".png");
      std::error_code ignored;
      fs::create_directories(file.parent_path(), ignored);  // write_png says what is wrong
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
  const auto images = judge_all(*detector, find_inputs(arguments.paths), arguments.out);
  if (arguments.json)
    print_json(images, detector->scoring());
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
  verb->add_option("--out", arguments->out, "write heat maps into this folder");
  CLI::Option* json = verb->add_flag("--json", arguments->json, "print JSON");
  verb->add_flag("--csv", arguments->csv, "print CSV")->excludes(json);
  verb->add_flag("--fail-on-anomaly", arguments->fail_on_anomaly,
                 "exit with 10 when an image is called defective");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return predict_verb(*arguments); }; });
}

}  // namespace assay
