// Untrained networks, noise sweeps, latent sizes and variants of a suite, through the program.
#include <map>
#include <set>
#include <sstream>

#include "tests/apps/program.h"

namespace assay::testing {
namespace {

using Json = nlohmann::json;

std::vector<std::string> words_of(const std::string& model, const fs::path& data,
                                  const fs::path& out, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {
      "train",        model, "--data",    data.string(), "--class", "tile", "--out",   out.string(),
      "--image-size", "32",  "--threads", "1",           "--seed",  "3",    "--batch", "4"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Rows of noise_sweep.csv by variance and share.
std::map<std::pair<double, double>, std::vector<double>> sweep_of(const fs::path& run) {
  std::map<std::pair<double, double>, std::vector<double>> points;
  std::istringstream text(read_text(run / "noise_sweep.csv"));
  std::string line;
  std::getline(text, line);
  while (std::getline(text, line)) {
    std::istringstream fields(line);
    std::vector<double> row;
    for (std::string field; std::getline(fields, field, ',');) row.push_back(std::stod(field));
    points[{row[0], row[1]}] = {row.begin() + 2, row.end()};
  }
  return points;
}

}  // namespace

TEST_CASE("an untrained network keeps its initial weights, and says so in config.json") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile", 6);
  for (const char* model : {"kd-cae", "ni-cae", "cnn"}) {
    CAPTURE(model);
    const fs::path run = folder / model, one = folder / (std::string(model) + "-one");
    const std::vector<std::string> folds = model == std::string("cnn")
                                               ? std::vector<std::string>{"--folds", "2"}
                                               : std::vector<std::string>{};
    std::vector<std::string> untrained = folds, one_step = folds;
    untrained.push_back("--untrained");
    // A step of so small a rate that no weight moves by a bit.
    one_step.insert(one_step.end(), {"--steps", "1", "--epochs", "1", "--lr", "1e-30"});
    require_success(run_assay(words_of(model, folder / "data", run, untrained)));
    require_success(run_assay(words_of(model, folder / "data", one, one_step)));
    CHECK(read_json(run / "config.json")["untrained"] == true);
    CHECK(read_json(one / "config.json")["untrained"] == false);
    CHECK(read_text(run / "scores.csv") == read_text(one / "scores.csv"));
    CHECK(!fs::exists(run / "history.csv"));
    const Json metrics = read_json(run / "metrics.json");
    CHECK(metrics["steps"] == 0);
    CHECK(metrics["collapsed"] == false);
    const std::string scores = read_text(run / "scores.csv");
    require_success(run_assay({"evaluate", run.string()}));
    CHECK(read_text(run / "scores.csv") == scores);
    CHECK(read_json(run / "metrics.json") == metrics);
  }
  const Outcome refused =
      run_assay(words_of("dcgan", folder / "data", folder / "gan", {"--untrained"}));
  check_refused(refused, kUsage, "--untrained: is an option of cnn, kd-cae, ni-cae");
}

TEST_CASE("a noise sweep meets the evaluations whose noise it covers") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile", 12);
  const auto train = [&](const char* name, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"--untrained"};
    words.insert(words.end(), more.begin(), more.end());
    require_success(run_assay(words_of("kd-cae", folder / "data", folder / name, words)));
    return read_json(folder / name / "metrics.json");
  };
  const Json clean = train("clean", {});
  const Json tenth = train("tenth", {"--test-noise", "noisy"});
  const Json all =
      train("all", {"--test-noise", "noisy", "--noise-share", "1", "--noise-variance", "0.02"});
  const Outcome outcome = run_assay({"evaluate", (folder / "clean").string(), "--noise-sweep"});
  require_success(outcome);
  CHECK(contains(outcome.out, "noise sweep: image AUROC and F1 by share of noisy test images"));
  const auto points = sweep_of(folder / "clean");
  CHECK(points.size() == 7 * 6);
  const double auroc = clean["image_auroc"], auroc_tenth = tenth["image_auroc"],
               auroc_all = all["image_auroc"];
  for (const auto& [at, row] : points) {
    if (at.first == 0 || at.second == 0) CHECK(row[0] == doctest::Approx(auroc));
    CHECK(row[1] <= row[0] + 1e-12);
    CHECK(row[0] <= row[2] + 1e-12);
  }
  CHECK(points.at({0.02, 1})[0] == doctest::Approx(auroc_all));
  CHECK(points.at({0.02, 1})[3] == doctest::Approx(all["f1"].get<double>()));
  // The draw of equation 7 is one of those that the range covers.
  CHECK(points.at({0.001, 0.1})[1] <= auroc_tenth);
  CHECK(points.at({0.001, 0.1})[2] >= auroc_tenth);
  // Another evaluation ends what the sweep was of.
  require_success(run_assay({"evaluate", (folder / "clean").string()}));
  CHECK(!fs::exists(folder / "clean/noise_sweep.csv"));
}

TEST_CASE("a sweep needs one network for all test images, and images of both kinds") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile", 6);
  require_success(
      run_assay(words_of("cnn", folder / "data", folder / "cnn", {"--untrained", "--folds", "2"})));
  const Outcome outcome = run_assay({"evaluate", (folder / "cnn").string(), "--noise-sweep"});
  CHECK(outcome.code == kUsage);
  CHECK(contains(outcome.error, "--noise-sweep: cnn is cross-validated"));
  check_refused(run_assay(words_of("kd-cae", folder / "data", folder / "x",
                                   {"--train-noise", "noisy", "--noise-share", "1.5"})),
                kUsage, "--noise-share: 1.5 is not from 0 to 1");
}

TEST_CASE("KD-CAE has latents of other sizes, of whole channels") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const char* latent) {
    return run_assay(words_of("kd-cae", folder / "data", folder / latent,
                              {"--latent", latent, "--steps", "2", "--epochs", "1"}));
  };
  require_success(train("16"));  // 4 channels of 2 x 2 places
  require_success(run_assay({"evaluate", (folder / "16").string()}));
  CHECK(read_json(folder / "16/config.json")["latent"] == 16);
  check_refused(train("18"), kUsage, "--latent: 18 is no multiple of 4");
}

TEST_CASE("baselines are trained, evaluated, used and explained like the rest") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  for (const char* model : {"mean", "pca", "nearest"}) {
    CAPTURE(model);
    const fs::path run = folder / model;
    require_success(run_assay(words_of(model, folder / "data", run)));
    const std::string scores = read_text(run / "scores.csv");
    CHECK(read_json(run / "metrics.json")["image_auroc"] == 1.0);  // a bright square is no riddle
    require_success(run_assay({"evaluate", run.string(), "--noise-sweep"}));
    CHECK(read_text(run / "scores.csv") == scores);
    const Outcome predicted =
        run_assay({"predict", run.string(), (folder / "data/tile/test").string(), "--json", "--out",
                   (folder / "heat" / model).string()});
    require_success(predicted);
    CHECK(Json::parse(predicted.out).size() == 4);
  }
  CHECK(run_assay({"predict", (folder / "nearest").string(),
                   (folder / "data/tile/test/square").string(), "--explain", "--out",
                   (folder / "why").string()})
            .code == 0);
}

TEST_CASE("a suite runs variants where they are asked for, and sweeps the noise") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto suite = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"suite",
                                      "--data",
                                      (folder / "data").string(),
                                      "--out",
                                      (folder / "out").string(),
                                      "--image-size",
                                      "64",  // the smallest that LPD takes
                                      "--steps",
                                      "2",
                                      "--threads",
                                      "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  const std::string everything = suite({"--list"}).out;
  for (const char* part : {"train mean", "train pca", "train nearest", "train kd-cae",
                           "--untrained", "--score mse", "train lpd"})
    CHECK_MESSAGE(contains(everything, part), part);
  CHECK(!contains(suite({"--list", "--models", "kd-cae"}).out, "--untrained"));
  CHECK(!contains(suite({"--list", "--variants", "none"}).out, "--untrained"));
  CHECK(contains(
      suite({"--list", "--profile", "paper", "--models", "kd-cae", "--variants", "latent-512"}).out,
      "--latent 512"));
  check_refused(suite({"--list", "--variants", "trained"}), kUsage,
                "--variants: 'trained' is none of");
  require_success(suite({"--models", "kd-cae,pca", "--variants", "untrained"}));
  const Json results = read_json(folder / "out/results.json");
  std::set<std::string> models;
  for (const Json& group : results["seeds"]) models.insert(group["model"]);
  CHECK(models == std::set<std::string>{"kd-cae", "kd-cae, untrained", "pca"});
  CHECK(fs::exists(folder / "out/kd-cae-tile-seed1/noise_sweep.csv"));
  CHECK(!fs::exists(folder / "out/kd-cae-tile-seed1-untrained/noise_sweep.csv"));
  const std::string page = read_text(folder / "out/report/index.html");
  CHECK(contains(page, "What did training buy?"));
  CHECK(contains(page, "Noise on the test images alone"));
  // Noise of another variance in training runs where it is named, and has a chart then.
  CHECK(!contains(suite({"--list", "--profile", "paper"}).out, "--noise-variance 0.005"));
  CHECK(!contains(page, "Noise on the training images alone"));
  require_success(suite({"--profile", "paper", "--models", "kd-cae", "--seeds", "1", "--variants",
                         "train-noise-0.005-0.1,train-noise-0.005-1"}));
  const std::string with_noise = read_text(folder / "out/report/index.html");
  CHECK(contains(with_noise, "Noise on the training images alone"));
  CHECK(contains(with_noise, "KD-CAE, 10\u00a0% of the images"));
  CHECK(contains(with_noise, "KD-CAE, 100\u00a0% of the images"));
  // A sweep that is missing is made up for.
  fs::remove(folder / "out/kd-cae-tile-seed1/noise_sweep.csv");
  require_success(suite({"--models", "kd-cae,pca", "--variants", "untrained"}));
  CHECK(fs::exists(folder / "out/kd-cae-tile-seed1/noise_sweep.csv"));
}

}  // namespace assay::testing
