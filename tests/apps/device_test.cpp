// The program and its tests with a CUDA device (real or emulated), in a build without CUDA, and on
// a machine without a device.
#include <cstdlib>
#include <sstream>

#include "tests/apps/program.h"
#include "tests/support/kernel_test.h"

namespace assay::testing {
namespace {

/// Whether this build can use a device and this entry of ctest tests one.
bool cuda_build_tested() {
  return built_with_cuda() && test::tested("cuda");
}

/// A program on a machine whose GPU is hidden.
Outcome run_without_gpu(std::vector<std::string> line,
                        const std::vector<std::string>& variables = {}) {
  std::vector<std::string> before = {"/usr/bin/env", "-u", "ASSAY_REQUIRE_CUDA",
                                     "CUDA_VISIBLE_DEVICES="};
  before.insert(before.end(), variables.begin(), variables.end());
  line.insert(line.begin(), before.begin(), before.end());
  return Running(Running::Program{line}).wait();
}
Outcome assay_without_gpu(std::vector<std::string> words) {
  words.insert(words.begin(), kProgram);
  return run_without_gpu(words);
}

/// The losses in a history.csv, row by row.
std::vector<double> losses(const fs::path& file) {
  std::istringstream rows(read_text(file));
  std::vector<std::string> names;
  std::vector<double> all;
  for (std::string row; std::getline(rows, row);) {
    std::istringstream fields(row);
    size_t column = 0;
    const bool head = names.empty();
    for (std::string field; std::getline(fields, field, ','); ++column) {
      if (head)
        names.push_back(field);
      else if (contains(names.at(column), "loss"))
        all.push_back(std::stod(field));
    }
  }
  return all;
}

/// The sums of the two devices differ in order only, so a first loss differs by rounding.
/// Optimizers divide a gradient near 0 by its own size, so later differences are larger and grow by
/// the step.
constexpr double kFirstLoss = 1e-5, kLaterLosses = 1e-3;

/// Compares two histories whose first row is a single step.
void check_losses(const fs::path& cuda, const fs::path& cpu) {
  const std::vector<double> got = losses(cuda), want = losses(cpu);
  REQUIRE(got.size() == want.size());
  REQUIRE(!got.empty());
  CHECK(got[0] == doctest::Approx(want[0]).epsilon(kFirstLoss));
  for (size_t i = 1; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(kLaterLosses));
  }
}

/// A copy of a run of the device that goes on with the CPU.
void copy_to_cpu(const fs::path& run, const fs::path& copy) {
  fs::copy(run, copy, fs::copy_options::recursive);
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(read_text(copy / "config.json"));
  REQUIRE(config["device"] == "cuda");
  config["device"] = "cpu";
  put(copy / "config.json", config.dump());
}

/// A model trained on both devices in `folder`, to cuda/ and cpu/; and a copy of cuda/ to moved/,
/// for the CPU.
void train_on_both(const std::string& model, const std::vector<std::string>& more,
                   const fs::path& folder) {
  write_small_class(folder / "data", "tile", 4);
  for (const char* device : {"cuda", "cpu"}) {
    std::vector<std::string> words = {"train",     model,
                                      "--data",    (folder / "data").string(),
                                      "--class",   "tile",
                                      "--seed",    "7",
                                      "--threads", "1",
                                      "--device",  device,
                                      "--out",     (folder / device).string()};
    words.insert(words.end(), more.begin(), more.end());
    require_success(run_assay(words));
  }
  CHECK(read_json(folder / "cuda/metrics.json")["device"] == device_name(Device::cuda()));
  copy_to_cpu(folder / "cuda", folder / "moved");
}

/// The scores that predict gives the test images.
std::vector<double> predicted(const fs::path& folder, const char* run) {
  const Outcome outcome = require_success(run_assay(
      {"predict", (folder / run).string(), (folder / "data/tile/test").string(), "--json"}));
  std::vector<double> scores;
  for (const auto& image : nlohmann::json::parse(outcome.out)) scores.push_back(image["score"]);
  return scores;
}

/// Scores count in deviations of the held-out images, which here are down to 1/5000 of their
/// mean: ten roundings of the mean, 2^-24 of it each, are so much.
constexpr double kScore = 10 * 0x1p-24 * 5000;

/// Checks that the losses of both devices agree (in the named histories), that evaluating again
/// changes nothing, and that the CPU gives an image the same score with the same weights.
void check_detector(const std::string& model, const std::vector<std::string>& more,
                    const std::vector<std::string>& histories = {"history.csv"}) {
  const TemporaryFolder folder;
  train_on_both(model, more, folder.path());
  for (const std::string& history : histories)
    check_losses(folder / "cuda" / history, folder / "cpu" / history);
  const std::string scores = read_text(folder / "cuda/scores.csv");
  require_success(run_assay({"evaluate", (folder / "cuda").string()}));
  CHECK(read_text(folder / "cuda/scores.csv") == scores);
  const std::vector<double> got = predicted(folder.path(), "cuda");
  const std::vector<double> want = predicted(folder.path(), "moved");
  REQUIRE(got.size() == 6);
  REQUIRE(want.size() == 6);
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(kScore));
  }
}

}  // namespace

TEST_CASE("cuda: train, break off, resume, evaluate and predict") {
  if (!test::cuda_tested()) return;
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const char* out, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--epochs", "6", "--min-steps", "1000"});
    return small_training(folder / "data", folder / out, more);
  };
  const std::vector<std::string> on_cuda = {"--device", "cuda"};
  const fs::path run = folder / "run", whole = folder / "whole";
  require_success(run_assay(train("whole", on_cuda)));
  CHECK(read_json(whole / "metrics.json")["device"] == device_name(Device::cuda()));

  Running running(train("run", on_cuda));
  REQUIRE(running.wait_for(run / "checkpoint.safetensors"));
  running.signal(SIGKILL);
  running.wait();
  REQUIRE(!fs::exists(run / "metrics.json"));
  require_success(run_assay(train("run", {"--device", "cuda", "--resume"})));
  check_same_results(whole, run);

  const std::string scores = read_text(run / "scores.csv");
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "scores.csv") == scores);
  const Outcome predicted = require_success(
      run_assay({"predict", run.string(), (folder / "data/tile/test").string(), "--json"}));
  const nlohmann::json list = nlohmann::json::parse(predicted.out);
  REQUIRE(list.size() == 4);
  for (const auto& image : list) {
    const std::string name = fs::relative(image["path"].get<std::string>(), folder / "data/tile");
    std::string row = scores.substr(scores.find(name));
    row.resize(row.find('\n'));
    CHECK_MESSAGE(contains(row, image["score"].dump()), row);
  }

  // Without a GPU the command fails before anything is overwritten.
  check_refused(assay_without_gpu({"evaluate", run.string()}), kDevice, "--device cpu");
  CHECK(read_text(run / "scores.csv") == scores);
}

TEST_CASE("cuda: kd-cae learns, evaluates and predicts as on the CPU") {
  if (!test::cuda_tested()) return;
  check_detector("kd-cae", {"--image-size", "16", "--batch", "4", "--epochs", "2"});
}
TEST_CASE("cuda: ni-cae learns, evaluates and predicts as on the CPU") {
  if (!test::cuda_tested()) return;
  check_detector("ni-cae", {"--image-size", "32", "--batch", "4", "--epochs", "2"});
}
TEST_CASE("cuda: cnn learns, evaluates and predicts as on the CPU") {
  if (!test::cuda_tested()) return;
  check_detector("cnn", {"--image-size", "32", "--batch", "16", "--epochs", "3", "--folds", "2"},
                 {"fold0/history.csv", "fold1/history.csv"});
}

TEST_CASE("cuda: lpd learns, evaluates and predicts as on the CPU") {
  if (!test::cuda_tested()) return;
  check_detector("lpd", {"--image-size", "64"});
}
TEST_CASE("cuda: kd-cae --density local evaluates and predicts as on the CPU") {
  if (!test::cuda_tested()) return;
  check_detector("kd-cae", {"--density", "local", "--image-size", "16", "--epochs", "1"});
}

TEST_CASE("cuda: dcgan plays as on the CPU and draws the same images") {
  if (!test::cuda_tested()) return;
  const TemporaryFolder folder;
  train_on_both("dcgan", {"--batch", "1", "--steps", "1"}, folder.path());
  check_losses(folder / "cuda/history.csv", folder / "cpu/history.csv");
  // 64 images of one generator, on the device at the end of training and here on the CPU.
  require_success(run_assay({"evaluate", (folder / "moved").string()}));
  const auto distance = [&](const char* run, const char* which) -> double {
    return read_json(folder / run / "metrics.json")["memorisation"]["generated"][which];
  };
  for (const char* which : {"least", "median", "most"})
    CHECK(distance("cuda", which) == doctest::Approx(distance("moved", which)).epsilon(1e-4));
  for (const char* run : {"cuda", "moved"})
    require_success(run_assay({"generate", (folder / run).string(), "--count", "2", "--out",
                               (folder / "drawn" / run).string()}));
  for (const char* name : {"000000.png", "000001.png"}) {
    const Image got = read_image(folder / "drawn/cuda" / name);
    const Image want = read_image(folder / "drawn/moved" / name);
    REQUIRE(got.size() == want.size());
    int most = 0;  // a value between two levels may go to either
    for (size_t i = 0; i < got.size(); ++i)
      most = std::max(most, std::abs(got.pixels[i] - want.pixels[i]));
    CHECK(most <= 1);
  }
}

TEST_CASE("cuda: profile waits for each operation and claims no share of a roofline") {
  if (!test::cuda_tested()) return;
  const Outcome profile =
      require_success(run_assay({"profile", "cnn", "--device", "cuda", "--image-size", "32",
                                 "--batch", "2", "--repeat", "1"}));
  CHECK(contains(profile.out, device_name(Device::cuda())));
  CHECK(contains(profile.out, "conv2d backward"));
  CHECK(!contains(profile.out, "of their roofline"));
}

TEST_CASE("cuda: describe says what runs on bf16 tensors, and what between conversions") {
  if (!cuda_build_tested()) return;
  const std::string out =
      require_success(run_assay({"describe", "cnn", "--algorithms", "--device", "cuda",
                                 "--precision", "bf16", "--batch", "32"}))
          .out;
  CHECK(contains(out, "fprop  direct_bf16 "));
  CHECK(contains(out, "wgrad  tensor_core_bf16 "));
  CHECK(contains(out, "gemm tensor_core_bf16 "));
  // The dense layer with one output.
  CHECK(contains(out, "in fp32, between conversions from and to bf16"));
  CHECK(contains(out, "not tensor_core_bf16: rows of a matrix that are not in 8s"));
}

TEST_CASE("a GPU in a build without CUDA is refused") {
  if (built_with_cuda()) return;
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  check_refused(run_assay(small_training(folder / "data", folder / "run", {"--device", "cuda"})),
                kDevice, "this build has no CUDA; use --device cpu");
  CHECK(!fs::exists(folder / "run"));
}

TEST_CASE("a GPU on a machine without one is refused") {
  if (!cuda_build_tested()) return;
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  check_refused(
      assay_without_gpu(small_training(folder / "data", folder / "run", {"--device", "cuda"})),
      kDevice, "no CUDA device can be used on this machine; use --device cpu");
  CHECK(!fs::exists(folder / "run"));
  const Outcome info = require_success(assay_without_gpu({"info", "--json"}));
  CHECK(nlohmann::json::parse(info.out)["cuda"] == false);
  require_success(assay_without_gpu(
      small_training(folder / "data", folder / "run", {"--device", "cpu", "--epochs", "1"})));
}

TEST_CASE("a CUDA test without a GPU says SKIPPED, and fails where one is required") {
  if (!cuda_build_tested()) return;
  const std::vector<std::string> this_test = {fs::read_symlink("/proc/self/exe").string(),
                                              "--test-case=cuda: train*"};
  const std::string skipped = "SKIPPED: no CUDA device";
  const Outcome free = run_without_gpu(this_test);
  CHECK(free.code == 0);
  CHECK(contains(free.out, skipped));
  const Outcome required = run_without_gpu(this_test, {"ASSAY_REQUIRE_CUDA=1"});
  CHECK(required.code != 0);
  CHECK(contains(required.out, "ASSAY_REQUIRE_CUDA=1, but no CUDA device can be used"));
  CHECK(!contains(required.out, skipped));
}

}  // namespace assay::testing
