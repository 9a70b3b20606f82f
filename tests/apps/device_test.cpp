// The program and its tests where there is a CUDA device (real or emulated), where the build has
// none, and where the machine has none.
#include "tests/apps/program.h"
#include "tests/kernels/kernel_test.h"

namespace assay::testing {
namespace {

/// Whether this build could use a device, and this entry of ctest is about one.
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
  words.insert(words.begin(), ASSAY_PROGRAM);
  return run_without_gpu(words);
}

/// The loss of the first epoch in history.csv.
double first_loss(const fs::path& run) {
  const std::string text = read_text(run / "history.csv");
  const size_t loss = text.find(',', text.find('\n')) + 1;
  return std::stod(text.substr(loss));
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

  // The sums of the devices differ in order only.
  require_success(run_assay(train("cpu")));
  CHECK(first_loss(run) == doctest::Approx(first_loss(folder / "cpu")).epsilon(1e-3));
  // Who has no GPU is told so before anything is overwritten.
  check_refused(assay_without_gpu({"evaluate", run.string()}), kDevice, "--device cpu");
  CHECK(read_text(run / "scores.csv") == scores);
}

TEST_CASE("cuda: profile waits for each operation and claims no share of a roofline") {
  if (!test::cuda_tested()) return;
  const Outcome profile = require_success(run_assay({"profile", "cnn", "--device", "cuda",
                                                     "--image-size", "32", "--batch", "2",
                                                     "--repeat", "1"}));
  CHECK(contains(profile.out, device_name(Device::cuda())));
  CHECK(contains(profile.out, "conv2d backward"));
  CHECK(!contains(profile.out, "of their roofline"));
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
