#include "apps/report/image_panels.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "apps/report/svg.h"
#include "apps/report/text.h"
#include "data/image_io.h"
#include "data/resize.h"
#include "kernels/runtime/error.h"
#include "models/evaluation/figures.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

constexpr int kQuality = 80, kTileSide = 128, kSheetWidth = 480, kStripSide = 96,
              kShowpieceSide = 200;

constexpr std::string_view kNoisePrefix = "noise_";

/// An image of scores.csv.
struct Scored {
  std::string path, defect;
  double score = 0;
  bool defective = false, predicted_defective = false;
  std::string decided = {};  ///< "density 5.1, reconstruction 2.0 deviations", the first decides

  std::string text() const {
    return fmt::format("{}: score {}{}, called {}", path, decimal(score, 2),
                       decided.empty() ? "" : " (" + decided + ")",
                       predicted_defective ? "defective" : "good");
  }
};

/// The components of a score as deviations from held-out good images, the largest first. "" for a
/// score of one component.
std::string deciding_components(const DetectorMetrics& metrics, const CsvTable& table,
                                const std::vector<std::string>& row) {
  if (!metrics.calibration || metrics.calibration->components.size() < 2) return "";
  std::vector<std::pair<double, std::string>> deviations;
  for (const auto& component : metrics.calibration->components) {
    const double value = std::strtod(row[table.column(component.name)].c_str(), nullptr);
    const double divisor = std::max(component.deviation, 1e-6 * std::abs(component.mean) + 1e-12);
    deviations.emplace_back((value - component.mean) / divisor, component.name);
  }
  std::sort(deviations.rbegin(), deviations.rend());
  std::vector<std::string> words;
  for (const auto& [deviation, name] : deviations)
    words.push_back(fmt::format("{} {}", name, decimal(deviation, 1)));
  return enumerated(words);
}

std::vector<Scored> scored_images(const RunResult& run) {
  const CsvTable table = read_csv(run.folder.scores());
  const std::vector<double> scores = table.numbers("score");
  const size_t path = table.column("path"), defect = table.column("defect"),
               label = table.column("label"), predicted = table.column("predicted");
  std::vector<Scored> images;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const auto& row = table.rows[i];
    images.push_back({row[path], row[defect], scores[i], row[label] == "defective",
                      row[predicted] == "defective",
                      deciding_components(*run.detector(), table, row)});
  }
  return images;
}

/// Images of a run by the stem of their figure.
using Images = std::map<std::string, Scored>;

Images by_figure(const RunResult& run) {
  Images images;
  for (Scored& image : scored_images(run)) {
    const std::string stem = image.defect + "_" + fs::path(image.path).stem().string();
    images.emplace(stem, std::move(image));
  }
  return images;
}

/// Figures of a run's images by file name, those of good images last. A kind of defect may be
/// called "noise"; files that belong to no image are somebody else's.
std::vector<fs::path> figures_of(const RunResult& run, bool noise, const Images& images) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run.folder.figures(), ignored)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".png" || entry.is_symlink(ignored)) continue;
    const bool plain = images.contains(stem);
    const bool noisy = !plain && stem.starts_with(kNoisePrefix) &&
                       images.contains(stem.substr(kNoisePrefix.size()));
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

/// Keeps the first `max` files, but the last one kept is the last file, a good image.
void shorten(std::vector<fs::path>& files, size_t max) {
  if (files.size() <= max || max == 0) return;
  const fs::path last = files.back();
  files.resize(max);
  files.back() = last;
}

/// A link could lead out of the run.
bool is_file(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(fs::symlink_status(file, ignored));
}

/// A damaged figure costs its own place on the page.
template <class F>
Html image_or_reason(const F& html) {
  try {
    return html();
  } catch (const SystemError&) {
    throw;
  } catch (const Error& damage) {
    return markup("<span class=\"whole\">left out: {}</span>", damage.what());
  }
}

/// The tiles of a figure; one without a name is left out.
Html tiles_html(const fs::path& file, int rows, int columns,
                const std::vector<std::string>& names) {
  Html html;
  const std::vector<Image> tiles = tiles_of(read_image(file), rows, columns);
  for (size_t i = 0; i < tiles.size(); ++i)
    if (!names[i].empty())
      html += embedded_image(tiles[i], file.stem().string() + ": " + names[i], kTileSide);
  return html;
}

Html span(const Html& html, const char* kind = nullptr) {
  return markup("<span{}>{}</span>", kind == nullptr ? Html() : markup(" class=\"{}\"", kind),
                html);
}

/// A run has masks exactly if it has pixel metrics.
bool has_masks(const RunResult& run) {
  return run.detector()->pixel_auroc.has_value();
}

/// The colour scale of the heat maps. Runs of older versions do not store its end. A scale that
/// ends at the largest heat there is has nothing beyond.
Html colour_scale(const RunResult& run) {
  const ReportText& text = find_model(run.config.model).report;
  const std::optional<double> top = run.detector()->heat_scale;
  const bool is_largest = top && *top >= text.max_heat(run.config);
  const std::string end = !top ? "more" : tick_text(*top) + (is_largest ? "" : " and more");
  return markup(
      "<div class=\"scale\">{}: 0 <i></i> {}; one scale for all images of this model, set on {}"
      "</div>\n",
      text.heat(run.config), end, text.heat_scale);
}

std::string verdict_of(const Images& images, const fs::path& figure) {
  const auto image = images.find(figure.stem().string());
  return image == images.end() ? "" : image->second.text();
}

/// The nearest training image and the difference, where the density of the latent decided.
Html nearest_html(const fs::path& file) {
  if (!is_file(file)) return {};
  return image_or_reason([&] {
    const std::vector<Image> tiles = tiles_of(read_image(file), 1, kNearestTiles);
    const std::string of = file.stem().string() + ": ";
    return embedded_image(tiles[1], of + "nearest training image", kTileSide) +
           embedded_image(tiles[2], of + "difference", kTileSide) +
           span(
               "The density decided: the training image with the nearest latent, and the squared "
               "difference from it.",
               "beside") +
           span({}, "gap");
  });
}

/// The first `shown` of `images`, which are those of the strip in its order.
Html strip_html(const fs::path& file, const std::vector<Scored>& images, size_t shown,
                bool misses) {
  const std::vector<Image> tiles = tiles_of(read_image(file), 2, static_cast<int>(shown));
  const Html html =
      paragraph(fmt::format("{}: {}, the {} scores first.", misses ? "Misses" : "False alarms",
                            shown < images.size() ? fmt::format("{} of {}", shown, images.size())
                                                  : std::to_string(shown),
                            misses ? "lowest" : "highest"),
                "soft");
  Html figures;
  for (size_t i = 0; i < shown; ++i) {
    const std::string name = (misses ? "miss: " : "false alarm: ") + images[i].path;
    figures += markup("<figure>{}{}<figcaption>{} {}</figcaption></figure>\n",
                      embedded_image(tiles[i], name, kStripSide),
                      embedded_image(tiles[shown + i], name + ", heat map", kStripSide),
                      images[i].defect, decimal(images[i].score, 2));
  }
  return html + markup("<div class=\"strip\">\n{}</div>\n", figures);
}

}  // namespace

Html embedded_image(const Image& image, const std::string& description, int max_width) {
  const Image shown =
      image.width <= max_width
          ? image
          : resize(image, std::max(1, image.height * max_width / image.width), max_width);
  const std::vector<uint8_t> bytes = encode_jpeg(shown, kQuality);
  return markup("<img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/jpeg;base64,{}\">",
                description, shown.width, shown.height, base64(bytes));
}

Html captioned_image(const fs::path& png, const std::string& caption) {
  if (!is_file(png)) return {};
  const Html image =
      image_or_reason([&] { return embedded_image(read_image(png), caption, kSheetWidth); });
  return markup("<figure>{}<figcaption>{}</figcaption></figure>\n", image, caption);
}

Html panels_of(const RunResult& run, size_t max) {
  const Images images = by_figure(run);
  std::vector<fs::path> files = figures_of(run, false, images);
  if (files.empty()) return {};
  shorten(files, max);
  const bool reconstructs = find_model(run.config.model).reconstructs;
  const std::vector<std::string> names = {"original", reconstructs ? "reconstruction" : "",
                                          reconstructs ? "residual" : "heat", "overlay",
                                          has_masks(run) ? "ground truth" : "no mask is known"};
  Html html;
  for (const std::string& name : names)
    if (!name.empty()) html += span(name);
  for (const fs::path& file : files) {
    html +=
        markup("\n{}{}", image_or_reason([&] { return tiles_html(file, 1, kPanelTiles, names); }),
               span(verdict_of(images, file), "whole"));
    html += nearest_html(run.folder.figures() /
                         (std::string(RunFolder::kNearestPrefix) + file.filename().string()));
  }
  return markup("<figure><div class=\"tiles of{}\">\n{}\n</div>\n{}</figure>\n",
                reconstructs ? 5 : 4, html, colour_scale(run));
}

Html strips_of(const RunResult& run) {
  Html html;
  for (const bool misses : {true, false}) {
    const fs::path file = misses ? run.folder.misses() : run.folder.false_alarms();
    if (!is_file(file)) continue;
    std::vector<Scored> images = scored_images(run);
    std::erase_if(images, [&](const Scored& image) {
      return image.defective != misses || image.predicted_defective == misses;
    });
    std::sort(images.begin(), images.end(), [&](const Scored& a, const Scored& b) {
      const double sign = misses ? 1 : -1;
      return std::pair(sign * a.score, a.path) < std::pair(sign * b.score, b.path);
    });
    const size_t shown = std::min(images.size(), kStripImages);
    if (shown == 0) continue;
    html += image_or_reason([&] { return strip_html(file, images, shown, misses); });
  }
  return html;
}

std::vector<Showpiece> showpieces_of(const RunResult& run) {
  const Images images = by_figure(run);
  const fs::path* shown[2] = {};  // defective, good
  double highest = 0;
  const std::vector<fs::path> files = figures_of(run, false, images);
  for (const fs::path& file : files) {
    const auto image = images.find(file.stem().string());
    if (image == images.end()) continue;
    const bool good = !image->second.defective;
    if (shown[good] != nullptr && (good || image->second.score <= highest)) continue;
    shown[good] = &file;
    if (!good) highest = image->second.score;
  }
  std::vector<Showpiece> pieces;
  for (const fs::path* file : shown) {
    if (file == nullptr) continue;
    const Scored& image = images.at(file->stem().string());
    const auto tiles_of_piece = [&] {
      const std::vector<Image> tiles = tiles_of(read_image(*file), 1, kPanelTiles);
      return embedded_image(tiles[0], "shown: " + image.path, kShowpieceSide) +
             embedded_image(tiles[3], "heat map: " + image.path, kShowpieceSide);
    };
    pieces.push_back(
        {image_or_reason(tiles_of_piece),
         markup("<b>{}</b>: score {}, called <b>{}</b>{}", image.defect, decimal(image.score, 2),
                image.predicted_defective ? "defective" : "good",
                image.predicted_defective == image.defective ? "" : " \u2013 wrong")});
  }
  return pieces;
}

Html noise_panels_of(const RunResult& run, size_t max) {
  const Images images = by_figure(run);
  std::vector<fs::path> files = figures_of(run, true, images);
  if (files.empty()) return {};
  files.resize(std::min(files.size(), max));
  const std::vector<std::string> names = {"without noise", "its reconstruction", "its residual",
                                          "with noise",    "its reconstruction", "its residual"};
  Html html;
  for (size_t i = 0; i < kNoisePanelColumns; ++i)
    html += span(i == 0   ? "above without, below with noise"
                 : i == 1 ? "reconstruction"
                          : "residual");
  for (const fs::path& file : files) {
    html += "\n" + image_or_reason([&] {
              return tiles_html(file, kNoisePanelRows, kNoisePanelColumns, names);
            });
    const std::string stem = file.stem().string().substr(kNoisePrefix.size());
    html += span(fmt::format("with noise, {}", verdict_of(images, stem + ".png")), "whole");
  }
  return markup("<figure><div class=\"tiles of3\">\n{}\n</div>\n{}</figure>\n", html,
                colour_scale(run));
}

}  // namespace assay
