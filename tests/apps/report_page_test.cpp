// The report in a browser: on a laptop and on a phone, light and dark.
#include <map>

#include "tests/apps/browser.h"

namespace assay::testing {
namespace {

/// A suite with everything that a report can contain: every model, two seeds, noise, collapsed
/// generators.
void run_small_suite(const fs::path& out) {
  const Outcome outcome = run_assay({"suite", "--data", "builtin", "--out", out.string(), "--steps",
                                     "4", "--image-size", "64", "--seeds", "2"});
  CAPTURE(outcome.error);
  REQUIRE(outcome.code == 0);
}

std::map<std::string, int> counted(const nlohmann::json& names) {
  std::map<std::string, int> counts;
  for (const std::string name : names) ++counts[name];
  return counts;
}

void check_appearance(const nlohmann::json& seen) {
  CHECK(seen["scrollWidth"] <= seen["width"]);
  for (const char* flaw :
       {"beyond", "outside", "overlapping", "hollow", "faint", "broken", "tiny", "large",
        "notNumbers", "oddAttributes", "deadLinks", "twice", "violations", "requests"}) {
    CAPTURE(seen[flaw].dump(1).substr(0, 3000));
    CHECK_MESSAGE(seen[flaw].empty(), flaw);
  }
  CHECK(seen["emptyCells"] == 0);
  CHECK(seen["scripts"] == 0);
}

void check_figures(const nlohmann::json& seen) {
  const auto charts = counted(seen["charts"]);
  const auto count_of = [&](const char* title) {
    const auto found = charts.find(title);
    return found == charts.end() ? 0 : found->second;
  };
  for (const char* title :
       {"Image AUROC by class and model", "ROC: ring", "ROC: leather", "Precision and recall: ring",
        "Precision and recall: leather", "Loss of the 5 folds: median, least to largest",
        "Roofline: one dot an operation"})
    CHECK_MESSAGE(count_of(title) == 1, title);
  CHECK(count_of("Scores by kind of image") == 17);  // each model and variant of a class
  // KD-CAE of both classes and both scores of NI-CAE; others learn in one pass.
  CHECK(count_of("Loss") == 4);
  CHECK(count_of("Losses of the two networks") == 2);  // each DCGAN
  CHECK(count_of("What the discriminator believes") == 2);

  std::map<std::string, int> tiles;
  for (const std::string image : seen["images"]) ++tiles[image.substr(image.find(": ") + 2)];
  // Six of ring and five of leather, for each model and variant that draws heat maps.
  CHECK(tiles["original"] == 75);
  CHECK(tiles["nearest training image"] > 0);
  CHECK(tiles["nearest training image"] == tiles["difference"]);
  for (const char* tile : {"overlay", "ground truth"})
    CHECK_MESSAGE(tiles[tile] == tiles["original"], tile);
  CHECK(tiles["reconstruction"] == tiles["residual"]);
  CHECK(tiles["residual"] + tiles["heat"] == tiles["original"]);
  CHECK(tiles["heat"] > 0);
  CHECK(tiles["with noise"] >= 1);
  CHECK(tiles["with noise"] == tiles["without noise"]);

  const std::string headings = seen["headings"].dump();
  for (const char* heading :
       {"Which model finds the defects best?", "Data", "KD-CAE by class", "With and without noise",
        "CNN by class and fold", "Every metric", "Seed by seed", "Class by class",
        "Generated images", "Speed", "Networks", "What ran where", "The command of each run"})
    CHECK_MESSAGE(contains(headings, heading), heading);
}

}  // namespace

TEST_CASE("the report is whole and readable at two widths, light and dark") {
  const std::string chromium = find_chromium();
  if (chromium.empty()) {
    MESSAGE("SKIPPED: no Chromium here; Debian's package is called chromium");
    return;
  }
  const TemporaryFolder folder;
  run_small_suite(folder / "suite");
  const std::string page = read_text(folder / "suite/report/index.html");
  CHECK(page.size() < 3'000'000);
  std::string light;
  for (const bool dark : {false, true})
    for (const int width : {1280, 390}) {
      CAPTURE(dark);
      CAPTURE(width);
      const nlohmann::json seen = look_at(chromium, page, width, dark);
      CHECK(seen["width"] == width);
      CHECK(seen["dark"] == dark);
      if (!dark) light = seen["page"];
      if (dark) CHECK(seen["page"] != light);
      check_appearance(seen);
      check_figures(seen);
    }
}

TEST_CASE("the look at the page finds what is wrong with one") {
  const std::string chromium = find_chromium();
  if (chromium.empty()) return;
  const std::string head =
      "<!doctype html><head><meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
      "'none'; style-src 'unsafe-inline'\"><meta name=\"viewport\" "
      "content=\"width=device-width\"></head><body>";
  const nlohmann::json seen = look_at(
      chromium,
      head +
          "<p style='width:600px;color:#eee;background:#fff'>wide and NaN</p><table><td></td>"
          "</table><img alt='gone' src='file:///nowhere.png'><svg class='chart' "
          "viewBox='0 0 100 50' aria-label='bad'><text x='90' y='20'>over the edge</text></svg>"
          "<a href='#nowhere'>dead</a>",
      390, false);
  for (const char* flaw :
       {"beyond", "outside", "hollow", "broken", "notNumbers", "deadLinks", "violations"})
    CHECK_MESSAGE(!seen[flaw].empty(), flaw);
  CHECK(seen["emptyCells"] == 1);
  CHECK(seen["scrollWidth"] > seen["width"]);
}

}  // namespace assay::testing
