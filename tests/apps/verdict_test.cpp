// The report's sentences about runs with known scores: rules, seeds, and which results may be
// quoted.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/report/text.h"
#include "apps/suite/step_profile.h"
#include "models/evaluation/scoring.h"
#include "models/experiments/configure.h"
#include "models/run/folder.h"
#include "tests/apps/program.h"

namespace assay::testing {
namespace {

/// A finished run without a training: 20 good and 20 defective test images with these scores.
struct Fake {
  std::string model = "kd-cae", object_class = "bottle", data = "/somewhere/mvtec";
  uint64_t seed = 1;
  std::string noise = "clean";
  double lr = 0.001;
  double shift = 0;    ///< of the defective images' scores above those of the good ones
  double spread = 10;  ///< of all scores
  std::string preset = {};
  bool untrained = false;
  int latent = 0;
};

void write_run(const fs::path& root, const Fake& fake) {
  RunConfig config = default_config(fake.model, fake.preset);
  config.data = fake.data;
  config.object_class = fake.object_class;
  config.seed = fake.seed;
  config.lr = fake.lr;
  config.train_noise = config.test_noise = fake.noise;
  config.untrained = fake.untrained;
  if (fake.latent > 0) config.own_values["latent"] = fake.latent;
  std::string name = fmt::format("{}-{}-{}-{}{:f}-{}-{}", config.preset, config.object_class,
                                 fake.seed, fake.noise, fake.lr, fake.untrained, fake.latent);
  const RunFolder folder(root / name);
  folder.create();
  save(config, folder.config());
  Scoring scoring;
  scoring.threshold = 0;
  std::vector<ScoredImage> images;
  for (int i = 0; i < 40; ++i) {
    const bool defective = i % 2 == 1;
    ScoredImage image{
        .path = "test/" + std::string(defective ? "crack/" : "good/") + std::to_string(i),
        .set = "test",
        .defective = defective,
        .defect = defective ? "crack" : "good",
        .components = {}};
    // A different scatter for each model and seed.
    const int place = i * 7 + static_cast<int>(fake.seed) * 13 + fake.model[0] * 3 * (i % 5);
    image.score = fake.spread * (place % 20) / 20 - 5 + (defective ? fake.shift : 0);
    image.predicted_defective = image.score > 0;
    images.push_back(image);
  }
  write_scores(folder.scores(), images, scoring);
  scoring.rule = Scoring::Rule::mean;  // no calibration to be told
  write_metrics(folder, detector_metrics(config, scoring, images, {},
                                         {.train_images = 9, .validation_images = 8}));
}

/// The text of the report's page, tags taken out.
std::string report_text(const fs::path& root) {
  const Outcome outcome = run_assay({"report", root.string()});
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
  const std::string page = read_text(root / "report/index.html");
  std::string text;
  bool tag = false;
  for (const char c : page.substr(page.find("<body>"))) {
    if (c == '<') tag = true;
    if (!tag) text += c;
    if (c == '>') tag = false;
  }
  for (const auto& [entity, plain] :
       {std::pair("\u00a0", " "), std::pair("\u2019", "'"), std::pair("&#39;", "'")})
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos;)
      text.replace(at, std::string(entity).size(), plain);
  return text;
}

}  // namespace

TEST_CASE("a clear difference names the better model, whichever comes first") {
  for (const bool cnn_better : {false, true}) {
    const TemporaryFolder folder;
    for (const uint64_t seed : {1, 2, 3}) {
      write_run(folder.path(), {.model = "kd-cae", .seed = seed, .shift = cnn_better ? 1.0 : 9.0});
      write_run(folder.path(), {.model = "cnn", .seed = seed, .shift = cnn_better ? 9.0 : 1.0});
    }
    const std::string text = report_text(folder.path());
    CHECK(contains(text,
                   cnn_better
                       ? "CNN tells bottle's defects from good images better than KD-CAE: AUROC "
                       : "KD-CAE tells bottle's defects from good images better than CNN: AUROC "));
    CHECK(contains(text, "95 % interval of the difference 0."));
    CHECK(contains(text, "(40 images, 3 seeds, ahead in 3)"));
    CHECK(!contains(text, "does not tell KD-CAE"));
    const auto d = nlohmann::json::parse(read_text(folder / "results.json"))["differences"][0];
    CHECK(d["first"] == "cnn");  // the order of the study
    CHECK((d["image_auroc"]["estimate"].get<double>() > 0) == cnn_better);
  }
}

TEST_CASE("fewer than three seeds call no model better") {
  for (const uint64_t seeds : {1, 2}) {
    const TemporaryFolder folder;
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      write_run(folder.path(), {.model = "kd-cae", .seed = seed, .shift = 9.0});
      write_run(folder.path(), {.model = "cnn", .seed = seed, .shift = 1.0});
    }
    const std::string text = report_text(folder.path());
    CHECK(contains(text, seeds == 1 ? "KD-CAE is ahead of CNN on bottle in the one training of "
                                      "each; 3 seeds are needed to call it better: AUROC "
                                    : "KD-CAE is ahead of CNN on bottle in two trainings of each; "
                                      "3 seeds are needed to call it better: AUROC "));
    CHECK(!contains(text, "from good images better"));
    CHECK(!contains(text, "clearly ahead"));
  }
}

TEST_CASE("an interval that contains 0 is said to tell nothing") {
  const TemporaryFolder folder;
  write_run(folder.path(), {.model = "kd-cae", .shift = 4.0});
  write_run(folder.path(), {.model = "ni-cae", .shift = 3.5});
  const std::string text = report_text(folder.path());
  CHECK(contains(text, "The data does not tell KD-CAE and NI-CAE apart on bottle: AUROC "));
  CHECK(!contains(text, "from good images better"));
}

TEST_CASE("seeds are one row: mean, deviation, and in how many one was ahead") {
  const TemporaryFolder folder;
  for (const uint64_t seed : {1, 2, 3}) {
    write_run(folder.path(),
              {.model = "kd-cae", .seed = seed, .shift = 6.0 + static_cast<double>(seed)});
    write_run(folder.path(),
              {.model = "cnn", .data = "/elsewhere/mvtec", .seed = seed, .shift = 1.0});
  }
  const std::string text = report_text(folder.path());
  CHECK(contains(text, "(40 images, 3 seeds, ahead in 3)"));
  const auto results = nlohmann::json::parse(read_text(folder / "results.json"));
  REQUIRE(results["cells"].size() == 6);
  REQUIRE(results["seeds"].size() == 2);  // the data lies elsewhere on another machine
  CHECK(results["seeds"][1]["model"] == "kd-cae");
  double sum = 0;
  for (const auto& cell : results["cells"])
    if (cell["metrics"]["model"] == "kd-cae") sum += cell["metrics"]["image_auroc"].get<double>();
  CHECK(results["seeds"][1]["image_auroc"]["mean"].get<double>() == doctest::Approx(sum / 3));
  CHECK(results["seeds"][1]["image_auroc"]["deviation"].get<double>() > 0);
}

TEST_CASE("where one model has more seeds, the comparison says on which it stands") {
  const TemporaryFolder folder;
  for (const uint64_t seed : {1, 2, 3}) {
    write_run(folder.path(), {.model = "kd-cae", .seed = seed, .shift = 8.0});
    if (seed < 3) write_run(folder.path(), {.model = "ni-cae", .seed = seed, .shift = 1.0});
  }
  CHECK(contains(report_text(folder.path()), "(40 images, 2 seeds that both have, ahead in 2)"));
}

TEST_CASE(
    "runs that differ in an option are two, and the one that is not the default is in a name") {
  const TemporaryFolder folder;
  for (const uint64_t seed : {1, 2, 3}) {
    write_run(folder.path(), {.seed = seed, .shift = 9.0});
    write_run(folder.path(), {.seed = seed, .lr = 0.01, .shift = 1.0});
  }
  const std::string text = report_text(folder.path());
  CHECK(
      contains(text, "KD-CAE tells bottle's defects from good images better than KD-CAE, lr 0.01"));
}

TEST_CASE("a model alone is held against guessing") {
  for (const double shift : {0.0, 9.0}) {
    const TemporaryFolder folder;
    write_run(folder.path(), {.shift = shift});
    CHECK(contains(report_text(folder.path()),
                   shift > 0 ? "Only KD-CAE was run on bottle. It tells defective from good"
                             : "Only KD-CAE was run on bottle. It cannot be told from guessing"));
  }
}

TEST_CASE("several classes are summed up") {
  const TemporaryFolder folder;
  for (const char* name : {"bottle", "cable", "pill"})
    for (const uint64_t seed : {1, 2, 3}) {
      write_run(folder.path(),
                {.model = "kd-cae", .object_class = name, .seed = seed, .shift = 9.0});
      write_run(folder.path(), {.model = "cnn",
                                .object_class = name,
                                .seed = seed,
                                .shift = name[0] == 'p' ? 8.8 : 1.0});
    }
  const std::string text = report_text(folder.path());
  CHECK(contains(text,
                 "Models were compared on 3 classes: KD-CAE is clearly ahead on 2 and on 1 the "
                 "data does not tell the best two apart."));
  CHECK(contains(text, "Mean AUROC over all 3 classes: CNN 0."));
}

TEST_CASE("the study's numbers stand beside its classes, and never beside synthetic data") {
  struct Case {
    const char* object_class;
    const char* data;
    bool drop28, drop2, cnn;
  };
  for (const Case& c : {Case{"toothbrush", "mvtec", true, false, true},
                        Case{"transistor", "mvtec", false, true, false},
                        Case{"bottle", "mvtec", false, false, false},
                        Case{"toothbrush", "builtin", false, false, false}}) {
    CAPTURE(c.object_class);
    const TemporaryFolder folder;
    for (const char* noise : {"clean", "noisy"})
      write_run(folder.path(), {.model = "ni-cae",
                                .object_class = c.object_class,
                                .data = c.data,
                                .noise = noise,
                                .shift = 9.0});
    write_run(folder.path(), {.model = "cnn", .object_class = c.object_class, .data = c.data});
    const std::string text = report_text(folder.path());
    const std::string noise_table = text.substr(text.find("With and without noise"));
    CHECK(contains(noise_table, "28.10 %") == c.drop28);
    CHECK(contains(noise_table, "2.56 %") == c.drop2);
    // The claims are listed as soon as one class is real.
    CHECK(contains(text, "28.10") == (std::string(c.data) != "builtin"));
    CHECK(contains(text, "about 65 %") == c.cnn);
    CHECK(contains(text, "Synthetic data.") == (std::string(c.data) == "builtin"));
  }
}

TEST_CASE("strings of a run cannot become tags of the page") {
  const std::string hostile = "<img src=x onerror=1>&\"'";
  const TemporaryFolder folder;
  write_run(folder.path(), {.object_class = hostile, .data = "/somewhere/" + hostile});
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (!entry.is_directory()) continue;
    const RunFolder run(entry.path());
    std::string scores = read_text(run.scores());
    for (size_t at = 0; (at = scores.find("crack", at)) != std::string::npos; at += hostile.size())
      scores.replace(at, 5, "<img src=x onerror=1>");
    put(run.scores(), scores);
    auto metrics = nlohmann::json::parse(read_text(run.metrics()));
    metrics["images"]["sizes"] = hostile;
    put(run.metrics(), metrics.dump());
    put(run.machine(), nlohmann::json{{"cpu", hostile}, {"instruction_set", hostile}}.dump());
  }
  put(folder / "failures.json", nlohmann::json{{hostile, hostile}}.dump());
  put(folder / "profile.json", "{\"machine\": \"<img src=x>\"}");
  CHECK(contains(report_text(folder.path()), "&lt;img src=x onerror=1&gt;"));
  CHECK(!contains(read_text(folder / "report/index.html"), "<img src=x"));
}

TEST_CASE("a profile is written for the report, and a damaged one left out") {
  const TemporaryFolder folder;
  const fs::path file = folder / "profile.json";
  MachineProfile profile{"a machine, 2 threads", Peaks{100e9, 10e9}, {}};
  profile.steps.push_back({.model = "kd-cae",
                           .preset = "kd-cae",
                           .image_size = 64,
                           .batch = 8,
                           .steps = 3,
                           .device = "2 threads",
                           .ops = {{"conv2d",
                                    {8, 64, 64, 3},
                                    false,
                                    0.5,
                                    int64_t{25'000'000'000},
                                    int64_t{1'000'000'000},
                                    "winograd"},
                                   {"optimizer", {}, false, 0.5}}});
  write_profile(file, profile);
  const auto read = read_profile(file);
  REQUIRE(read);
  CHECK(read->machine == profile.machine);
  REQUIRE(read->steps.size() == 1);
  const StepProfile& step = read->steps.front();
  CHECK(step.ops.size() == 2);
  CHECK(step.ops[0].output == Shape{8, 64, 64, 3});
  CHECK(step.ops[0].algorithm == "winograd");
  CHECK(step.seconds() == 1);
  CHECK(step.share_of_layers() == 0.5);
  CHECK(step.ops[0].roofline_share(*read->peaks) == 0.5);  // 25 GFLOP at 100 GFLOP/s in 0.5 s
  CHECK(step.roofline_share(*read->peaks) == 0.5);

  write_run(folder.path(), {.shift = 9.0});
  const std::string text = report_text(folder.path());
  CHECK(contains(text, "Training steps on a machine, 2 threads."));
  CHECK(contains(text, "Roofline: one dot an operation"));
  std::string damaged = read_text(file);
  damaged.replace(damaged.find("0.5"), 3, "-1 ");
  for (const std::string& content : {damaged, std::string("{}"), std::string("[[[")}) {
    put(file, content);
    CHECK(!read_profile(file));
    CHECK(!contains(report_text(folder.path()), "Training steps on"));
  }
}

namespace {

/// The part of a text from `begin` to `end`, both of which must be there.
std::string part_of(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  const size_t to = text.find(end, from + begin.size());
  REQUIRE(to != std::string::npos);
  return text.substr(from, to - from);
}

}  // namespace

TEST_CASE("what training bought is said against the untrained network and the best baseline") {
  for (const int seeds : {2, 3}) {
    const TemporaryFolder folder;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(seeds); ++seed) {
      write_run(folder.path(), {.seed = seed, .shift = 2.0});
      write_run(folder.path(), {.seed = seed, .shift = -5.0, .untrained = true});
      write_run(folder.path(), {.model = "pca", .seed = seed, .shift = 10.0});
      write_run(folder.path(), {.model = "mean", .seed = seed, .shift = 0.0});
    }
    const std::string text = report_text(folder.path());
    const std::string section = part_of(text, "Against the same network", "Image AUROC. Untrained");
    if (seeds == 2) {
      CHECK(contains(section, "no verdict on 1 pair of a model and a class, because"));
      CHECK(!contains(section, "better in"));
    } else {
      CHECK(contains(section, "weights as drawn, the trained model is better in 1 of 1 pair of"));
      CHECK(contains(section, "the best baseline, the trained model is worse in 1 of 1 pair of"));
      CHECK(contains(section, "PCA"));
      CHECK(!contains(section, "MEAN"));
    }
  }
}

TEST_CASE("a claim holds, falls or stays open by the intervals of three seeds") {
  const auto claims_of = [](double kd_cae, double cnn, int seeds) {
    const TemporaryFolder folder;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(seeds); ++seed) {
      write_run(folder.path(), {.seed = seed, .shift = kd_cae});
      write_run(folder.path(), {.model = "cnn", .seed = seed, .shift = cnn});
    }
    const std::string text = report_text(folder.path());
    return part_of(text, "KD-CAE detects better than the CNN", "KD-CAE detects better than NI-CAE");
  };
  CHECK(contains(claims_of(9, 1, 3), "holds"));
  CHECK(contains(claims_of(1, 9, 3), "refuted"));
  CHECK(contains(claims_of(4, 4, 3), "undecided"));
  CHECK(contains(claims_of(9, 1, 2), "undecided"));  // two seeds decide nothing
}

TEST_CASE("a claim with an exception needs the exception, too") {
  const TemporaryFolder folder;
  for (const char* name : {"bottle", "transistor"}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      const bool better = name[0] == 'b';
      write_run(folder.path(), {.object_class = name, .seed = seed, .shift = better ? 9.0 : 1.0});
      write_run(
          folder.path(),
          {.model = "ni-cae", .object_class = name, .seed = seed, .shift = better ? 1.0 : 9.0});
    }
    const std::string row =
        part_of(report_text(folder.path()), "KD-CAE detects better than NI-CAE", "Noise lowers");
    CHECK(contains(row, name[0] == 'b' ? "undecided" : "holds"));
    CHECK(contains(row, "transistor: not run") == (name[0] == 'b'));
  }
}

TEST_CASE("claims of noise, of an option and of what was not run") {
  const TemporaryFolder folder;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (const char* noise : {"clean", "noisy"})
      write_run(folder.path(), {.model = "ni-cae",
                                .object_class = "toothbrush",
                                .seed = seed,
                                .noise = noise,
                                .shift = 9.0});
    write_run(folder.path(), {.object_class = "toothbrush", .seed = seed, .shift = 9.0});
    write_run(folder.path(),
              {.object_class = "toothbrush", .seed = seed, .shift = 1.0, .latent = 512});
  }
  const std::string text = report_text(folder.path());
  const auto row = [&](const char* claim, const char* next) { return part_of(text, claim, next); };
  // The scores with and without noise are the same, so F1 does not fall at all.
  CHECK(contains(row("by 28.10 % on toothbrush", "by 2.56 %"), "refuted"));
  CHECK(contains(row("by 2.56 % on transistor", "NI-CAE is most robust"), "not testable here"));
  CHECK(contains(row("A smaller latent detects worse", "A little overfitting"), "holds"));
  CHECK(contains(row("A little overfitting helps", "Screws are"), "not testable here"));
  CHECK(contains(row("Generated images are", "The claims are those"), "not testable here"));
  // The variant has its row there and is left out of the comparison of models.
  CHECK(!contains(
      part_of(text, "Which model finds the defects best?", "is the chance that a defective image"),
      "latent 512"));
}

TEST_CASE("an end of an interval that is not 0 does not read like it") {
  CHECK(range_text({0.0013, 0.16}) == "0.001 to 0.160");
  CHECK(range_text({-0.004, 0.16}) == "\u22120.004 to 0.160");
  CHECK(range_text({0, 0.16}) == "0.00 to 0.16");
  CHECK(interval_text(Interval{1e-9, 0.5}) == "[0.0000, 0.5000]");
}

}  // namespace assay::testing
