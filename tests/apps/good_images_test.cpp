// Trained from good images alone: --good without --bad, and MVTec's layout without test/.
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

std::vector<std::string> good_training(const std::string& model, const fs::path& good,
                                       const fs::path& out,
                                       const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"train", model, "--good", good.string(), "--out", out.string()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// No number that needs a defect, and the reason beside.
void check_good_only(const Outcome& trained, const fs::path& run) {
  CHECK(contains(trained.out, "image AUROC  n/a: the test set has no defective image"));
  CHECK(contains(trained.out, "pixel AUROC  n/a: the test set has no defective image"));
  const nlohmann::json metrics = read_json(run / "metrics.json");
  for (const char* key : {"image_auroc", "image_ap", "recall", "f1_max", "pixel_auroc", "aupro"})
    CHECK_MESSAGE(metrics[key].is_null(), key);
  CHECK(metrics["absent"]["image_metrics"] == "the test set has no defective image");
  CHECK(metrics["absent"]["pixel_metrics"] == "the test set has no defective image");
  CHECK(metrics["tp"] == 0);
  CHECK(metrics["fp"].get<int>() + metrics["tn"].get<int>() > 0);  // good images are tested
  CHECK(metrics["threshold"].is_number());
}

}  // namespace

TEST_CASE("--good alone trains, calibrates, tests on good images and predicts") {
  const TemporaryFolder folder;
  for (int i = 0; i < 15; ++i)
    put(folder / "fine" / fmt::format("{}.png", 100 + i), small_image(i, 20, 20));
  put(folder / "odd/a.png", small_image(90, 20, 20));
  for (const std::string model : {"kd-cae", "ni-cae", "lpd"}) {
    CAPTURE(model);
    const fs::path run = folder / model;
    const Outcome trained = require_success(run_assay(
        model == "lpd"
            ? good_training(model, folder / "fine", run,
                            {"--image-size", "64", "--filter-count", "4"})
            : good_training(model, folder / "fine", run, {"--image-size", "32", "--epochs", "1"})));
    check_good_only(trained, run);
    CHECK(contains(trained.error, "files: 15 images read, no file ignored"));
    const Outcome predicted =
        require_success(run_assay({"predict", run.string(), (folder / "odd").string()}));
    CHECK(contains(predicted.out, "a.png"));
    require_success(run_assay({"report", run.string()}));
    CHECK(contains(read_text(run / "report/index.html"), "no defective image"));
    // Defects that turn up later are evaluated without training.
    require_success(run_assay({"evaluate", run.string(), "--bad", (folder / "odd").string()}));
    CHECK(read_json(run / "metrics.json")["image_auroc"].is_number());
    CHECK(!read_json(run / "metrics.json")["absent"].contains("image_metrics"));
  }
  const fs::path run = folder / "kd-cae";
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_json(run / "metrics.json")["image_auroc"].is_null());

  check_refused(run_assay(good_training("cnn", folder / "fine", folder / "cnn")), kUsage,
                "cnn: learns from images of defects too, and there are none; give --bad");
  CHECK(!fs::exists(folder / "cnn"));
  check_refused(run_assay({"train", "kd-cae", "--bad", (folder / "odd").string(), "--out",
                           (folder / "x").string()}),
                kUsage, "--bad: needs --good");
  const Outcome gan = require_success(
      run_assay(good_training("dcgan", folder / "fine", folder / "gan",
                              {"--image-size", "32", "--steps", "2", "--batch", "2"})));
  CHECK(contains(gan.error, "files: 15 images read"));
}

TEST_CASE("a class in MVTec's layout without test/ holds good images out") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  fs::remove_all(folder / "data/tile/test");
  for (int i = 20; i < 23; ++i)
    put(folder / "data/tile/train/good" / fmt::format("{}.png", i), small_image(i, 20, 20));
  const fs::path run = folder / "run";
  const Outcome trained =
      require_success(run_assay(small_training(folder / "data", run, {"--epochs", "1"})));
  check_good_only(trained, run);
  CHECK(contains(trained.error, "tile has no test/: 3 of its good images are held out"));
  // What is tested is not learnt from, and evaluating again says the same.
  const nlohmann::json split = read_json(run / "split.json");
  const std::string scores = read_text(run / "scores.csv");
  CHECK(std::count(scores.begin(), scores.end(), '\n') == 1 + 3);
  for (const char* part : {"train", "validation"})
    for (const std::string path : split[part]) CHECK(!contains(scores, path));
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "scores.csv") == scores);
  const Outcome checked = require_success(run_assay({"data", "check", (folder / "data").string()}));
  CHECK(contains(checked.out, "no test/"));
  CHECK(contains(checked.out, "files: 15 images read, no file ignored"));
  // Masks without the images that they are of are a fault, not a data set of good images.
  put(folder / "data/tile/ground_truth/square/100_mask.png", Image(20, 20, 1));
  check_refused(run_assay(small_training(folder / "data", folder / "x", {"--epochs", "1"})), kData,
                "test: there is no such folder");
}

}  // namespace assay::testing
