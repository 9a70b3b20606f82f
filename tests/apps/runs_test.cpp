// Whole runs through the program: verdicts, resume to the same bits, thread counts, suites.
#include <fmt/core.h>

#include <set>

#include "tests/apps/program.h"

namespace assay::testing {
TEST_CASE("train, evaluate, predict and report agree") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run";
  require_success(run_assay(small_training(folder / "data", run, {"--epochs", "3"})));
  const nlohmann::json metrics = read_json(run / "metrics.json");
  for (const char* key : {"model",
                          "class",
                          "data",
                          "seed",
                          "device",
                          "precision",
                          "conditions",
                          "image_auroc",
                          "image_ap",
                          "f1",
                          "threshold",
                          "precision_score",
                          "recall",
                          "accuracy",
                          "balanced_accuracy",
                          "f1_max",
                          "f1_all_positive",
                          "fpr95",
                          "tp",
                          "fp",
                          "tn",
                          "fn",
                          "pixel_auroc",
                          "pixel_ap",
                          "aupro",
                          "seconds_train",
                          "intervals"})
    CHECK_MESSAGE(metrics.contains(key), key);
  CHECK(metrics["tp"].get<int>() + metrics["fn"].get<int>() == 2);
  CHECK(metrics["fp"].get<int>() + metrics["tn"].get<int>() == 2);
  CHECK(metrics["pixel_auroc"].is_null());  // no masks there

  const std::string scores = read_text(run / "scores.csv");
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "scores.csv") == scores);
  CHECK(read_json(run / "metrics.json") == metrics);

  const Outcome predicted =
      run_assay({"predict", run.string(), (folder / "data/tile/test").string(), "--json", "--out",
                 (folder / "heat").string()});
  require_success(predicted);
  const nlohmann::json list = nlohmann::json::parse(predicted.out);
  REQUIRE(list.size() == 4);
  for (const auto& image : list) {
    const bool over = image["score"].get<double>() > image["threshold"].get<double>();
    CHECK(image["predicted"] == (over ? "defective" : "good"));
    // The score of `evaluate` for the same image, to the last digit.
    const std::string name = fs::relative(image["path"].get<std::string>(), folder / "data/tile");
    REQUIRE(contains(scores, "\n" + name + ","));
    std::string row = scores.substr(scores.find("\n" + name + ",") + 1);
    row.resize(row.find('\n'));
    CHECK_MESSAGE(contains(row, "," + image["score"].dump() + ","), row);
  }
  CHECK(fs::exists(folder / "heat/square/100.png"));
  CHECK(fs::exists(run / "figures/square_100.png"));

  require_success(run_assay({"report", run.string()}));
  const std::string page = read_text(run / "report/index.html");
  CHECK(contains(page, "data:image/jpeg;base64,"));
  CHECK(contains(page, "ROC: tile"));
  CHECK(contains(page, "Only KD-CAE was run on tile."));
  CHECK(!contains(page, "<script"));
  CHECK(!contains(page, "://"));
  CHECK(!fs::exists(run / "results.json"));  // it is no suite
}

TEST_CASE("a heat map replaces neither an image nor another heat map") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const std::string run = (folder / "run").string();
  require_success(run_assay(small_training(folder / "data", run, {"--epochs", "1"})));
  const fs::path a = folder / "a", b = folder / "b", heat = folder / "heat";
  put(a / "1.png", small_image(1));
  put(a / "1.bmp", encode_png(small_image(2)));
  put(a / "._1.png", std::string("hidden"));
  put(a / "notes.txt", std::string("no image"));
  put(b / "1.png", small_image(3));
  fs::create_symlink(b / "1.png", a / "link.png");
  const std::string image = read_text(b / "1.png");
  const Outcome outcome = run_assay({"predict", run, a.string(), (a / "1.png").string(),
                                     (b / "1.png").string(), "--out", heat.string(), "--json"});
  require_success(outcome);
  std::set<std::string> maps;
  for (const auto& entry : nlohmann::json::parse(outcome.out)) {
    maps.insert(entry["heat_map"]);
    CHECK(fs::exists(entry["heat_map"].get<std::string>()));
  }
  CHECK(maps.size() == 5);
  CHECK(read_text(b / "1.png") == image);  // though a/link.png leads there
  const Outcome refused = run_assay({"predict", run, b.string(), "--out", b.string()});
  CHECK(refused.code == 2);
  CHECK(read_text(b / "1.png") == image);
  fs::create_symlink("nowhere", a / "lost.png");
  CHECK(run_assay({"predict", run, a.string()}).code == 3);
}

TEST_CASE("a test set of one kind has no AUROC, in words and without NaN") {
  for (const char* missing : {"good", "square"}) {
    const TemporaryFolder folder;
    write_small_class(folder / "data");
    fs::remove_all(folder / "data/tile/test" / missing);
    const Outcome outcome =
        run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"}));
    require_success(outcome);
    CHECK(contains(outcome.out, missing == std::string("good")
                                    ? "the test set has no good image"
                                    : "the test set has no defective image"));
    const nlohmann::json metrics = read_json(folder / "run/metrics.json");
    CHECK(metrics["image_auroc"].is_null());
    CHECK(metrics["intervals"]["image_auroc"].is_null());
  }
}

TEST_CASE("--fail-on-anomaly exits with 10 exactly where an image is called defective") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  require_success(run_assay(small_training(folder / "data", folder / "run", {"--epochs", "2"})));
  for (const char* set : {"test/good", "test/square", "train/good"}) {
    const Outcome outcome =
        run_assay({"predict", (folder / "run").string(), (folder / "data/tile" / set).string(),
                   "--csv", "--fail-on-anomaly"});
    CAPTURE(outcome.out);
    CHECK(outcome.code == (contains(outcome.out, ",defective,") ? 10 : 0));
  }
}

TEST_CASE("any number of threads gives the same bits") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const char* threads) {
    auto words = small_training(folder / "data", folder / threads, {"--epochs", "3"});
    words[std::find(words.begin(), words.end(), "--threads") - words.begin() + 1] = threads;
    require_success(run_assay(words));
  };
  for (const char* threads : {"1", "2", "3"}) train(threads);
  check_same_results(folder / "1", folder / "2");
  check_same_results(folder / "1", folder / "3");
  const std::string model = read_text(folder / "1/model.safetensors");
  CHECK(!contains(model, folder.path().string()));
}

TEST_CASE("a broken-off run goes on to the same bits") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const std::vector<std::string> epochs = {"--epochs", "40", "--min-steps", "1000"};
  require_success(run_assay(small_training(folder / "data", folder / "whole", epochs)));
  std::vector<std::string> resume = epochs;
  resume.push_back("--resume");
  const fs::path broken = folder / "broken";

  for (const int signal : {SIGKILL, SIGINT}) {
    fs::remove_all(broken);
    Running running(small_training(folder / "data", broken, epochs));
    REQUIRE(running.wait_for(broken / "checkpoint.safetensors"));
    running.signal(signal);
    const Outcome outcome = running.wait();
    CAPTURE(outcome.error);
    if (signal == SIGKILL) CHECK(outcome.code == -SIGKILL);
    // Ctrl-C writes a checkpoint and says how to resume.
    if (signal == SIGINT) CHECK(contains(outcome.error, "--resume"));
    CHECK(!fs::exists(broken / "metrics.json"));
    require_success(run_assay(small_training(folder / "data", broken, resume)));
    check_same_results(folder / "whole", broken);
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 0);
  }
}

TEST_CASE("--resume starts what is not there, and leaves what is finished") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const char* epochs) {
    return run_assay(
        small_training(folder / "data", folder / "run", {"--epochs", epochs, "--resume"}));
  };
  require_success(train("1"));
  const auto written = fs::last_write_time(folder / "run/metrics.json");
  const std::string history = read_text(folder / "run/history.csv");
  require_success(train("1"));
  CHECK(fs::last_write_time(folder / "run/metrics.json") == written);
  CHECK(read_text(folder / "run/history.csv") == history);
  const Outcome other = train("2");  // another configuration is another run
  CHECK(other.code == 2);
  CHECK(contains(other.error, "epochs"));
}

TEST_CASE("a run goes on when its data set has moved") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const auto train = [&](const fs::path& data, const char* run) {
    return run_assay(small_training(data, folder / run, {"--epochs", "2", "--resume"}));
  };
  require_success(train(folder / "data", "whole"));
  fs::copy(folder / "whole", folder / "moved", fs::copy_options::recursive);
  fs::remove(folder / "moved/metrics.json");  // as if broken off in the evaluation
  fs::create_directories(folder / "elsewhere");
  fs::rename(folder / "data", folder / "elsewhere/data");
  require_success(train(folder / "elsewhere/data", "moved"));
  CHECK(read_text(folder / "moved/scores.csv") == read_text(folder / "whole/scores.csv"));
  CHECK(contains(read_text(folder / "moved/config.json"), "elsewhere"));

  fs::remove(folder / "moved/metrics.json");
  fs::rename(folder / "elsewhere/data", folder / "elsewhere/other");  // perhaps another data set
  const Outcome other = train(folder / "elsewhere/other", "moved");
  CHECK(other.code == 2);
  CHECK(contains(other.error, "other"));
}

TEST_CASE("options come from a file too, and the command line wins") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  put(folder / "run.toml", std::string("epochs = 2\nlr = 0.002\n"));
  require_success(
      run_assay(small_training(folder / "data", folder / "run",
                               {"--config", (folder / "run.toml").string(), "--epochs", "1"})));
  const nlohmann::json config = read_json(folder / "run/config.json");
  CHECK(config["epochs"] == 1);
  CHECK(config["lr"] == 0.002);
}

TEST_CASE("images of one's own: --good, --bad and --masks") {
  const TemporaryFolder folder;
  for (int i = 0; i < 13; ++i)
    put(folder / "fine" / fmt::format("{}.png", i), small_image(i, 20, 20));
  Image mask(20, 20, 1);
  for (int x = 5; x < 10; ++x) *mask.at(6, x) = 255;
  put(folder / "broken/a.png", small_image(90, 20, 20));
  put(folder / "masks/a.png", mask);
  const auto train = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train",        "kd-cae",
                                      "--good",       (folder / "fine").string(),
                                      "--bad",        (folder / "broken").string(),
                                      "--masks",      (folder / "masks").string(),
                                      "--out",        (folder / "run").string(),
                                      "--image-size", "16",
                                      "--epochs",     "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  CHECK(train({"--data", "builtin"}).code == 2);
  require_success(train({}));
  const nlohmann::json metrics = read_json(folder / "run/metrics.json");
  CHECK(metrics["data"] == "folder");
  CHECK(metrics["pixel_auroc"].is_number());
}

TEST_CASE("images of one's own: evaluate tests none that was learnt from") {
  const TemporaryFolder folder;
  const fs::path good = folder / "fine", run = folder / "run";
  for (int i = 0; i < 20; ++i) put(good / fmt::format("{}.png", i), small_image(i, 20, 20));
  put(folder / "broken/a.png", small_image(90, 20, 20));
  require_success(
      run_assay({"train", "kd-cae", "--good", good.string(), "--bad", (folder / "broken").string(),
                 "--out", run.string(), "--image-size", "16", "--epochs", "1"}));
  const std::string scores = read_text(run / "scores.csv");
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(read_text(run / "scores.csv") == scores);

  const nlohmann::json split = read_json(run / "split.json");
  const std::string gone = split["train"][0];  // "good/7.png"
  fs::remove(good / fs::path(gone).filename());
  for (int i = 20; i < 26; ++i) put(good / fmt::format("{}.png", i), small_image(i, 20, 20));
  require_success(run_assay({"evaluate", run.string()}));
  const std::string now = read_text(run / "scores.csv");
  for (const char* part : {"train", "validation"})
    for (const auto& path : split[part]) {
      CAPTURE(path);
      CHECK(!contains(now, "\n" + path.get<std::string>() + ","));
    }
  CHECK(contains(now, "\ngood/25.png,"));
  CHECK(std::count(now.begin(), now.end(), '\n') ==
        std::count(scores.begin(), scores.end(), '\n') + 6);

  // A split of a few leaves the rest to the test, in training as in evaluation.
  nlohmann::json few;
  for (const char* part : {"train", "validation"})
    for (int i = 0; i < 2; ++i) few[part].push_back(split[part][1 + i]);
  put(folder / "few.json", few.dump());
  require_success(
      run_assay({"train", "kd-cae", "--good", good.string(), "--bad", (folder / "broken").string(),
                 "--out", (folder / "of-few").string(), "--image-size", "16", "--epochs", "1",
                 "--split", (folder / "few.json").string()}));
  const std::string trained = read_text(folder / "of-few/scores.csv");
  CHECK(std::count(trained.begin(), trained.end(), '\n') == 1 + 25 - 4 + 1);
  require_success(run_assay({"evaluate", (folder / "of-few").string()}));
  CHECK(read_text(folder / "of-few/scores.csv") == trained);

  // Two folders given by --good are two data sets, though their images have the same names.
  put(folder / "fine2/0.png", small_image(3, 20, 20));
  for (int i = 1; i < 20; ++i)
    put(folder / "fine2" / fmt::format("{}.png", i), small_image(40 + i, 20, 20));
  require_success(run_assay({"train", "kd-cae", "--good", (folder / "fine2").string(), "--bad",
                             (folder / "broken").string(), "--out", (folder / "own/b").string(),
                             "--image-size", "16", "--epochs", "1", "--seed", "1"}));
  fs::copy(run, folder / "own/a", fs::copy_options::recursive);
  require_success(run_assay({"report", (folder / "own").string()}));
  CHECK(read_json(folder / "own/results.json")["seeds"].size() == 2);
  CHECK(read_json(folder / "own/results.json")["differences"].empty());
}

TEST_CASE("images of one's own: a split may name any good image, and more may come") {
  const TemporaryFolder folder;
  const fs::path good = folder / "fine";
  for (int i = 0; i < 20; ++i) put(good / fmt::format("{}.png", i), small_image(i, 20, 20));
  put(folder / "broken/a.png", small_image(90, 20, 20));
  const auto train = [&](const char* out, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train",        "kd-cae",
                                      "--good",       good.string(),
                                      "--bad",        (folder / "broken").string(),
                                      "--out",        (folder / out).string(),
                                      "--image-size", "16",
                                      "--epochs",     "2"};
    words.insert(words.end(), more.begin(), more.end());
    require_success(run_assay(words));
  };
  train("first", {"--seed", "1"});
  train("second", {"--seed", "2", "--split", (folder / "first/split.json").string()});
  CHECK(read_text(folder / "second/split.json") == read_text(folder / "first/split.json"));
  // An image added while the run is interrupted is tested; the training set does not change.
  const std::string model = read_text(folder / "first/model.safetensors");
  fs::remove(folder / "first/metrics.json");
  put(good / "99.png", small_image(99, 20, 20));
  train("first", {"--seed", "1", "--resume"});
  CHECK(read_text(folder / "first/model.safetensors") == model);
  CHECK(contains(read_text(folder / "first/scores.csv"), "\ngood/99.png,"));
}

TEST_CASE("predict --out replaces nothing unasked, and a run clears what a kill has left") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  const fs::path run = folder / "run", heat = folder / "heat";
  require_success(run_assay(small_training(folder / "data", run, {"--epochs", "1"})));
  const auto predict = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"predict", run.string(),
                                      (folder / "data/tile/test/square/100.png").string(), "--out",
                                      heat.string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_assay(words);
  };
  put(heat / "100.png", std::string("mine"));
  const Outcome refused = predict({});
  CHECK(refused.code == 2);
  CHECK(contains(refused.error, "is there already"));
  CHECK(read_text(heat / "100.png") == "mine");
  require_success(predict({"--force"}));
  CHECK(read_text(heat / "100.png") != "mine");
  CHECK(run_assay({"evaluate", run.string(), "--data", ""}).code == 2);

  put(run / "checkpoint.safetensors.host-1.tmp", std::string("half"));
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(!fs::exists(run / "checkpoint.safetensors.host-1.tmp"));

  // Other files are kept, and nothing is removed from a folder that is not a run.
  put(run / "mine.tmp", std::string("mine"));
  require_success(run_assay({"evaluate", run.string()}));
  CHECK(fs::exists(run / "mine.tmp"));
  put(folder / "home/letters/model.safetensors.tmp", std::string("mine"));
  put(folder / "home/model.safetensors.x.tmp", std::string("mine"));
  put(folder / "home/note.txt", std::string("mine"));
  CHECK(run_assay(small_training(folder / "data", folder / "home", {"--resume"})).code == 2);
  CHECK(fs::exists(folder / "home/letters/model.safetensors.tmp"));
  CHECK(fs::exists(folder / "home/model.safetensors.x.tmp"));
}

TEST_CASE("the command that makes the same run takes away what a preset sets") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  require_success(
      run_assay({"train", "ni-cae", "--preset", "ni-cae-128", "--data", (folder / "data").string(),
                 "--class", "tile", "--out", (folder / "out/run").string(), "--image-size", "32",
                 "--epochs", "1", "--grey=false"}));
  require_success(run_assay({"report", (folder / "out").string()}));
  CHECK(contains(read_text(folder / "out/results.json"), "--grey=false"));
}

TEST_CASE("evaluate leaves no figure of an earlier evaluation") {
  const TemporaryFolder folder;
  write_small_class(folder / "data");
  require_success(run_assay(small_training(folder / "data", folder / "run", {"--epochs", "1"})));
  REQUIRE(fs::exists(folder / "run/figures/square_100.png"));
  fs::rename(folder / "data/tile/test/square", folder / "data/tile/test/dent");
  require_success(run_assay({"evaluate", (folder / "run").string()}));
  CHECK(fs::exists(folder / "run/figures/dent_100.png"));
  CHECK(!fs::exists(folder / "run/figures/square_100.png"));
}

TEST_CASE("noise is listed, and a split can be followed") {
  const TemporaryFolder folder;
  require_success(run_assay({"data", "make", "--out", (folder / "data").string(), "--size", "32"}));
  const auto train = [&](const char* out, const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        "train",        "kd-cae", "--data",   (folder / "data").string(),
        "--class",      "chip",   "--out",    (folder / out).string(),
        "--image-size", "16",     "--epochs", "1"};
    words.insert(words.end(), more.begin(), more.end());
    require_success(run_assay(words));
  };
  train("noisy", {"--train-noise", "noisy", "--test-noise", "noisy", "--denoise", "--grey"});
  CHECK(read_json(folder / "noisy/noise.json")["train"].size() == 5);  // a tenth of 51
  CHECK(read_json(folder / "noisy/metrics.json")["conditions"]["test"] == "noisy");
  train("followed", {"--seed", "9", "--split", (folder / "noisy/split.json").string()});
  CHECK(read_text(folder / "followed/split.json") == read_text(folder / "noisy/split.json"));
}

TEST_CASE("a killed suite goes on, and finished cells are left alone") {
  const TemporaryFolder folder;
  write_small_class(folder / "data", "tile");
  write_small_class(folder / "data", "wall");
  const fs::path out = folder / "suite";
  const std::vector<std::string> words = {"suite",     "--data",     (folder / "data").string(),
                                          "--out",     out.string(), "--image-size",
                                          "16",        "--steps",    "30",
                                          "--threads", "1",          "--models",
                                          "kd-cae"};
  Running running(words);
  REQUIRE(running.wait_for(out / "kd-cae-wall-seed1/checkpoint.safetensors"));
  running.signal(SIGKILL);
  running.wait();
  const fs::path first = out / "kd-cae-tile-seed1/metrics.json";
  REQUIRE(fs::exists(first));
  const auto written = fs::last_write_time(first);
  require_success(run_assay(words));
  CHECK(fs::last_write_time(first) == written);
  CHECK(read_json(out / "results.json")["cells"].size() == 2);
  CHECK(fs::exists(out / "results.csv"));
  CHECK(contains(read_text(out / "report/index.html"), "wall"));

  std::vector<std::string> list = words;
  list.push_back("--list");
  const Outcome listed = run_assay(list);
  CHECK(std::count(listed.out.begin(), listed.out.end(), '\n') == 2);
  CHECK(!contains(listed.out, "open"));
}

TEST_CASE("describe, info, profile and data answer") {
  const TemporaryFolder folder;
  CHECK(contains(run_assay({"describe", "kd-cae"}).out, "333955 parameters"));
  CHECK(nlohmann::json::parse(run_assay({"info", "--json"}).out).contains("instruction_set"));
  require_success(run_assay({"profile", "kd-cae", "--batch", "1", "--repeat", "1"}));
  require_success(run_assay({"data", "make", "--out", (folder / "made").string(), "--size", "32"}));
  const Outcome checked = run_assay({"data", "check", (folder / "made").string()});
  require_success(checked);
  CHECK(contains(checked.out, "60/16/24"));
  put(folder / "made/ring/train/good/broken.png", std::string("no image"));
  const Outcome broken = run_assay({"data", "check", (folder / "made").string()});
  CHECK(broken.code == 3);
  CHECK(contains(broken.out, "broken.png"));
}

}  // namespace assay::testing
