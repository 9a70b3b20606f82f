#include "apps/report/image_panels.h"

#include <algorithm>
#include <map>

#include "apps/report/html.h"
#include "apps/report/svg.h"
#include "apps/report/text.h"
#include "data/image_io.h"
#include "data/resize.h"
#include "kernels/runtime/error.h"
#include "models/evaluation/figures.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

constexpr int kQuality = 80, kTileSide = 128, kSheetWidth = 480;

constexpr std::string_view kNoisePrefix = "noise_";

/// Score and prediction of an image, by the stem of its figure.
using Captions = std::map<std::string, std::string>;

/// Figures of a run's images by file name, those of good images last. A kind of defect may be
/// called "noise"; files that belong to no image are somebody else's.
std::vector<fs::path> figures_of(const RunResult& run, bool noise, const Captions& captions) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run.folder.figures(), ignored)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".png" || entry.is_symlink(ignored)) continue;
    const bool plain = captions.contains(stem);
    const bool noisy = !plain && stem.starts_with(kNoisePrefix) &&
                       captions.contains(stem.substr(kNoisePrefix.size()));
    if (noise ? noisy : plain) files.push_back(entry.path());
  }
  const auto good = [](const fs::path& file) {
    return file.filename().string().rfind("good_", 0) == 0;
  };
  std::sort(files.begin(), files.end(), [&](const fs::path& a, const fs::path& b) {
    return std::pair(good(a), a.filename()) < std::pair(good(b), b.filename());
  });
  return files;
}

Captions captions_of(const RunResult& run) {
  const CsvTable table = read_csv(run.folder.scores());
  const std::vector<double> scores = table.numbers("score");
  const size_t path = table.column("path"), defect = table.column("defect"),
               predicted = table.column("predicted");
  Captions captions;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const auto& row = table.rows[i];
    captions[row[defect] + "_" + fs::path(row[path]).stem().string()] = fmt::format(
        "{}: score {}, called {}", escape_html(row[path]), decimal(scores[i], 2), row[predicted]);
  }
  return captions;
}

/// Keeps the first `max` files, but the last one kept is the last file, a good image.
void shorten(std::vector<fs::path>& files, size_t max) {
  if (files.size() <= max || max == 0) return;
  const fs::path last = files.back();
  files.resize(max);
  files.back() = last;
}

/// A damaged figure costs its own place on the page.
template <class F>
std::string image_or_reason(const F& html) {
  try {
    return html();
  } catch (const Error& damage) {
    return fmt::format("<span class=\"whole\">left out: {}</span>", escape_html(damage.what()));
  }
}

std::string tiles_html(const fs::path& file, int rows, int columns,
                       const std::vector<std::string>& names) {
  std::string html;
  const std::vector<Image> tiles = tiles_of(read_image(file), rows, columns);
  for (size_t i = 0; i < tiles.size(); ++i)
    html += embedded_image(tiles[i], file.stem().string() + ": " + names[i], kTileSide);
  return html;
}

std::string span(const std::string& html, const char* kind = nullptr) {
  return fmt::format("<span{}>{}</span>", kind == nullptr ? "" : fmt::format(" class=\"{}\"", kind),
                     html);
}

/// A run has masks exactly if it has pixel metrics.
bool has_masks(const RunResult& run) {
  return run.detector()->pixel_auroc.has_value();
}

/// The colour scale of the heat maps. Runs of older versions do not store its end.
std::string colour_scale(const RunResult& run) {
  const std::optional<double> top = run.detector()->heat_scale;
  const ReportText& text = find_model(run.config.model).report;
  return fmt::format(
      "<div class=\"scale\">{}: 0 <i></i> {}; one scale for all images of this model, set on {}"
      "</div>\n",
      text.heat(run.config), top ? tick_text(*top) + " and more" : "more", text.heat_scale);
}

}  // namespace

std::string embedded_image(const Image& image, const std::string& description, int max_width) {
  const Image shown =
      image.width <= max_width
          ? image
          : resize(image, std::max(1, image.height * max_width / image.width), max_width);
  const std::vector<uint8_t> bytes = encode_jpeg(shown, kQuality);
  return fmt::format(
      "<img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/jpeg;base64,{}\">",
      escape_html(description), shown.width, shown.height, base64(bytes));
}

std::string captioned_image(const fs::path& png, const std::string& caption) {
  std::error_code ignored;
  if (!fs::is_regular_file(fs::symlink_status(png, ignored))) return "";
  const std::string image =
      image_or_reason([&] { return embedded_image(read_image(png), caption, kSheetWidth); });
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", image, caption);
}

std::string panels_of(const RunResult& run, size_t max) {
  Captions captions = captions_of(run);
  std::vector<fs::path> files = figures_of(run, false, captions);
  if (files.empty()) return "";
  shorten(files, max);
  const std::vector<std::string> names = {"original", "reconstruction", "residual", "overlay",
                                          has_masks(run) ? "ground truth" : "no mask is known"};
  std::string html = "<figure><div class=\"tiles of5\">\n";
  for (const std::string& name : names) html += span(name);
  for (const fs::path& file : files)
    html += fmt::format("\n{}{}",
                        image_or_reason([&] { return tiles_html(file, 1, kPanelTiles, names); }),
                        span(captions[file.stem().string()], "whole"));
  return fmt::format("{}\n</div>\n{}</figure>\n", html, colour_scale(run));
}

std::string noise_panels_of(const RunResult& run, size_t max) {
  Captions captions = captions_of(run);
  std::vector<fs::path> files = figures_of(run, true, captions);
  if (files.empty()) return "";
  files.resize(std::min(files.size(), max));
  const std::vector<std::string> names = {"without noise", "its reconstruction", "its residual",
                                          "with noise",    "its reconstruction", "its residual"};
  std::string html = "<figure><div class=\"tiles of3\">\n";
  for (size_t i = 0; i < kNoisePanelColumns; ++i)
    html += span(i == 0   ? "above without, below with noise"
                 : i == 1 ? "reconstruction"
                          : "residual");
  for (const fs::path& file : files) {
    html += "\n" + image_or_reason([&] {
              return tiles_html(file, kNoisePanelRows, kNoisePanelColumns, names);
            });
    const std::string stem = file.stem().string().substr(kNoisePrefix.size());
    html += span(fmt::format("with noise, {}", captions[stem]), "whole");
  }
  return fmt::format("{}\n</div>\n{}</figure>\n", html, colour_scale(run));
}

}  // namespace assay
