// assay predict RUN PATH...
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "apps/assay/cli.h"
#include "apps/assay/prediction_output.h"
#include "data/file.h"
#include "data/findings.h"
#include "data/image_io.h"
#include "data/listing.h"
#include "data/loader.h"
#include "data/stream.h"
#include "models/detectors/detector.h"
#include "models/evaluation/figures.h"
#include "models/experiments/predictor.h"
#include "models/run/data.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

struct PredictArguments {
  std::string run, out, good, data;
  std::vector<std::string> paths;
  bool json = false, json_lines = false, csv = false, null = false, fail_on_anomaly = false,
       force = false, explain = false;
  std::string precision;
  int threads = 0;

  bool reads_stdin() const { return std::find(paths.begin(), paths.end(), "-") != paths.end(); }
};

/// Calls f for the names on the standard input as they arrive; a Ctrl-C ends the wait.
void read_names(char end, const std::function<void(const std::string&)>& f) {
  std::string name;
  while (!stop_requested()) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, 100) <= 0) continue;
    char block[4096];
    const ssize_t got = read(STDIN_FILENO, block, sizeof block);
    if (got <= 0) break;
    for (const char c : std::string_view(block, static_cast<size_t>(got))) {
      if (c != end) {
        name += c;
      } else {
        if (!name.empty()) f(name);
        name.clear();
      }
    }
  }
  if (!name.empty()) f(name);
}

/// Pushes all images that the paths name, and an error for each path that names none. Runs on the
/// stream's source thread.
class Inputs {
 public:
  Inputs(const PredictArguments& arguments, ImageStream::Push push)
      : arguments_(arguments), push_(std::move(push)) {}

  void list() {
    for (const std::string& path : arguments_.paths) {
      if (path == "-")
        read_names(arguments_.null ? '\0' : '\n', [this](const std::string& name) { add(name); });
      else
        add(path);
    }
  }
  /// Files that are no images.
  const FileCounts& ignored() const { return ignored_; }

 private:
  void add(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (fs::is_directory(status))
      add_folder(path);
    else if (!fs::exists(status))
      fail(path, fmt::format("'{}': {}; name images, or folders of them", path.string(),
                             error ? error.message() : "there is no such file or folder"));
    else
      push_(
          {.file = path, .name = path.filename().string(), .image = {}, .facts = {}, .error = {}});
  }

  void add_folder(const fs::path& folder) {
    bool any = false;
    walk_files(folder, [&](ListedFile found) {
      any = any || found.kind != FileKind::other;
      switch (found.kind) {
        case FileKind::image:
          push_({.file = found.file, .name = found.name, .image = {}, .facts = {}, .error = {}});
          break;
        case FileKind::unsupported:
          fail(found.file, fmt::format("{}: {}, which is not read; convert it to PNG",
                                       found.file.string(), found.reason));
          break;
        case FileKind::failed:
          fail(found.file, fmt::format("{}: {}", found.file.string(), found.reason));
          break;
        case FileKind::mask:
        case FileKind::other:
          ignored_.add_ignored(printable(found.file.string()), found.reason);
      }
    });
    if (!any) fail(folder, fmt::format("{}: holds no {} image", folder.string(), kReadableFormats));
  }

  void fail(const fs::path& path, const std::string& error) {
    push_({.file = path, .name = {}, .image = {}, .facts = {}, .error = error});
  }

  const PredictArguments& arguments_;
  ImageStream::Push push_;
  FileCounts ignored_;
};

/// Chooses the names of heat maps below a folder: if two images have one name, as a/000.png and
/// b/000.jpg, the second gets 000_2.png.
class HeatMapNames {
 public:
  explicit HeatMapNames(const PredictArguments& arguments) : arguments_(arguments) {}

  /// UsageError if the map would replace an image that is read or, without --force, any file.
  fs::path name(const fs::path& file, const fs::path& name) {
    const fs::path stem = (fs::path(arguments_.out) / name).replace_extension();
    fs::path map = stem.string() + ".png";
    for (int i = 2; !taken_.insert(map).second; ++i)
      map = fmt::format("{}_{}.png", stem.string(), i);
    predicted_.insert(canonical(file));
    ASSAY_CHECK_AS(UsageError, !predicted_.contains(canonical(map)),
                   "--out: the heat map {} would replace an image that is read; choose another "
                   "folder",
                   map.string());
    if (!arguments_.force) check_is_new(map);
    return map;
  }
  /// Checks all names before any map is written; not possible for names from the standard input.
  void check_all() const {
    HeatMapNames trial(arguments_);
    std::vector<StreamedImage> images;
    Inputs(arguments_, [&](StreamedImage image) { images.push_back(std::move(image)); }).list();
    for (const StreamedImage& image : images) trial.predicted_.insert(canonical(image.file));
    for (const StreamedImage& image : images)
      if (image.error.empty()) trial.name(image.file, image.name);
  }

 private:
  static fs::path canonical(const fs::path& path) {
    std::error_code ignored;
    return fs::weakly_canonical(path, ignored);
  }

  const PredictArguments& arguments_;
  std::set<fs::path> taken_, predicted_;
};

/// Predicts images in batches as they arrive.
class PredictionRun {
 public:
  PredictionRun(const Predictor& predictor, const PredictArguments& arguments,
                PredictionOutput& output)
      : predictor_(predictor),
        detector_(predictor.detector()),
        arguments_(arguments),
        output_(output),
        names_(arguments),
        findings_(detector_.training_size(), bit_depth_of(detector_.config())) {}

  void run() {
    if (!arguments_.out.empty() && !arguments_.reads_stdin()) names_.check_all();
    const RunConfig& config = detector_.config();
    const int threads = threads_of(current_context()).threads();
    std::unique_ptr<Inputs> inputs;
    ImageStream stream(
        [&](const ImageStream::Push& push) {
          inputs = std::make_unique<Inputs>(arguments_, push);
          inputs->list();
        },
        {.height = config.image_size,
         .width = config.image_size,
         .channels = config.channels(),
         .bit_depth = bit_depth_of(config),
         .threads = threads,
         .ahead = std::max(2 * config.batch, 2 * threads),
         .stop_requested = stop_requested});
    while (!stop_requested() && std::ferror(stdout) == 0) {
      std::vector<StreamedImage> batch;
      StreamedImage unread;
      // Predicts the images that are decoded, without waiting for a full batch.
      while (unread.error.empty() && static_cast<int>(batch.size()) < config.batch) {
        StreamedImage image;
        if (!stream.take(image, batch.empty())) break;
        if (image.error.empty())
          batch.push_back(std::move(image));
        else
          unread = std::move(image);  // reported after the images before it
      }
      if (batch.empty() && unread.error.empty()) break;
      if (!batch.empty()) predict(batch);
      if (!unread.error.empty()) fail(unread);
    }
    output_.end();
    std::fflush(stdout);
    if (inputs) counts_ = inputs->ignored();
  }

  bool anomaly() const { return defective_ > 0; }
  int64_t failures() const { return failures_; }
  int64_t predicted() const { return predicted_; }
  /// Throws DataError if the only input cannot be read.
  void end() {
    if (!held_failure_.empty() && predicted_ == 0) throw DataError(held_failure_);
    say_held_failure();
  }
  std::vector<std::string> notes() const { return findings_.notes(); }
  std::string summary() {
    counts_.add_images(predicted_);
    std::string text = fmt::format("{}; {} called defective", counts_.sentence(), defective_);
    if (failures_ > 0) text += fmt::format("; {} cannot be read, named above", failures_);
    return text;
  }

 private:
  void say_held_failure() {
    if (!held_failure_.empty()) fmt::print(stderr, "assay: error: {}\n", printable(held_failure_));
    held_failure_.clear();
  }

  void fail(const StreamedImage& image) {
    ++failures_;
    say_held_failure();
    held_failure_ = image.error;
    if (failures_ > 1 || predicted_ > 0) say_held_failure();
    output_.failure(image.file.string(), image.error);
    std::fflush(stdout);
  }

  void predict(const std::vector<StreamedImage>& batch) {
    std::vector<const Image*> images;
    images.reserve(batch.size());
    for (const StreamedImage& image : batch) images.push_back(&image.image);
    std::vector<ImagePrediction> predictions = predictor_.predict_at_size(images);
    for (size_t n = 0; n < batch.size(); ++n) {
      fs::path map;
      if (!arguments_.out.empty()) {
        map = names_.name(batch[n].file, batch[n].name);
        make_folder(map.parent_path());
        write_png(map, predictor_.heat_map(view_of(*images[n]), predictions[n]));
        if (arguments_.explain) write_explanation(map, *images[n]);
      }
      findings_.add(printable(batch[n].file.string()), batch[n].facts);
      ++predicted_;
      defective_ += predictions[n].defective;
      ScoredImage scored;
      scored.path = batch[n].file.string();
      scored.components = std::move(predictions[n].components);
      scored.score = predictions[n].score;
      scored.predicted_defective = predictions[n].defective;
      output_.image(scored, map);
    }
    say_held_failure();
    std::fflush(stdout);
  }

  /// Writes NAME_why.png beside the heat map NAME.png.
  void write_explanation(const fs::path& map, const Image& here) {
    const Explanation why = detector_.explain(unit_pixels(here)).value();
    const Image there = training_image(why.nearest_image);
    fs::path file = map;
    file.replace_filename(map.stem().string() + "_why.png");
    if (!arguments_.force) check_is_new(file);
    write_png(file, explanation_panel(here, why.patch, there, why.nearest));
  }

  /// A training image at the size of the model. DataError if it does not exist any more.
  Image training_image(const std::string& path) {
    RunConfig config = detector_.config();
    if (!arguments_.good.empty()) config.good = arguments_.good;
    if (!arguments_.data.empty()) config.data = arguments_.data;
    config.bad = config.masks = "";                                // nothing is compared with these
    if (training_.empty()) training_ = pooled(open_data(config));  // a split may name any of them
    const auto found = std::find_if(training_.begin(), training_.end(),
                                    [&](const Sample& sample) { return sample.path == path; });
    ASSAY_CHECK_AS(DataError, found != training_.end(),
                   "--explain: the training image {} is not in {} any more", path,
                   data_name(config));
    const ImageStore store(current_context(), {*found},
                           {.height = config.image_size,
                            .width = config.image_size,
                            .channels = config.channels(),
                            .bit_depth = bit_depth_of(config)});
    return store.image(0);
  }

  std::vector<Sample> training_;  // listed when --explain first needs one
  const Predictor& predictor_;
  const Detector& detector_;
  const PredictArguments& arguments_;
  PredictionOutput& output_;
  HeatMapNames names_;
  FileCounts counts_;
  std::string held_failure_;  // held back: if it stays the only input, end() throws it
  SeriesFindings findings_;
  int64_t predicted_ = 0, defective_ = 0, failures_ = 0;
};

OutputForm form_of(const PredictArguments& arguments) {
  return arguments.json         ? OutputForm::json
         : arguments.json_lines ? OutputForm::json_lines
         : arguments.csv        ? OutputForm::csv
                                : OutputForm::text;
}

/// Whether to print the summary: not if all paths name single images.
bool prints_summary(const PredictArguments& arguments) {
  std::error_code ignored;
  return std::any_of(arguments.paths.begin(), arguments.paths.end(), [&](const fs::path& path) {
    return path == "-" || fs::is_directory(path, ignored);
  });
}

using GivenThreshold = std::function<std::optional<ThresholdRule>(const RunConfig&)>;

int predict_verb(const PredictArguments& arguments, const GivenThreshold& given_threshold) {
  Predictor predictor(arguments.run, {.threads = checked_threads(arguments.threads),
                                      .precision = arguments.precision});
  const ContextScope scope(predictor.context());
  const Detector& detector = predictor.detector();
  const RunConfig& config = detector.config();
  ASSAY_CHECK_AS(UsageError, arguments.out.empty() || detector.draws_heat_maps(),
                 "--out: {} scores whole images and draws no heat maps", config.model);
  ASSAY_CHECK_AS(UsageError, !arguments.explain || !arguments.out.empty(),
                 "--explain: writes images, so it needs --out");
  ASSAY_CHECK_AS(UsageError, !arguments.explain || detector.explains(),
                 "--explain: {} does not compare patches of images", config.model);
  ASSAY_CHECK_AS(UsageError,
                 arguments.explain || (arguments.good.empty() && arguments.data.empty()),
                 "--good and --data: only --explain reads the training's images");
  ASSAY_CHECK_AS(UsageError, config.good.empty() ? arguments.good.empty() : arguments.data.empty(),
                 "{}: learnt from {}; give that one's place", arguments.run,
                 config.good.empty() ? "--data" : "--good");
  if (const auto rule = given_threshold(config)) predictor.set_threshold(*rule);
  stop_on_interrupt();
  const Scoring& scoring = detector.scoring();
  const auto output = make_output(form_of(arguments), scoring);
  PredictionRun run(predictor, arguments, *output);
  run.run();
  run.end();
  for (const std::string& note : run.notes()) fmt::print(stderr, "assay: note: {}\n", note);
  if (prints_summary(arguments)) {
    fmt::print(stderr, "assay: {}\n", run.summary());
    fmt::print(stderr, "assay: threshold {:.3f}: {}\n", scoring.threshold,
               scoring.threshold_text());
  }
  ASSAY_CHECK(!stop_requested(),
              "interrupted after {} images; the results printed so far are valid", run.predicted());
  // An image that was not read may be defective.
  if (run.failures() > 0) return kExitUnread;
  return arguments.fail_on_anomaly && run.anomaly() ? kExitAnomaly : 0;
}

}  // namespace

void add_predict(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand(
      "predict", "score images with a trained model and say which are defective");
  auto arguments = std::make_shared<PredictArguments>();
  verb->add_option("run", arguments->run, "a run folder")->required();
  verb->add_option("paths", arguments->paths,
                   "images, or folders of images; - reads their names from the standard input, one "
                   "a line; -- goes before a name that begins with a dash")
      ->required();
  verb->add_option("--out", arguments->out,
                   "write for each image what the model sees, and a heat map over it, as one PNG "
                   "into this folder");
  verb->add_flag(
      "--explain", arguments->explain,
      "and, as NAME_why.png, the patch with the highest score beside the most similar good patch");
  verb->add_option("--good", arguments->good, "where the run's --good is now, for --explain");
  verb->add_option("--data", arguments->data, "where the run's --data is now, for --explain");
  verb->add_flag("--force", arguments->force, "replace files that are in --out already");
  CLI::Option* json = verb->add_flag("--json", arguments->json, "print one JSON array");
  CLI::Option* lines =
      verb->add_flag("--jsonl", arguments->json_lines, "print a JSON object a line")
          ->excludes(json);
  verb->add_flag("--csv", arguments->csv, "print CSV")->excludes(json)->excludes(lines);
  verb->add_flag("--null", arguments->null, "names on the standard input end with a zero byte");
  verb->add_flag("--fail-on-anomaly", arguments->fail_on_anomaly,
                 "exit with 10 when an image is called defective");
  add_precision_option(*verb, arguments->precision);
  add_threads_option(*verb, arguments->threads);
  const auto given_threshold = add_threshold_options(*verb);
  verb->footer(
      "Results come as they are made. A file that cannot be read is named, the others are "
      "predicted,\n"
      "and the exit code is 3. In JSON and CSV a path that is not UTF-8 is written as file: and "
      "its\n"
      "bytes, those that a URI may not hold as %NN.");
  verb->callback([=, &run] { run = [=] { return predict_verb(*arguments, given_threshold); }; });
}

}  // namespace assay
