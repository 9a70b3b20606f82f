// Whole runs of the models besides KD-CAE, through the program, on a few small images.
#include <fmt/core.h>

#include <set>
#include <sstream>

#include "models/run/csv.h"
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

using Json = nlohmann::json;

/// 12 + 4 good and 7 defective images: more than write_small_class has, for three folds.
void write_class_for_folds(const fs::path& root) {
  write_small_class(root);
  for (int i = 0; i < 5; ++i) {
    Image image = small_image(50 + i, 20, 20);
    for (int x = 0; x < 20; ++x)
      for (int c = 0; c < 3; ++c) image.at(7 + i, x)[c] = 255;
    put(root / "tile/test/line" / fmt::format("{}.png", i), image);
  }
  for (int i = 0; i < 2; ++i)
    put(root / "tile/test/good" / fmt::format("{}.png", i), small_image(70 + i, 20, 20));
}

std::vector<std::string> training(const std::string& model, const fs::path& data,
                                  const fs::path& out, const std::vector<std::string>& more) {
  std::vector<std::string> words = {
      "train",    model,        "--data",  data.string(), "--class",      "tile",
      "--out",    out.string(), "--batch", "4",           "--image-size", "32",
      "--epochs", "3",          "--seed",  "5",           "--threads",    "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<std::vector<std::string>> score_rows(const fs::path& file) {
  return read_csv(file).rows;
}

}  // namespace

TEST_CASE("CNN: no image is in two folds, and none is scored by a network that knew it") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  const fs::path run = folder / "run";
  require_success(
      run_assay(training("cnn", folder / "data", run,
                         {"--folds", "3", "--class-weights", "--flips", "--shifts", "2"})));
  const Json folds = read_json(run / "split.json")["folds"];
  REQUIRE(folds.size() == 3);
  std::set<std::string> tested;
  for (const Json& fold : folds) {
    std::set<std::string> in_fold;
    size_t listed = 0;
    for (const char* part : {"train", "validation", "test"})
      for (const std::string path : fold[part]) {
        in_fold.insert(path);
        ++listed;
      }
    CHECK(in_fold.size() == listed);  // no image is trained on and held out
    CHECK(listed == 23);
    for (const std::string path : fold["test"]) CHECK(tested.insert(path).second);
  }
  CHECK(tested.size() == 23);

  // Each pooled image once, by the fold that tests it.
  const auto rows = score_rows(run / "scores.csv");
  REQUIRE(rows.size() == 23);
  for (const auto& row : rows) {
    CHECK(tested.erase(row[0]) == 1);
    const Json& own = folds[row.back().back() - '0']["test"];
    CHECK(std::find(own.begin(), own.end(), row[0]) != own.end());
    CHECK(row[4] == (std::stod(row[3]) > 0.5 ? "defective" : "good"));
  }
  const Json metrics = read_json(run / "metrics.json");
  CHECK(metrics["threshold"] == 0.5);
  CHECK(metrics["folds"].size() == 3);
  CHECK(metrics["folds_summary"]["f1"].contains("deviation"));
  CHECK(metrics.contains("f1_val_threshold"));
  CHECK(metrics["tp"].get<int>() + metrics["fn"].get<int>() == 7);

  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_json(run / "metrics.json") == metrics);
}

TEST_CASE("CNN: predict is the mean of the folds' probabilities") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  const fs::path run = folder / "run";
  require_success(run_assay(training("cnn", folder / "data", run, {"--folds", "3"})));
  const Outcome predicted =
      run_assay({"predict", run.string(), (folder / "data/tile/test").string(), "--json"});
  require_success(predicted);
  const Json images = Json::parse(predicted.out);
  REQUIRE(images.size() == 11);
  const auto rows = score_rows(run / "scores.csv");
  for (const Json& image : images) {
    double sum = 0;
    for (const char* fold : {"fold0", "fold1", "fold2"}) sum += image[fold].get<double>();
    CHECK(image["score"].get<double>() == doctest::Approx(sum / 3).epsilon(1e-12));
    // The part of the fold that tested the image is its score in scores.csv.
    const std::string name = fs::relative(image["path"].get<std::string>(), folder / "data/tile");
    for (const auto& row : rows)
      if (row[0] == name)
        CHECK(image[row.back()].get<double>() == doctest::Approx(std::stod(row[3])).epsilon(1e-5));
  }
  const Outcome maps = run_assay({"predict", run.string(), (folder / "data/tile/test").string(),
                                  "--out", (folder / "maps").string()});
  CHECK(maps.code == 2);
  CHECK(contains(maps.error, "heat maps"));
}

TEST_CASE("CNN: each fold begins with weights of its own") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  const fs::path run = folder / "run";
  // A step that changes no weight, so that the networks keep their initial values.
  require_success(run_assay(
      training("cnn", folder / "data", run, {"--folds", "3", "--steps", "1", "--lr", "1e-12"})));
  const Outcome predicted = require_success(
      run_assay({"predict", run.string(), (folder / "data/tile/test").string(), "--json"}));
  for (const Json& image : Json::parse(predicted.out)) {
    const double p[] = {image["fold0"], image["fold1"], image["fold2"]};
    for (int i = 0; i < 3; ++i) CHECK(std::abs(p[i] - p[(i + 1) % 3]) > 1e-4);
  }
}

TEST_CASE("CNN: a run broken off in a later fold goes on to the same bits") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  const std::vector<std::string> options = {"--folds", "3",        "--min-steps",
                                            "1000",    "--epochs", "12"};
  const auto train = [&](const char* out, std::vector<std::string> more) {
    auto words = training("cnn", folder / "data", folder / out, {});
    words.erase(std::find(words.begin(), words.end(), "--epochs"),
                std::find(words.begin(), words.end(), "--epochs") + 2);
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  require_success(run_assay(train("whole", {})));
  Running running(train("broken", {}));
  REQUIRE(running.wait_for(folder / "broken/fold1/checkpoint.safetensors"));
  running.signal(SIGKILL);
  running.wait();
  REQUIRE(!fs::exists(folder / "broken/metrics.json"));
  require_success(run_assay(train("broken", {"--resume"})));
  for (const char* file : {"scores.csv", "split.json", "fold0/model.safetensors",
                           "fold1/model.safetensors", "fold2/model.safetensors"})
    CHECK_MESSAGE(read_text(folder / "whole" / file) == read_text(folder / "broken" / file), file);
}

TEST_CASE("NI-CAE: the four noise conditions, the images that have noise, and both scores") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  for (int i = 0; i < 10; ++i)  // 22 good images: 14 to train, so one of them has noise
    put(folder / "data/tile/train/good" / fmt::format("more{}.png", i),
        small_image(200 + i, 20, 20));
  std::set<std::string> models;
  for (const char* train_noise : {"clean", "noisy"})
    for (const char* test_noise : {"clean", "noisy"}) {
      CAPTURE(train_noise);
      CAPTURE(test_noise);
      const fs::path run = folder / (std::string(train_noise) + test_noise);
      require_success(
          run_assay(training("ni-cae", folder / "data", run,
                             {"--train-noise", train_noise, "--test-noise", test_noise})));
      const Json metrics = read_json(run / "metrics.json");
      CHECK(metrics["conditions"]["train"] == train_noise);
      CHECK(metrics["conditions"]["test"] == test_noise);
      CHECK(metrics.contains("auroc_mse"));
      CHECK(metrics["auroc_ssim"] == metrics["image_auroc"]);  // s grows with the part
      CHECK(metrics["heat_scale"] <= 2);                       // 1 - SSIM is at most 2
      const auto noisy = [&](const char* set) {
        if (!fs::exists(run / "noise.json")) return size_t{0};
        const Json json = read_json(run / "noise.json");
        return json.contains(set) ? json[set].size() : 0;
      };
      CHECK(noisy("train") == (std::string(train_noise) == "noisy" ? 1 : 0));
      CHECK(noisy("test") == (std::string(test_noise) == "noisy" ? 1 : 0));
      models.insert(read_text(run / "model.safetensors"));
    }
  CHECK(models.size() == 2);  // what is tested changes no weight

  const fs::path run = folder / "cleanclean";
  const std::string clean = read_text(run / "scores.csv");
  require_success(run_assay({"evaluate", run.string(), "--test-noise", "noisy"}));
  CHECK(read_text(run / "scores.csv") == read_text(folder / "cleannoisy/scores.csv"));
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "scores.csv") == clean);

  const fs::path squared = folder / "mse";
  require_success(run_assay(training("ni-cae", folder / "data", squared,
                                     {"--score", "mse", "--train-noise", "noisy", "--denoise"})));
  const Json metrics = read_json(squared / "metrics.json");
  CHECK(metrics["auroc_mse"] == metrics["image_auroc"]);
  CHECK(metrics["calibration"].contains("mse"));
}

TEST_CASE("options of another model are refused, and describe and profile know every model") {
  const TemporaryFolder folder;
  write_class_for_folds(folder / "data");
  const auto refused = [&](const char* model, const std::vector<std::string>& options) {
    const Outcome outcome = run_assay(training(model, folder / "data", folder / "run", options));
    CAPTURE(outcome.error);
    CHECK(outcome.code == 2);
    CHECK(contains(outcome.error, options.front()));
  };
  refused("cnn", {"--train-noise", "noisy"});
  refused("cnn", {"--kde-bandwidth", "0.2"});
  refused("ni-cae", {"--class-weights"});
  refused("kd-cae", {"--folds", "4"});
  refused("kd-cae", {"--score", "mse"});
  CHECK(contains(run_assay({"describe", "cnn"}).out, "305665 parameters"));
  CHECK(contains(run_assay({"describe", "ni-cae"}).out, "433545 parameters"));
  CHECK(contains(run_assay({"describe", "kd-cae"}).out, "333955 parameters"));
  CHECK(contains(run_assay({"describe", "dcgan"}).out, "6342272 parameters"));
  for (const char* model : {"cnn", "kd-cae", "ni-cae"}) {
    const Outcome profile =
        run_assay({"profile", model, "--image-size", "32", "--batch", "2", "--repeat", "1"});
    require_success(profile);
    CHECK(contains(profile.out, "roofline"));
    CHECK(contains(profile.out, "conv2d backward"));
  }
}

TEST_CASE("describe and profile name the algorithm of each layer") {
  const Outcome described = run_assay({"describe", "kd-cae", "--algorithms", "--batch", "2"});
  require_success(described);
  CHECK(contains(described.out,
                 "decoder.3: upsample 4, conv 3x3/1/1, ReLU\n"
                 "  fprop  fused                kernels/conv2d/cpu/fused.cpp\n"));
  CHECK(contains(described.out, "not winograd: an upsampling by more than 2"));
  const Outcome named = run_assay({"describe", "kd-cae", "--algorithms", "--algorithm", "blocked"});
  CHECK(contains(named.out, "blocked"));
  CHECK(!contains(named.out, "winograd_narrow"));
  const Outcome unknown =
      run_assay({"describe", "kd-cae", "--algorithms", "--algorithm", "fastest"});
  CHECK(unknown.code == 2);
  CHECK(contains(unknown.error, "'fastest' is none of those on cpu: automatic, "));
  const Outcome profile = run_assay({"profile", "kd-cae", "--image-size", "32", "--batch", "2",
                                     "--repeat", "1", "--algorithm", "winograd"});
  require_success(profile);
  CHECK(contains(profile.out, "winograd, winograd"));  // dgrad and wgrad
  CHECK(contains(profile.out, "  fused\n"));           // where winograd does not cover a layer
  CHECK(run_assay({"profile", "kd-cae", "--algorithm", "tiled"}).code == 2);
}

TEST_CASE("profile gives every operation of a DCGAN's step the work of its own layer") {
  const Outcome profile = run_assay({"profile", "dcgan", "--batch", "1", "--repeat", "1"});
  require_success(profile);
  // This layer of the discriminator: 2 * 16^2 * 128 * 4^2 * 64 operations.
  const std::string layer = "(1, 16, 16, 128)";
  const double forward = 2.0 * 16 * 16 * 128 * 16 * 64 * 1e-6;
  std::vector<double> forwards, backwards;  // MFLOP
  std::istringstream text(profile.out);
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("conv2d", 0) != 0 || !contains(line, layer)) continue;
    std::istringstream numbers(line.substr(line.find(layer) + layer.size()));
    double ms = 0, gflops = 0;
    std::string share;
    numbers >> ms >> share >> gflops;
    (contains(line, "backward") ? backwards : forwards).push_back(ms * gflops);
  }
  // Of real and of generated images in the discriminator's step, and in the generator's.
  REQUIRE(forwards.size() == 3);
  REQUIRE(backwards.size() == 3);
  for (const double f : forwards) CHECK(f == doctest::Approx(forward).epsilon(0.05));
  CHECK(backwards[0] == doctest::Approx(2 * forward).epsilon(0.05));
  CHECK(backwards[1] == doctest::Approx(2 * forward).epsilon(0.05));
  CHECK(backwards[2] == doctest::Approx(forward).epsilon(0.05));  // no gradient of its weights
}

}  // namespace assay::testing
