#include "apps/report/dcgan_section.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "apps/report/html.h"
#include "apps/report/svg.h"
#include "kernels/runtime/error.h"
#include "models/dcgan_training.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

std::string number(const Json& value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value.get<double>());
  return text;
}

std::string curves(const std::vector<GanRecord>& history) {
  const auto series = [&](const char* name, double GanFigures::*figure, int colour) {
    Series line{name, {}, colour};
    for (const GanRecord& r : history)
      line.points.emplace_back(static_cast<double>(r.step), r.mean.*figure);
    return line;
  };
  return str("<div class=\"charts\">\n",
             line_chart({.title = "Losses of the two networks",
                         .x = {.title = "generator steps"},
                         .y = {.title = "binary cross-entropy (nats)", .logarithmic = true}},
                        {series("discriminator", &GanFigures::loss_d, 0),
                         series("generator", &GanFigures::loss_g, 1)}),
             line_chart({.title = "What the discriminator believes",
                         .x = {.title = "generator steps"},
                         .y = {.title = "probability of being real"},
                         .y_high = 1},
                        {series("real pictures, D(x)", &GanFigures::d_real, 0),
                         series("generated ones, D(G(z))", &GanFigures::d_fake, 1)}),
             "</div>\n");
}

/// The grids of the fixed latents, by step.
std::vector<fs::path> grids_of(const RunFolder& folder) {
  std::vector<fs::path> grids;
  if (fs::exists(folder.figures()))
    for (const auto& entry : fs::directory_iterator(folder.figures()))
      if (entry.path().filename().string().rfind("step_", 0) == 0) grids.push_back(entry.path());
  std::sort(grids.begin(), grids.end());
  return grids;
}

std::string picture(const fs::path& file, const std::string& description) {
  return fs::exists(file) ? html_image(file, description) : "";
}

std::string pictures(const RunFolder& folder) {
  const std::vector<fs::path> grids = grids_of(folder);
  std::string html = "<h3>Generated and real pictures</h3>\n";
  const auto grid = [&](const fs::path& file) {
    const std::string stem = file.stem().string();
    return picture(file, "Generated from the same 32 latents after " +
                             std::to_string(std::stoll(stem.substr(stem.find('_') + 1))) +
                             " generator steps");
  };
  if (grids.size() > 1) html += grid(grids.front());
  if (!grids.empty()) html += grid(grids.back());
  return html +
         picture(folder.figures() / "real.png", "Training pictures, as the network sees them");
}

std::string memorisation(const RunFolder& folder, const Json& metrics) {
  const Json& m = metrics["memorisation"];
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, name] :
       {std::pair("generated", "generated"), std::pair("held_out", "good, held out of training"),
        std::pair("training", "training, to the nearest other one")}) {
    const Json& set = m[key];
    rows.push_back({name, std::to_string(set["images"].get<int64_t>()), number(set["least"]),
                    number(set["median"]), number(set["most"])});
  }
  return str(
      "<h3>Is it memory?</h3>\n",
      "<p>Distance of each picture to the training picture that is nearest: root mean squared ",
      "difference of the pixels, from 0 (the same) to 1 (black and white). A generator that "
      "copies ",
      "lies nearer to training pictures than these lie to one another. Pixels say nothing of a "
      "copy ",
      "that is moved.</p>\n", html_table({"pictures", "number", "least", "median", "most"}, rows),
      picture(folder.figures() / "nearest.png",
              "Generated pictures above, below each the training picture nearest to it"));
}

}  // namespace

std::string dcgan_section(const std::string& title, const RunFolder& folder, const Json& metrics) {
  std::string html = str("<h2>", title, "</h2>\n<p>");
  for (const Json& remark : metrics["remarks"])
    html += escape_html(remark.get<std::string>()) + " ";
  return str(html, "</p>\n", curves(read_gan_history(folder)), pictures(folder),
             memorisation(folder, metrics));
}

}  // namespace assay
